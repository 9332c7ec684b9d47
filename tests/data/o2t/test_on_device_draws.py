"""What the device draws (scenes, cameras, modes, steps) is distributed as on the host; its verdicts are the host's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from o2t_jax.data.o2t.acceptance import rejection, render_plan
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.on_device import cast, shots
from o2t_jax.data.o2t.on_device.scenes import SCENES
from o2t_jax.data.o2t.shots import Shot, sample_shot
from o2t_jax.geometry.camera import relative_para, right_eye
from o2t_jax.geometry.para import DIS, FUTURE, LEFT_1, RIGHT_1, TARGET, VIEW
from o2t_jax.physics.room.jax_twin import state_from
from o2t_jax.render.scenes import get_scene
from tests.defaults import acceptance_rule, shot_config

COUNT = 1000
LEAST = 1e-4  # a dozen tests: one in a thousand runs of other seeds would fail


def drawn(draw: Callable[[jax.Array], Any], count: int = COUNT, seed: int = 5) -> Any:
    """`count` draws of a function of a key, as numpy arrays [count, ...]."""
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(seed), count)))


def assert_alike(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Two samples [N, ...] of one distribution, each number by itself."""
    found, expected = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (found, expected))
    for column in range(found.shape[1]):
        # Constants of single and of double precision are equal.
        one, other = np.round(found[:, column], 4), np.round(expected[:, column], 4)
        if np.ptp(other) < 1e-3:
            np.testing.assert_allclose(one, other[0], atol=2e-4, err_msg=what)
        else:
            p: Any = stats.ks_2samp(one, other)
            assert p.pvalue > LEAST, f"{what}, number {column}: {one.mean()}, {other.mean()}"


@pytest.mark.parametrize("name", SCENES)
def test_scenes_start_as_on_the_host(name):
    found = drawn(SCENES[name].start)
    setups = [get_scene(name).sample(np.random.default_rng(i)) for i in range(COUNT)]
    expected = jax.tree.map(lambda *x: np.stack(x), *(state_from(setup) for setup in setups))
    assert_alike(found.colour, np.stack([setup.colour for setup in setups]), "colour")
    for field in ("position", "velocity", "radius", "side", "rolling", "bounces", "vanishes"):
        assert_alike(getattr(found.state, field), getattr(expected, field), field)
    there, expected_there = found.state.ramp.present, expected.ramp.present
    assert abs(there.mean() - expected_there.mean()) < 0.06
    if there.any():
        for field in ("sin", "cos", "ux", "uy", "x", "y", "run", "half_width"):
            one, other = getattr(found.state.ramp, field)[there], getattr(expected.ramp, field)[expected_there]
            assert_alike(one, other, field)


def test_a_ball_on_the_ramp_touches_it_and_no_other_is_inside():
    """Laws of each scene, not of many: the rejection loops' conditions and the contact hold exactly."""
    state = drawn(SCENES["room"].start).state
    ramp, place, radius = state.ramp, state.position[:, 0], state.radius[:, 0]
    dx, dy = place[:, 0] - ramp.x, place[:, 1] - ramp.y
    up, across = ramp.ux * dx + ramp.uy * dy, ramp.ux * dy - ramp.uy * dx
    rolling = state.rolling[:, 0]
    off = np.abs(-ramp.sin * up + ramp.cos * place[:, 2] - radius)[rolling]
    assert rolling.sum() > 250 and off.max() < 1e-4 and np.abs(across[rolling]).max() < 1e-4
    inside = (up > -radius) & (up < ramp.run + radius) & (np.abs(across) < ramp.half_width + radius)
    inside &= place[:, 2] - radius < ramp.run * ramp.sin / ramp.cos
    assert not (inside & ramp.present & ~rolling).any()
    assert (state.side * state.position[..., 0] >= 2.0)[~state.rolling].all()
    assert (np.hypot(ramp.x, ramp.y) <= 20.0).all() and ramp.x.min() >= 3.0


