"""What must hold for every model of discs: symmetries, what may matter to what, finite gradients."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.models.discs import MODELS
from tests.models.conftest import random_like

from .scenes import DT, SIZE, SPEED, make_frames, moved, rows

# Every model, and each variant that has other code.
SMALL = {"width": 16, "layers": 2}
CASES = {
    "classic": SMALL,
    "classic two": {"pair": "two", **SMALL},
    "lstm": SMALL,
    "modern": {"msg_dim": 16, "enc_blocks": 1, "dec_blocks": 1},
    "no_pairwise": SMALL,
}
STRAIGHT = ["classic", "lstm", "no_pairwise", "modern residual"]
every = pytest.mark.parametrize("case", [case for case in CASES if " " not in case])
OBJECTS = {"relative": True, "walls": True}
seen = pytest.mark.parametrize("fields", [{}, OBJECTS], ids=["as the document", "relative, walls"])


def make(case: str, **fields):
    own = {"modern residual": {**CASES["modern"], "residual": True}, **CASES}[case]
    return MODELS.get(case.split()[0])(dt=DT, size=SIZE, speed=SPEED, **{**own, **fields})


def shapes_of(model):
    return jax.eval_shape(model.init, jax.random.key(0), make_frames(2, 2))["params"]


@cache
def made(case: str, *fields):
    """A model's compiled step, with random parameters in which no array is zero."""
    model = make(case, **dict(fields))
    params = random_like(shapes_of(model))
    return jax.jit(lambda frames, params=params: model.apply({"params": params}, frames)), params


def step_of(case: str, fields):
    return made(case, *fields.items())[0]


def size_of(model) -> int:
    return sum(x.size for x in jax.tree.leaves(shapes_of(model)))


@pytest.mark.parametrize("case", CASES)
@seen
def test_a_permutation_of_the_discs_permutes_the_result(case, fields):
    step, frames = step_of(case, fields), make_frames(obstacle=True)
    frames.position[:] = 200.0 + 0.2 * frames.position  # all near to all
    order = np.array([2, 3, 1, 0])
    found, other = step(frames), step(rows(frames, order))
    assert found.velocity.shape == found.position.shape == (3, 4, 2) and found.velocity.dtype == jnp.float32
    assert np.abs(found.velocity[:, order] - other.velocity).max() < 1e-3
    assert np.abs(found.position[:, order] - other.position).max() < 1e-3
    assert np.ptp(np.asarray(found.velocity[:, :3]), axis=1).min() > 1e-2, "discs are not all given the same"


@every
@seen
def test_rows_that_are_not_present_change_nothing(case, fields):
    step, frames = step_of(case, fields), make_frames()
    frames.position[:] *= 0.2  # all near to all, and to the origin, where a row without numbers would be
    frames.present[:, 1], frames.walls.present[:, 2] = False, False
    rest = np.array([0, 2, 3])
    expected = step(frames)
    hidden = jax.tree.map(np.copy, frames)
    hidden.position[:, :, 1], hidden.velocity[:, :, 1], hidden.mass[:, 1] = np.nan, np.inf, np.inf
    hidden.walls.ends[:, 2] = np.nan
    found = step(hidden)
    assert (found.velocity == expected.velocity).all() and (found.position == expected.position).all()
    if fields != OBJECTS:
        return  # another shape takes another compilation
    keep = np.array([0, 1, 3])
    walls = frames.walls._replace(ends=frames.walls.ends[:, keep], present=frames.walls.present[:, keep])
    without = step(rows(frames, rest)._replace(walls=walls))
    assert np.abs(without.velocity - expected.velocity[:, rest]).max() < 1e-3


@every
def test_relative_inputs_make_it_translation_invariant(case):
    frames, by = make_frames(obstacle=True), np.array([30.0, -20.0], np.float32)
    for fields in (OBJECTS, {}):
        step = step_of(case, fields)
        found, other = step(frames), step(moved(frames, by))
        apart = np.abs(other.velocity - found.velocity).max()
        if fields:
            assert apart < 1e-2 and np.abs(other.position - found.position - by)[:, :3].max() < 1e-2
        else:
            assert apart > 0.03, "absolute inputs are not"


@every
def test_only_discs_in_the_neighbourhood_matter(case):
    _, params = made(case)
    frames = rows(make_frames(1, 4), np.arange(3))
    frames.position[:, 1] = [[100, 100], [100 + 209, 100], [100, 100 + 211]]
    frames.velocity[:, 1] = [[30, 10], [-30, 5], [3, -40]]

    def first(frames, neighbourhood=3.5):
        found = make(case, neighbourhood=neighbourhood).apply({"params": params}, frames).velocity
        return found[0, 0].sum()

    by = jax.jit(jax.grad(first, allow_int=True))(frames)
    _, near, far = np.abs(np.concatenate([by.position, by.velocity], axis=-1)).sum((0, 1, 3))
    assert near > 1e-3 and far == 0.0
    if case != "classic":
        return  # the rest is the inputs' work, and takes another compilation
    other = jax.tree.map(np.copy, frames)
    other.velocity[:, :, 2] += 20.0
    free = jax.jit(partial(first, neighbourhood=0.0))
    assert abs(free(other) - free(frames)) > 1e-3, "without a limit it does"


@every
def test_walls_within_the_neighbourhood_matter_as_objects(case):
    frames = make_frames()
    frames.position[:, 1, 0] = [100, 300]
    step, plain = step_of(case, OBJECTS), step_of(case, {})
    for wall, matters in ((3, True), (1, False)):  # the left one is 100 px away, the right one 700 px
        other = jax.tree.map(np.copy, frames)
        other.walls.ends[:, wall, :, 0] += 20.0
        apart = np.abs(step(other).velocity - step(frames).velocity)[:, 0].max()
        assert apart > 1e-3 if matters else apart == 0.0
        assert (plain(other).velocity == plain(frames).velocity).all()


