"""The task `pusher`: its law by hand, its reward, its tasks, its clips; what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.video import control
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.pushes import LONGEST, Pusher, scene_of
from o2t_jax.physics.video.tasks import checked, play, replay


def scene(place, speed=(0.0, 0.0), target=(48.0, 32.0)) -> pusher.Scene:
    return pusher.Scene(*(np.array(x, np.float32) for x in (place, speed, target)))


def test_a_push_accelerates_as_the_law_says() -> None:
    now, velocity, place = scene((20.0, 30.0), (1.0, -2.0)), np.array([1.0, -2.0]), np.array([20.0, 30.0])
    for push in ((0.5, -0.25), (0.0, 0.0), (1.0, 1.0)):
        velocity = 0.95 * (velocity + 2.0 * np.array(push))
        place = place + velocity
        now = pusher.advance(now, np.array(push))
        np.testing.assert_allclose(now.velocity, velocity, rtol=1e-6)
        np.testing.assert_allclose(now.position, place, rtol=1e-6)


def test_a_push_beyond_the_limits_is_the_one_at_the_limit() -> None:
    beyond, full = (pusher.advance(scene((20.0, 30.0)), np.array(push)) for push in ((3.0, -7.0), (1.0, -1.0)))
    np.testing.assert_array_equal(beyond.velocity, full.velocity)


def test_a_wall_stops_the_ball_across_and_lets_it_slide_along() -> None:
    now = pusher.advance(scene((58.0, 30.0), (4.0, 1.0)), np.zeros(2))
    np.testing.assert_allclose(now.position, [59.0, 30.95], rtol=1e-6)
    np.testing.assert_allclose(now.velocity, [0.0, 0.95], rtol=1e-6)


def test_the_reward_is_distance_and_ten_more_at_the_target() -> None:
    assert float(pusher.reward(scene((16.0, 32.0)))) == pytest.approx(-0.5)
    assert float(pusher.reward(scene((44.0, 32.0)))) == pytest.approx(10.0 - 4.0 / 64.0)
    assert not pusher.reached(scene((43.0, 32.0))) and pusher.reached(scene((43.1, 32.0)))


def test_an_episode_ends_at_the_target_and_is_counted_until_then() -> None:
    push = lambda memory, now, time, key: (jnp.ones_like(now.position) * jnp.array([1.0, 0.0]), memory)  # noqa: E731
    played = play(Pusher(), push, pusher.fixed_task(), jax.random.key(0))
    place, speed, total, steps = 16.0, 0.0, 0.0, 0
    while abs(place - 48.0) >= 5.0:
        speed = 0.95 * (speed + 2.0)
        place, steps = place + speed, steps + 1
        total -= abs(place - 48.0) / 64.0
    assert played.ended[0] and played.steps[0] == steps
    assert float(played.total[0]) == pytest.approx(total + 10.0, rel=1e-5)
    np.testing.assert_allclose(played.scenes.position[0, steps:, 0], place, rtol=1e-5)


def test_a_replay_is_the_episode_of_these_pushes() -> None:
    played = replay(Pusher(), pusher.fixed_task(), np.full((1, 6, 2), [1.0, 0.0]))
    assert played.ended[0] and played.steps[0] == 6
    short = replay(Pusher(), pusher.fixed_task(), np.full((1, 1, 2), [0.1, 0.0]))
    # What is left of one gentle push: v / (1 - 0.95) in all, of which 50 steps are nearly all.
    assert short.scenes.position[0, -1, 0] == pytest.approx(16.0 + 0.19 * (1.0 - 0.95**50) / 0.05, rel=1e-4)
    with pytest.raises(UsageError, match=r"action 2 is outside of \[-1, 1\]"):
        replay(Pusher(), pusher.fixed_task(), np.full((1, 6, 2), 2.0))
    with pytest.raises(UsageError, match=r"are not of 1 task"):
        replay(Pusher(), pusher.fixed_task(), np.zeros((2, 6, 2)))


def test_nothing_scores_as_the_original_did_and_a_controller_beats_it() -> None:
    for tasks in (pusher.fixed_task(), pusher.random_tasks(12)):
        idle, best = control.nothing(tasks), control.controlled(tasks)
        away = np.linalg.norm(tasks.position - tasks.target, axis=1)
        np.testing.assert_allclose(idle.total, -50.0 * away / 64.0, rtol=1e-4)
        assert best.ended.all() and best.total.min() > 5.0
        assert control.score(idle.total, idle, best) == 0.0 and control.score(best.total, idle, best) == 1.0
        random = control.at_random(tasks)
        assert random.total.mean() < control.constant(tasks).total.mean() <= best.total.mean() + 0.1


def test_random_tasks_are_the_same_ones_and_lie_apart() -> None:
    tasks, again = pusher.random_tasks(), pusher.random_tasks()
    np.testing.assert_array_equal(tasks.position, again.position)
    for x in (tasks.position, tasks.target):
        assert x.shape == (100, 2) and x.min() >= 8.0 and x.max() <= 56.0
    assert np.linalg.norm(tasks.position - tasks.target, axis=1).min() >= 10.0
    assert not np.any(tasks.velocity)


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ([[0.0, 1.5]], "action 1.5 is outside of [-1, 1]"),
        ([[0.0, np.nan]], "action nan is outside"),
        ([[0.0, 0.0, 0.0]], "shape (1, 3)"),
    ],
)
def test_pushes_that_cannot_be_are_refused_in_a_line(actions, words) -> None:
    with pytest.raises(UsageError) as error:
        checked(actions)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_clips_obey_the_law_under_their_own_pushes() -> None:
    video = Pusher()
    params = jax.vmap(video.draw)(jax.random.split(jax.random.key(0), 64))
    motion = jax.vmap(lambda params: video.move(params, 10))(params)
    acted = jax.vmap(video.acted)(motion, params)
    scenes = scene_of(np.asarray(motion.state))
    before = jax.tree.map(lambda x: x[:, :-1], scenes)
    np.testing.assert_allclose(
        pusher.advance(before, acted["actions"]).position, scenes.position[:, 1:], rtol=1e-5, atol=1e-4
    )
    away = np.linalg.norm(scenes.position - scenes.target, axis=-1)
    np.testing.assert_array_equal(acted["continues"] == 0.0, away < 5.0)
    np.testing.assert_allclose(acted["rewards"], 10.0 * (away < 5.0) - away / 64.0, rtol=1e-4, atol=1e-4)
    assert np.abs(acted["actions"]).max() <= 1.0 and np.asarray(acted["actions"]).std() > 0.3
    moving = np.linalg.norm(params.velocity, axis=-1)
    assert np.any(moving == 0.0) and np.any(moving > 1.0)  # some start at rest, some do not
    with pytest.raises(UsageError, match="at most 65 frames"):
        video.move(jax.tree.map(lambda x: x[0], params), LONGEST + 2)