@pytest.mark.parametrize(
    ("name", "mode", "changes"),
    [
        ("ballistic", DIS, {}),
        ("room", VIEW, {"focus": 4.0, "convergence": 6.0}),
        ("ballistic", FUTURE, {"distance_min": 6.0, "distance_max": 9.0}),
        ("room", FUTURE, {}),
    ],
)
def test_cameras_and_times_are_the_hosts(name, mode, changes):
    config, scene = shot_config(**changes), SCENES[name]
    k, n = 5, 9 if mode == FUTURE else 0

    def draw(key: jax.Array) -> Any:
        one, other = jax.random.split(key)
        shot = shots.draw_shot(other, scene.view(one, config), config, *map(jnp.int32, (mode, k, n)))
        return shot, shot.para(), relative_para(shot.para())

    shot, para, relative = drawn(draw)
    host = [sample_shot(np.random.default_rng(i), get_scene(name), config, mode, k, n) for i in range(COUNT)]
    expected = np.stack([one.para() for one in host])
    for axis in (np.cos, np.sin):
        assert_alike(axis(np.radians(para[..., 4])), axis(np.radians(expected[..., 4])), "azimuth")
    assert_alike(relative[:, TARGET], relative_para(expected)[:, TARGET], "target")
    assert_alike(para[:, LEFT_1], np.where(np.arange(6) == 4, para[:, LEFT_1], expected[:, LEFT_1]), "camera 1")
    left = para[:, LEFT_1].astype(np.float64)
    eye = right_eye(left[:, 1:4], left[:, 4], left[:, 5], config.stereo_gap, config.convergence)
    np.testing.assert_allclose(para[:, RIGHT_1, 1:], np.column_stack(eye), atol=1e-4)
    np.testing.assert_array_equal(para[:, 2:4, 1:], para[:, :2, 1:])
    np.testing.assert_allclose(np.diff(shot.times, axis=1)[:, [0, 2]], 0.0)
    np.testing.assert_allclose(shot.times[:, 2] - shot.times[:, 0], config.dt * k, atol=1e-6)
    assert (mode == DIS) == np.array_equal(para[:, TARGET], para[:, LEFT_1])


@pytest.mark.parametrize(
    "mix",
    [
        ModeMix((0.2, 0.5, 0.3), 1, 2),
        ModeMix((0.1, 0.1, 0.8), 1, 12),
        ModeMix((0.1, 0.1, 0.8), 1, 16, (5.0, 4.0)),
        ModeMix((0.0, 1.0, 0.0)),
    ],
)
def test_modes_and_steps_are_drawn_as_by_the_host(mix):
    config, rng, count = shot_config(), np.random.default_rng(1), 4000
    one = jax.tree.map(lambda x: x[0], shots.mixes([mix]))

    def draw(key: jax.Array) -> Any:
        of_mode, of_steps = jax.random.split(key)
        mode = shots.draw_mode(of_mode, one)
        return mode, *shots.draw_steps(of_steps, one, mode, config)

    found = np.stack(drawn(draw, count), axis=1)
    modes = [mix.draw_mode(rng) for _ in range(count)]
    steps = [mix.draw_steps(rng, mode, config.k_min, config.k_max, config.n_max) for mode in modes]
    expected = np.column_stack([modes, steps])
    names, places = np.unique(np.concatenate([found, expected]), axis=0, return_inverse=True)
    table = [np.bincount(part, minlength=len(names)) for part in np.split(places.reshape(-1), 2)]
    often = np.sum(table, axis=0) >= 10
    found_p: Any = stats.chi2_contingency(np.stack(table)[:, often])
    assert often.sum() > 1 and found_p.pvalue > LEAST
    assert np.sum(table, axis=0)[~often].sum() < 0.02 * count


def test_verdicts_and_choice_of_pictures_are_the_hosts():
    """On pictures with squares at random places, large and small, some at the border: every verdict occurs."""
    rng, rule, size = np.random.default_rng(0), acceptance_rule(min_pixels=6), 16
    judge = jax.jit(lambda packed, shot: (cast.judge(packed, shot, rule), cast.own(packed, shot)))
    seen = set()
    for i in range(300):
        mode = i % 3
        shot = sample_shot(rng, get_scene("ballistic"), shot_config(), mode, 4, 9 if mode == FUTURE else 0)
        pictures = np.full((9, size, size, 3), 200, np.uint8)
        for picture in pictures:
            side = rng.choice([2, 3, 4], p=[0.04, 0.48, 0.48])
            row, column = rng.integers(0 if rng.random() < 0.06 else 1, size - 1 - side, 2)
            colour = 200 + rng.choice([12, 13, 40], p=[0.02, 0.49, 0.49])
            picture[row : row + side, column : column + side, rng.integers(3)] = colour
        plan = render_plan(shot)
        reason = rejection(pictures[: len(plan.times)], plan, rule)
        packed = (pictures.astype(np.uint32) << np.array([0, 8, 16], np.uint32)).sum(axis=-1, dtype=np.uint32)
        (still, cut), own = judge(packed, device_shot(shot))
        assert bool(still | cut) == bool(reason), (reason, still, cut)
        np.testing.assert_array_equal(own, packed[list(plan.sample)])
        seen.add((mode, reason))
    assert len(seen) == 9, seen


def device_shot(shot: Shot) -> shots.DeviceShot:
    """A host's shot as float32 arrays."""
    return shots.DeviceShot(*(np.asarray(x, np.float32) for x in shot[:3]), *(np.int32(x) for x in shot[3:]))