@every
def test_position_follows_the_velocity_that_is_chosen(case):
    frames = make_frames(2, 3, obstacle=True)
    _, params = made(case)
    old, place = frames.velocity[:, 1], frames.position[:, 1]
    shares = {"new": 1.0, "old": 0.0, "mean": 0.5}
    # One compilation: the parts that they have in common are compiled once.
    steps = jax.jit(lambda f: {name: make(case, position=name).apply({"params": params}, f) for name in shares})(frames)
    for choice, share in shares.items():
        found = steps[choice]
        expected = place + DT * (share * found.velocity + (1.0 - share) * old)
        assert np.abs(found.position - expected).max() < 1e-3
        assert (found.position[:, -1] == place[:, -1]).all() and (found.velocity[:, -1] == 0.0).all(), "the obstacle"
    with pytest.raises(UsageError, match="position='next' is unknown: choose one of new, old, mean"):
        make(case, position="next").apply({"params": params}, frames)


@every
def test_gradients_are_finite_where_distances_are_zero_and_rows_are_missing(case):
    model, params = make(case, **OBJECTS), made(case, *OBJECTS.items())[1]
    frames = make_frames(2, 4)
    frames.position[:, :, 1] = frames.position[:, :, 0]  # two discs at the same place
    frames.position[:, :, 2] = [0.0, 300.0]  # one on a wall
    frames.present[:, 3] = False
    frames.position[:, :, 3], frames.velocity[:, :, 3] = np.nan, np.nan
    frames.walls.ends[:, 0] = 5.0  # a point
    keep = frames.present[..., None]

    def loss(params, position, velocity):
        found = model.apply({"params": params}, frames._replace(position=position, velocity=velocity))
        return jnp.sum(jnp.where(keep, jnp.square(found.velocity) + found.position, 0.0))

    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(params, frames.position, frames.velocity)
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes[0]):
        assert np.abs(slope).max() > 0, f"{path} learns nothing"
    assert (slopes[1][:, :, 3] == 0.0).all()


@every
def test_any_number_of_discs(case):
    model, params = make(case), made(case)[1]
    alone = make_frames(3, 1)
    assert np.isfinite(jax.jit(model.apply)({"params": params}, alone).velocity).all()
    assert jax.eval_shape(model.apply, {"params": params}, make_frames(3, 9)).velocity.shape == (3, 9, 2)


@pytest.mark.parametrize("case", [*STRAIGHT, "modern"])
def test_untrained_discs_move_straight_or_at_the_worlds_speed(case):
    model, frames = make(case), make_frames()
    found = jax.jit(lambda key: model.apply(model.init(key, frames), frames))(jax.random.key(0)).velocity
    if case in STRAIGHT:
        assert np.abs(found - frames.velocity[:, 1]).max() < 1e-4
    else:
        assert 0.01 * SPEED < np.sqrt(np.mean(np.square(found))) < 3.0 * SPEED


def test_numbers_of_parameters_are_those_of_the_document():
    world = {"dt": DT, "size": SIZE, "speed": SPEED}
    assert size_of(MODELS.get("classic")(**world)) == 22_552
    assert size_of(MODELS.get("modern")(**world)) == 236_738
    assert size_of(MODELS.get("classic")(**world, pair="two")) == 22_552 - 500 + 2 * 250 + 25 * 50
    # 10 numbers of an object, five layers of 50; a decoder of 100
    assert size_of(MODELS.get("no_pairwise")(**world)) == 10 * 50 + 4 * 2500 + 101 * 50 + 3 * 51 * 50 + 51 * 2
    # four gates of 40 on 11 inputs, then on 40, with the memory and a bias; 2 outputs
    assert size_of(MODELS.get("lstm")(**world)) == 4 * 40 * (11 + 40 + 1) + 4 * 40 * (40 + 40 + 1) + 41 * 2


@every
def test_bfloat16_is_close_to_float32_and_keeps_parameters(case):
    frames, (step, params) = make_frames(), made(case)
    model = make(case, dtype=jnp.bfloat16)
    assert {x.dtype for x in jax.tree.leaves(shapes_of(model))} == {jnp.dtype("float32")}
    found, exact = jax.jit(model.apply)({"params": params}, frames).velocity, step(frames).velocity
    assert found.dtype == jnp.float32
    assert 1e-5 < np.abs(found - exact).max() / np.abs(exact - frames.velocity[:, 1]).max() < 0.1


def test_dropout_only_in_training():
    model, frames = make("modern", dropout=0.5), make_frames()
    params = random_like(shapes_of(model))

    @partial(jax.jit, static_argnums=0)
    def run(train: bool, key):
        return model.apply({"params": params}, frames, train=train, rngs={"dropout": key} if train else {}).velocity

    def step(train: bool, key: int):
        return np.asarray(run(train, jax.random.key(key)))

    assert (step(False, 0) == step(False, 1)).all()
    assert (step(True, 0) == step(True, 0)).all()
    assert np.abs(step(True, 0) - step(True, 1)).max() > 0.1
    assert np.abs(step(True, 0) - step(False, 0)).max() > 0.1


def test_an_unknown_pair_layer_is_refused():
    with pytest.raises(UsageError, match="pair='three' is unknown: choose one of joint, two"):
        shapes_of(make("classic", pair="three"))
