"""The task `cartpole`: Gymnasium's world step by step, returns that are Gymnasium's, clips that obey the law."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.data.video.clips import picture
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.video.references import controlled_by
from o2t_jax.physics.video import cartpole
from o2t_jax.physics.video.cartpole import FAR, LONGEST, STEPS, TILTED, WAIT, CartPole, CartPoleParams, scene_of
from o2t_jax.physics.video.tasks import TASKS, play, replay
from o2t_jax.systems import video_config

TASK = CartPole()


def signs(first, frames: int) -> np.ndarray:
    """Pushes [frames, 2]."""
    return np.stack([np.broadcast_to(first, frames), np.zeros(frames)], axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def gym():
    """CartPole-v1."""
    return pytest.importorskip("gymnasium").make("CartPole-v1")


def test_every_step_is_gymnasiums(gym) -> None:
    advance, random = jax.jit(cartpole.accelerated), np.random.default_rng(0)
    for seed in range(10):
        state = gym.reset(seed=seed)[0]
        for _ in range(60):
            right = int(random.integers(2))
            after, _, fallen, _, _ = gym.step(right)
            ours = advance(state, 20.0 * right - 10.0)
            np.testing.assert_allclose(ours, after, rtol=1e-5, atol=1e-6)
            assert bool(cartpole.beyond(ours)) == fallen
            if fallen:
                break
            state = after


def test_a_return_is_the_number_of_gymnasiums_steps(gym) -> None:
    random = np.random.default_rng(1)
    pushes = signs(1.0, 40) * random.choice([-1.0, 1.0], (12, 40, 1)).astype(np.float32)
    starts = cartpole.resets(12, 0)
    played = replay(TASK, starts, pushes, 40)
    odd = 0
    for k in range(12):
        gym.reset(seed=0)
        gym.unwrapped.state = np.array(starts.state[k], np.float64)
        steps, fallen = 0, False
        while not fallen and steps < 80:
            _, reward, fallen, _, _ = gym.step(int(pushes[k, steps // 2, 0] > 0.0))
            steps += int(reward)
        assert played.total[k] == steps and bool(played.ended[k]) == fallen
        odd += steps % 2
    assert 0 < odd < 12  # both kinds of last frame


def test_the_limits_end_an_episode() -> None:
    for state, over in (
        ([0.0, 0.0, 0.0, 0.0], False),
        ([FAR - 0.001, 1.0, 0.0, 0.0], True),
        ([0.0, 0.0, -TILTED + 0.001, -1.0], True),
        ([0.0, 0.0, TILTED - 0.05, 0.0], False),
    ):
        after = TASK.advance(cartpole.at_rest(np.array(state, np.float32)), np.ones(2))
        assert bool(TASK.over(after)) is over, state


def test_a_linear_controller_holds_the_pole_and_chance_does_not() -> None:
    rows = controlled_by(TASK, cartpole.resets(20, 0))
    assert np.all(rows["linear"].total == 2 * STEPS) and not rows["linear"].ended.any()
    assert 15.0 < rows["random"].total.mean() < 25.0


def test_the_same_resets_are_the_tests_and_others_are_not() -> None:
    test = TASK.tests["random"]().state
    np.testing.assert_array_equal(test, TASK.tests["random"]().state)
    assert test.shape == (100, 4) and np.abs(test).max() <= 0.05
    assert not np.isin(TASK.starts(100, 1001).state, test).any()


@pytest.fixture(scope="module")
def clips():
    """256 clips of 12 frames: what they were made from, their states, what `acted` says."""
    params = jax.vmap(TASK.draw)(jax.random.split(jax.random.key(0), 256))
    motion = jax.jit(jax.vmap(lambda params: TASK.move(params, 12)))(params)
    return jax.device_get((params, motion.state, jax.vmap(TASK.acted)(motion, params)))


def test_clips_obey_the_law_until_the_end_and_stand_still_after_it(clips) -> None:
    params, states, acted = clips
    before, after = (scene_of(x) for x in (states[:, :-1], states[:, 1:]))
    moved = TASK.advance(before, acted["actions"])
    waits = np.arange(11) < params.wait[:, None]
    stays = waits | np.asarray(TASK.over(before))
    np.testing.assert_allclose(after.state[~stays], moved.state[~stays], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(after.state[stays], before.state[stays])
    np.testing.assert_array_equal(acted["continues"], 1.0 - states[..., 5])
    assert not np.any(acted["actions"][waits]) and np.all(np.abs(acted["actions"][~waits][:, 0]) == 1.0)
    assert set(np.unique(acted["rewards"])) == {1.0, 2.0}
    assert np.all(acted["rewards"][acted["continues"] == 1.0] == 2.0)
    assert 0.1 < np.mean(params.wait == WAIT) < 0.4 and np.all(np.abs(params.state[params.wait == WAIT]) <= 0.05)
    assert 0.4 < acted["continues"].mean() < 0.8  # falls are seen, and what comes before them


def test_collected_clips_are_cut_from_the_episodes() -> None:
    pushes = signs(1.0, 30) * np.where(np.arange(30) % 2, 1.0, -1.0)[:, None]
    policy = lambda memory, scene, time, key: (jnp.asarray(pushes)[time] * jnp.ones((6, 1)), memory)  # noqa: E731
    played = jax.device_get(play(TASK, policy, cartpole.resets(6, 1), jax.random.key(0), 30))
    params = TASK.collected(played, 8, 0)
    motion = jax.vmap(lambda params: TASK.move(params, 8))(params)
    for k in range(6):
        first = int(np.flatnonzero(np.all(played.scenes.state[k] == params.state[k], axis=-1))[0])
        moving = np.asarray(motion.state)[k, params.wait[k] :]
        np.testing.assert_allclose(moving[:, :4], played.scenes.state[k, first : first + len(moving)], atol=1e-5)


def test_a_picture_shows_angle_and_place() -> None:
    def ends(state) -> tuple[float, float]:
        """Column of the centre of brightness of rows above and of the lowest ones, px of 32."""
        params = CartPoleParams(jnp.asarray(state), signs(1.0, LONGEST), np.zeros((), int))
        motion = jax.tree.map(lambda x: x[0], TASK.move(params, 2))
        shown = np.asarray(picture(TASK, motion._replace(seen=np.ones(2, bool)), params, 32))
        above, below = (float(x @ (np.arange(32) + 0.5) / x.sum()) for x in (shown[4:8].sum(0), shown[26:30].sum(0)))
        return above, below

    upright, tilted, right = (ends(np.array(x, np.float32)) for x in ([0, 0, 0, 0], [0, 0, 0.02, 0], [0.1, 0, 0, 0]))
    assert upright == pytest.approx((16.0, 16.0), abs=0.01)
    assert tilted[0] - 16.0 == pytest.approx(22.0 * 0.02, rel=0.15)  # a radian is 46 px of 64 at the tip
    assert right[0] - 16.0 == pytest.approx(0.1 * 11.0 / 2.4, rel=0.05)


def test_what_cannot_be_is_refused_in_a_line() -> None:
    with pytest.raises(UsageError, match="a clip of cartpole has at most 65 frames"):
        TASK.move(CartPoleParams(np.zeros(4), signs(1.0, LONGEST), np.zeros((), int)), LONGEST + 2)
    with pytest.raises(UsageError, match="cartpole"):
        TASKS["cart"]


def test_the_registry_has_the_tasks_that_a_config_may_name() -> None:
    assert set(TASKS) == set(video_config.TASKS)
    for name in TASKS:
        task = TASKS[name]()
        assert task.name == name and "random" in task.tests and next(iter(task.looks)) == "as trained"
