"""The whole network: what it sees, what it may not see, how the law is reached."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.o2t.inputs import ParaMaps
from o2t_jax.models.o2t.loss import initial_extra, make_loss, to_float
from o2t_jax.models.o2t.phys_layer import HEIGHT_BINS
from tests.defaults import loss_weights
from tests.models.conftest import SIZE, make_batch


@functools.lru_cache
def compiled(model):
    """One compilation a model: applying eagerly would dispatch thousands of small operations."""

    @jax.jit
    def apply(params, pictures, para, k, n):
        return model.apply({"params": params}, to_float(pictures), para, k, n, jnp.zeros(HEIGHT_BINS))

    return apply


def run(model, params, batch, **changes):
    fields = {**batch, **changes}
    return compiled(model)(params, *(jnp.asarray(fields[name]) for name in ("pictures", "para", "k", "n")))


def test_channel_map() -> None:
    """Change one picture or one PARA at a time: only its channels answer."""
    module = ParaMaps()
    rng = np.random.default_rng(0)
    pictures = rng.uniform(size=(1, 4, SIZE, SIZE, 3)).astype(np.float32)
    para = rng.uniform(size=(1, 5, 6)).astype(np.float32)
    params = module.init(jax.random.key(0), para)

    def changed(new_pictures, new_para) -> set[int]:
        before, after = (
            np.asarray(ops.input_channels(jnp.asarray(seen), module.apply(params, known)))
            for seen, known in ((pictures, para), (new_pictures, new_para))
        )
        assert before.shape[-1] == ops.INPUT_CHANNELS == 23
        return set(np.flatnonzero(np.abs(before - after).max(axis=(0, 1, 2)) > 1e-3) + 1)

    pairs = {0: {18, 19, 20}, 1: {18, 21, 22}, 2: {19, 21, 23}, 3: {20, 22, 23}}
    for i in range(4):
        bumped = pictures.copy()
        bumped[:, i] += 0.1
        assert changed(bumped, para) == {4 * i + 1, 4 * i + 2, 4 * i + 3} | pairs[i]
    for i in range(5):
        moved = para.copy()
        moved[:, i] += 0.5
        assert changed(pictures, moved) == {4 * (i + 1) if i < 4 else 17}


def _primitives(jaxpr) -> list:
    found = []
    for equation in jaxpr.eqns:
        found.append(equation)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "jaxpr"):
                    found += _primitives(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    found += _primitives(inner)
    return found


def test_no_resize_between_rendered_bytes_and_the_first_convolution(free_model, batch) -> None:
    """Every pixel of the bytes reaches the stem at its own place: a one-pixel change touches a 3 x 3 patch only."""
    model, params = free_model
    pictures = jnp.asarray(batch["pictures"][:1, :4])

    @jax.jit
    def stem(pictures):
        maps = model.apply({"params": params}, batch["para"][:1], method=lambda m, para: m.inputs(para))
        return ops.input_channels(to_float(pictures), maps)

    touched = jnp.abs(stem(pictures.at[0, 1, 9, 20].add(40)) - stem(pictures)).max(axis=(0, 3))
    assert set(zip(*(x.tolist() for x in np.nonzero(touched > 1e-6)), strict=True)) == {(9, 20)}
    # And in the program: nothing gathers, resizes or contracts a full-size map before the stem's convolution.
    jaxpr = jax.make_jaxpr(lambda p: run(model, params, {**batch, "pictures": p}).prediction)(batch["pictures"])
    names = []
    for equation in _primitives(jaxpr.jaxpr):
        if equation.primitive.name == "conv_general_dilated":
            assert equation.invars[0].aval.shape[1:] == (SIZE, SIZE, 23), "the first one sees all full-size channels"
            break
        names.append(equation.primitive.name)
    else:
        raise AssertionError("no convolution found")
    # The PARA maps' bilinear enlargement is the only resize; it is written as products with small matrices.
    assert not {"reduce_window", "gather", "dynamic_slice"} & set(names)


def test_every_skip_is_used(free_model, batch) -> None:
    model, params = free_model
    h, skips = jnp.zeros((1, 48)), None

    def encode(m, pictures, para):
        return m.encoder(pictures, m.inputs(para))

    h, skips = jax.jit(lambda p, a: model.apply({"params": params}, p, a, method=encode))(
        to_float(batch["pictures"][:1, :4]), batch["para"][:1]
    )
    assert [s.shape[1] for s in skips] == [SIZE, SIZE // 2, SIZE // 4, SIZE // 8, SIZE // 16]

    def total(skips):
        return jnp.sum(jnp.sin(model.apply({"params": params}, h, skips, method=lambda m, h, s: m.decoder(h, s))))

    for gradient in jax.jit(jax.grad(total))(skips):
        assert float(jnp.abs(gradient).max()) > 1e-6


def test_invariance_under_turning_and_moving_the_world(camera_model) -> None:
    model, params = camera_model
    here, there = make_batch(2, seed=5), make_batch(2, seed=5, turn=137.0, move=(31.0, -12.0))
    assert np.allclose(here["para"], there["para"], atol=1e-4)
    assert np.abs(here["pictures"].astype(int) - there["pictures"].astype(int)).max() <= 1
    a, b = run(model, params, here), run(model, params, there)
    assert np.allclose(a.prediction, b.prediction, atol=2e-2)


def test_metric_block_sees_neither_para5_nor_the_target(camera_model, batch) -> None:
    model, params = camera_model

    @jax.jit
    def numbers(para):
        out = model.apply(
            {"params": params},
            to_float(jnp.asarray(batch["pictures"][:, :4])),
            para,
            batch["k"],
            batch["n"],
            jnp.zeros(HEIGHT_BINS),
        ).measured
        return jnp.concatenate([out.slots.first, out.slots.second, out.velocity], axis=-1)

    # A random weighting of all numbers: its gradient by PARA5 vanishes only if every one of theirs does.
    weights = jax.random.normal(jax.random.key(0), (len(batch["n"]), 1, 9))
    gradient = jax.jit(jax.grad(lambda para: jnp.sum(weights * numbers(para))))(jnp.asarray(batch["para"]))
    assert float(jnp.abs(gradient[:, 4]).max()) == 0.0
    assert float(jnp.abs(gradient[:, :4]).max()) > 0.0
    # n reaches the loss alone: another one leaves the measurement as it is.
    here = run(model, params, batch).measured
    later = run(model, params, batch, n=np.maximum(batch["n"] - 1, 0).astype(np.int32)).measured
    assert np.array_equal(here.velocity, later.velocity) and np.array_equal(here.slots.first, later.slots.first)


@pytest.mark.parametrize("name", ["camera_model", "free_model"])
def test_the_targets_picture_changes_nothing_but_its_own_sighting(name, batch, request) -> None:
    model, params = request.getfixturevalue(name)
    other = batch["pictures"].copy()
    other[:, 4] = other[:, 4, :, ::-1] // 2
    here, there = run(model, params, batch), run(model, params, batch, pictures=other)
    without = run(model, params, batch, pictures=batch["pictures"][:, :4])
    assert np.allclose(here.prediction, without.prediction, atol=1e-5)
    if name == "camera_model":
        assert not np.array_equal(here.measured.target.pixels, there.measured.target.pixels)
        assert without.measured.target.pixels.shape[1] == 0
        here, there = (out._replace(measured=out.measured._replace(target=None)) for out in (here, there))
    jax.tree.map(np.testing.assert_array_equal, here, there)


@pytest.mark.parametrize("branch", ["phys", "h_para", "encoder"])
def test_what_knows_the_target_view_reaches_the_law_in_ablations_alone(camera_model, batch, branch) -> None:
    from tests.models.conftest import make_model

    _, params = camera_model
    model = make_model(tower_type=Dark, law_branch=branch)  # a tower that sees the ball: else nothing is measured

    def where(para):
        pictures = to_float(jnp.asarray(batch["pictures"][:, :4]))
        out = model.apply({"params": params}, pictures, para, batch["k"], batch["n"], jnp.zeros(HEIGHT_BINS)).measured
        return jnp.sum(jnp.sin(out.predicted) * out.slots.present[..., None])

    gradient = jax.jit(jax.grad(where))(jnp.asarray(batch["para"]))
    assert (float(jnp.abs(gradient[:, 4]).max()) == 0.0) == (branch == "phys")
    assert float(jnp.abs(gradient[:, :4]).max()) > 0.0


def test_law_gets_gradient_only_through_the_projected_positions(camera_model, batch, monkeypatch) -> None:
    from tests.models.conftest import make_model

    _, params = camera_model
    # A tower that sees the ball: to a random one nothing is there, and what is not seen trains no law.
    model = make_model(tower_type=Dark)
    whole = {key: jnp.asarray(value) for key, value in batch.items()}

    import o2t_jax.models.o2t.network as o2t

    draw = o2t.draw_spheres

    def loss(g0, alpha, law: float):
        layer = {**params["layer"], "g0": g0, "alpha": alpha}
        terms = make_loss(model, loss_weights(law=law, alpha_start=0.0, alpha=0.0), 10)
        return terms({**params, "layer": layer}, initial_extra(), whole, jnp.int32(0))[0]

    @jax.jit
    def gradients(g0, alpha):
        """With the law's loss, and without it where the drawn position is cut off; one program shares most of it."""
        monkeypatch.setattr(o2t, "draw_spheres", draw)
        whole_way = jax.grad(loss, argnums=(0, 1))(g0, alpha, 1.0)
        monkeypatch.setattr(o2t, "draw_spheres", lambda centre, *args: draw(jax.lax.stop_gradient(centre), *args))
        return whole_way, jax.grad(loss, argnums=(0, 1))(g0, alpha, 0.0)

    whole_way, cut = gradients(params["layer"]["g0"], params["layer"]["alpha"])
    assert abs(float(whole_way[0])) > 1e-6 and float(jnp.abs(whole_way[1]).max()) > 1e-8
    assert float(cut[0]) == 0.0 and float(jnp.abs(cut[1]).max()) == 0.0


