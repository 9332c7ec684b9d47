"""The world model by its laws: nothing goes round the codes, unrolled is scanned, time runs one way."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.video import Sizes, State, VideoModel
from o2t_jax.models.video.model import decode_all, encode_all, follow, quantise, run
from o2t_jax.models.video.quantisers import Codebook
from o2t_jax.models.video.vision import depth_to_space, space_to_depth

CONTEXT, STEPS, SIZE = 3, 4, 16


@pytest.fixture(scope="module")
def made():
    model = VideoModel(Sizes((6,), 5, 2, 2), Codebook(size=4, count=16))
    params = model.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE)), jnp.zeros((1, 2)))["params"]
    # Away from layers that start at zero.
    random = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.2 * random.normal(size=x.shape).astype(np.float32), params)
    return model, params, {"codebook": model.quantiser.init(jax.random.key(1))}


def pictures(count: int = 2) -> jax.Array:
    return jax.random.uniform(jax.random.key(2), (count, CONTEXT, SIZE, SIZE))


def actions(count: int = 2) -> jax.Array:
    return jax.random.normal(jax.random.key(3), (count, CONTEXT + STEPS - 1, 2))


def test_space_to_depth_has_an_inverse() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 4, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(jnp.asarray(x))), jnp.asarray(x))
    np.testing.assert_array_equal(space_to_depth(jnp.asarray(x))[0, 0, 0], x[0, :2, :2].reshape(-1).astype(np.float32))


def test_nothing_goes_round_the_codes(made) -> None:
    """With one code, all pictures and all dreams look alike: whatever else the decoder saw would differ."""
    model, params, _ = made
    model = model.clone(quantiser=Codebook(size=4, count=1))
    extra = {"codebook": model.quantiser.init(jax.random.key(1))}
    first, second = pictures(), 1.0 - pictures()
    assert np.any(encode_all(model, params, first) != encode_all(model, params, second))
    shown = []
    for seen in (first, second):
        codes = quantise(model, extra, encode_all(model, params, seen)).codes
        dream, _ = follow(model, params, codes, actions(), STEPS)
        shown.append((decode_all(model, params, codes), decode_all(model, params, dream.latents)))
    np.testing.assert_allclose(shown[0][0], shown[1][0], atol=1e-6)
    np.testing.assert_allclose(shown[0][1], shown[1][1], atol=1e-6)


def test_no_gradient_reaches_the_picture_but_through_its_code(made) -> None:
    model, params, extra = made

    def shown(seen: jax.Array, open_code: bool) -> jax.Array:
        codes = quantise(model, extra, encode_all(model, params, seen)).codes
        codes = codes if open_code else jax.lax.stop_gradient(codes)
        dream, _ = follow(model, params, codes, actions(), STEPS)
        return jnp.sum(decode_all(model, params, codes)) + jnp.sum(decode_all(model, params, dream.latents))

    gradient = jax.jit(jax.grad(shown), static_argnums=1)
    assert np.all(gradient(pictures(), False) == 0.0)
    assert np.any(gradient(pictures(), True) != 0.0)


def test_unrolled_is_scanned(made) -> None:
    model, params, extra = made
    seen, pushes = quantise(model, extra, encode_all(model, params, pictures())).codes, actions()
    track, last = jax.jit(lambda: follow(model, params, seen, pushes, STEPS))()

    def step(state: State, given: tuple) -> tuple[State, State]:
        t, action = given
        latents = jnp.where(t < CONTEXT, seen[:, jnp.minimum(t, CONTEXT - 1)], state.latents)
        after = run(model, params, "step", state.memory, latents, action)
        return after, after

    start = State(run(model, params, "still", seen), jnp.asarray(seen)[:, 0])
    times = jnp.arange(CONTEXT + STEPS - 1)
    end, scanned = jax.jit(lambda: jax.lax.scan(step, start, (times, jnp.moveaxis(pushes, 1, 0))))()
    for ours, theirs in ((track, scanned), (last, end)):
        for name in ("memory", "latents"):
            x, y = getattr(ours, name), getattr(theirs, name)
            np.testing.assert_allclose(x, y if ours is last else jnp.moveaxis(y, 0, 1), atol=1e-5)


def test_a_push_moves_what_follows_and_nothing_before(made) -> None:
    model, params, extra = made
    seen = quantise(model, extra, encode_all(model, params, pictures())).codes

    @jax.jit
    def jacobian(pushes: jax.Array) -> jax.Array:
        sums = lambda pushes: jnp.sum(follow(model, params, seen, pushes, STEPS)[0].latents ** 3, axis=(0, 2, 3, 4))  # noqa: E731
        return jnp.sum(jnp.abs(jax.jacrev(sums)(pushes)), axis=(1, 3))

    found = np.asarray(jacobian(actions()))  # [step, push]
    assert np.all(found[np.triu_indices(len(found), 1)] == 0.0)
    assert np.all(np.diag(found) > 0.0)


def test_reward_and_continuation_read_the_latents(made) -> None:
    model, params, _ = made
    latents = encode_all(model, params, pictures())[:, 0]
    for part in (0, 1):
        gradient = jax.grad(lambda z, part=part: jnp.sum(run(model, params, "judged", z)[part]))(latents)
        assert np.any(gradient != 0.0)
