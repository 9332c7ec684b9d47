"""The sets of clips obey the laws that they are named after, and show what moves where it is."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.video import SETS, get_set
from o2t_jax.physics.video.base import SIDE
from o2t_jax.physics.video.shapes import DRAG

NAMES = list(SETS)
CLIPS, FRAMES = 12, 60


@pytest.fixture(scope="module")
def clips():
    """set -> (the set, params [N], motion [N, T])."""
    found = {}

    def get(name):
        if name not in found:
            video = get_set(name)
            keys = jax.random.split(jax.random.key(3), CLIPS)
            make = jax.jit(jax.vmap(lambda key: (params := video.draw(key), video.move(params, FRAMES))))
            found[name] = video, *jax.device_get(make(keys))
        return found[name]

    return get


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_as_its_contract_says(clips, name) -> None:
    video, params, motion = clips(name)
    assert video.name == name and video.clips >= 2000
    assert motion.state.shape == (CLIPS, FRAMES, len(video.entries)) and np.isfinite(motion.state).all()
    assert motion.place.shape[:2] == (CLIPS, FRAMES)
    seen = np.broadcast_to(motion.seen[:, None, :, None], motion.place.shape)
    assert np.all((motion.place[seen] > 0.0) & (motion.place[seen] < SIDE))
    named = {**params._asdict(), **(params.constants._asdict() if hasattr(params, "constants") else {})}
    constant = named[video.constant] / video.nominal
    assert constant.min() >= 0.5 - 1e-6 and constant.max() <= 2.0 + 1e-6 and constant.std() > 0.2
    shorter = video.move(jax.tree.map(lambda x: x[0], params), 7)  # a longer clip goes on where a shorter one ends
    np.testing.assert_allclose(shorter.state, motion.state[0, :7], atol=2e-3)


@pytest.mark.parametrize("name", ["bouncing_balls", "multi_ball", "projectile"])
def test_balls_fall_by_their_own_gravity_and_stay_in_the_box(clips, name) -> None:
    _, params, motion = clips(name)
    place, seen = motion.place, motion.seen
    velocity = motion.state[..., place.shape[2] * 2 :].reshape(place.shape)
    low = place - params.radius[:, None, :, None]
    high = place + params.radius[:, None, :, None]
    inside = (low > -1e-2) & (high < SIDE + 1e-2)
    assert inside[np.broadcast_to(seen[:, None, :, None], inside.shape)].all()
    # Where nothing is met the change of the velocity is that of gravity, and it is most of the time.
    change = np.diff(velocity, axis=1)
    free = np.isclose(change[..., 1], -params.gravity[:, None, None], atol=2e-3) & (np.abs(change[..., 0]) < 2e-3)
    assert free[np.broadcast_to(seen[:, None], free.shape)].mean() > 0.6
    energy = 0.5 * np.sum(velocity**2, -1) + params.gravity[:, None, None] * place[..., 1]
    total = np.sum(np.where(seen[:, None], energy * params.mass[:, None], 0.0), axis=2)
    # Contacts take energy; what the slowest rebounds add is little.
    assert np.all(np.diff(total, axis=1) < 0.02 * total[:, :1])


@pytest.mark.parametrize("name", ["pendulum", "spring_mass"])
def test_periods_are_those_of_the_clips_constant(clips, name) -> None:
    video, params, _ = clips(name)
    start = params.start
    small = params._replace(start=type(start)(np.full(CLIPS, 0.02), np.zeros(CLIPS)))
    track = np.asarray(jax.vmap(lambda params: video.move(params, 240))(small).state[..., 0])
    rate = params.constants.gravity / video.length if name == "pendulum" else params.constants.stiffness
    for x, square in zip(track, rate, strict=True):
        before = np.flatnonzero((x[:-1] > 0) & (x[1:] <= 0))
        crossing = before + x[before] / (x[before] - x[before + 1])
        damped = np.sqrt(square - 0.25 * video.damping**2)
        assert np.mean(np.diff(crossing)) == pytest.approx(2.0 * np.pi / damped, rel=3e-3)


def test_the_double_pendulum_keeps_its_energy(clips) -> None:
    from o2t_jax.physics.envs.double_pendulum import DoublePendulum, DoublePendulumState

    _, params, motion = clips("double_pendulum")

    def energy(row, constants):
        return DoublePendulum().energy(DoublePendulumState(row[:2], row[2:]), constants)[0]

    found = np.asarray(jax.vmap(jax.vmap(energy, (0, None)))(jnp.asarray(motion.state), params.constants))
    assert np.abs(found - found[:, :1]).max() < 2e-3 * np.abs(found).max()


def test_shapes_reach_their_terminal_speed_and_lose_half_their_speed_on_the_floor(clips) -> None:
    video, params, _ = clips("falling_shapes")
    one = jax.tree.map(lambda x: x[0], params)._replace(size=np.float32(5.0))
    deep = one._replace(start=np.array([30.0, 4000.0, 0.3, 0.0], np.float32))
    state = np.asarray(video.move(deep, 60).state)
    speed = np.sqrt(one.gravity / one.drag)
    time = np.arange(60.0)
    np.testing.assert_allclose(state[:, 3], -speed * np.tanh(one.gravity * time / speed), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(state[:, 0], 30.0 + 0.3 * time, atol=1e-3)
    assert {round(float(k), 3) for k in params.drag} <= set(DRAG)
    # Without drag: the contact's time and height are those of the parabola.
    light = one._replace(start=np.array([30.0, 13.0, 0.0, 0.0], np.float32), drag=np.float32(0.0))
    state = np.asarray(video.move(light, 40).state)
    met = np.sqrt(2 * 8.0 / light.gravity)
    after = np.flatnonzero(np.diff(state[:, 3]) > 0.1)[0] + 1
    left, rebound = after - met, 0.5 * light.gravity * met
    assert state[after, 3] == pytest.approx(rebound - light.gravity * left, abs=2e-3)
    assert state[after, 1] == pytest.approx(5.0 + rebound * left - 0.5 * light.gravity * left**2, abs=2e-3)


def test_planets_obey_keplers_laws(clips) -> None:
    _, params, motion = clips("orbits")
    place, velocity = (motion.state[..., at].reshape(CLIPS, FRAMES, 3, 2) for at in (slice(0, 6), slice(6, 12)))
    away = place - SIDE / 2
    distance = np.linalg.norm(away, axis=-1)
    energy = 0.5 * np.sum(velocity**2, -1) - params.pull[:, None, None] / distance
    np.testing.assert_allclose(
        energy, np.broadcast_to(-0.5 * (params.pull[:, None] / params.axis)[:, None], energy.shape), rtol=1e-3
    )
    area = away[..., 0] * velocity[..., 1] - away[..., 1] * velocity[..., 0]
    np.testing.assert_allclose(area, np.broadcast_to(area[:, :1], area.shape), rtol=1e-3)
    middle = (place[:, 2:] - place[:, :-2]) / 2
    assert np.abs(middle - velocity[:, 1:-1]).max() < 0.1
    assert (distance.max(1) / distance.min(1)).max() > 1.05
    # three rings that do not meet
    assert np.all(np.diff(distance.max(1)[:, :-1], axis=1) > 0) and np.all(
        distance.min(1)[:, 1:] > distance.max(1)[:, :-1]
    )


def test_waves_run_at_the_clips_speed_and_are_not_reflected(clips) -> None:
    video, params, motion = clips("waves")
    one = jax.tree.map(lambda x: x[0], params)._replace(
        place=np.array([[32.0, 32.0], [10.0, 10.0]], np.float32), strength=np.array([1.0, 0.0], np.float32)
    )
    surface = np.asarray(video.move(one, 200).more)
    assert 0.3 < np.abs(surface).max() < 4.0
    # A wave of frequency w has wave number w / c: from the phase of its frequency along a ray, away from the source.
    turn = np.exp(-1j * one.frequency[0] * np.arange(200.0))
    ray = np.unwrap(np.angle(np.tensordot(turn, surface[:, 32, 38:52], 1)))
    number = -np.polyfit(np.arange(38, 52) + 0.5, ray, 1)[0]
    assert number == pytest.approx(one.frequency[0] / one.speed, rel=0.06)
    # It decays as 1 / sqrt(r): a reflected wave would make knots.
    size = np.abs(np.tensordot(turn, surface[:, 32, 36:53], 1)) * np.sqrt(np.arange(36, 53) + 0.5 - 32)
    assert size.std() / size.mean() < 0.1
    assert np.abs(motion.more).mean() > 0.05