class Dark(nn.Module):
    """A tower that needs no training: what is redder than it is green moves."""

    @nn.compact
    def __call__(self, pictures):
        return 60.0 * ((pictures[..., 0] - pictures[..., 1]) - 0.13)


def test_law_loss_is_least_at_the_worlds_gravity(camera_model, batch) -> None:
    from tests.models.conftest import GRAVITY, make_model

    _, params = camera_model
    seeing = make_model(tower_type=Dark)
    whole = {key: jnp.asarray(value) for key, value in batch.items()}
    layer = {**params["layer"], "alpha": jnp.zeros_like(params["layer"]["alpha"])}
    loss = make_loss(seeing, loss_weights(), 10)

    @jax.jit
    def law(g0):
        _, (metrics, _) = loss({**params, "layer": {**layer, "g0": g0}}, initial_extra(), whole, jnp.int32(0))
        return metrics["law_loss"][0], metrics["law_loss"][1]

    values = [float(law(jnp.float32(g))[0]) for g in (0.0, GRAVITY - 1.0, GRAVITY, GRAVITY + 1.0, 15.0)]
    assert float(law(jnp.float32(0.0))[1]) == len(batch["n"]), "every sample's ball is seen"
    assert int(np.argmin(values)) == 2 and values[0] > values[1] and values[4] > values[3]


def test_free_gauge_predicts_without_metres(free_model, batch) -> None:
    model, params = free_model
    out = run(model, params, batch)
    assert out.measured is None and out.prediction.shape == (4, SIZE, SIZE, 3)
    assert float(out.prediction.min()) >= 0 and float(out.prediction.max()) <= 1


@pytest.mark.parametrize("gauge", ["camera", "free"])
def test_bfloat16_keeps_parameters_physics_and_pictures_float32(gauge: str) -> None:
    from tests.models.conftest import make_model

    model = make_model(gauge=gauge, dtype=jnp.bfloat16, remat=True)
    shape = (1, 4, 64, 96, 3)  # any height and width divisible by 32
    arguments = (jnp.zeros(shape), jnp.zeros((1, 5, 6)), jnp.ones(1, jnp.int32), jnp.ones(1, jnp.int32))
    params = jax.eval_shape(model.init, jax.random.key(0), *arguments, jnp.zeros(HEIGHT_BINS))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
    out = jax.eval_shape(model.apply, params, *arguments, jnp.zeros(HEIGHT_BINS))
    assert out.prediction.dtype == jnp.float32 and out.prediction.shape == (1, 64, 96, 3)
    if gauge == "camera":
        assert out.measured.predicted.dtype == jnp.float32 and out.measured.mask.dtype == jnp.float32
