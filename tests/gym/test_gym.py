"""The worlds as Gymnasium environments: Gymnasium's own checker, determinism, parameters, truncation, bad input."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.envs import ENVIRONMENTS

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from o2t_jax.gym import gym_id  # noqa: E402
from o2t_jax.gym.rewards import swing_up  # noqa: E402

# What the checker remarks on although it is meant: SI units in place of [-1, 1], and vectors without bounds.
MEANT = ("normalized space", "infinity")


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_every_world_passes_gymnasiums_checker(name):
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        check_env(gymnasium.make(gym_id(name), size=16, render_mode="rgb_array").unwrapped)
    remarks = [str(item.message) for item in raised if item.category is not DeprecationWarning]
    assert [text for text in remarks if not any(part in text for part in MEANT)] == []


def episode(env, seed, **options):
    rng = np.random.default_rng(0)
    first, info = env.reset(seed=seed, options=options or None)
    seen, rewards, over = [first], [], False
    while not over:
        after, reward, terminated, over, info = env.step(int(rng.integers(env.action_space.n)))
        assert not terminated
        seen.append(after)
        rewards.append(reward)
    return np.array(seen), np.array(rewards), info


def test_an_episode_is_a_function_of_its_seed_and_lasts_its_duration():
    env = gymnasium.make("o2t_jax/Pendulum-v0")
    (seen, rewards, info), (again, _, same), (other, _, _) = (episode(env, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(seen, again)
    assert info["params"] == same["params"] and not np.array_equal(seen, other)
    assert len(rewards) == 100 and info["time"] == pytest.approx(10.0)
    assert 0.05 <= info["params"]["damping"] <= 0.5 and rewards.max() < 0.0
    short = gymnasium.make("o2t_jax/Pendulum-v0", dt=0.25, duration=1.0)
    assert len(episode(short, 3)[1]) == 4


def test_parameters_and_the_start_can_be_given():
    env = gymnasium.make("o2t_jax/Pendulum-v0", length=0.8, reward=lambda seen, action, params: params["length"])
    seen, rewards, info = episode(env, 0, params={"damping": 0.0}, state=[1.0, 0.0])
    assert info["params"]["damping"] == 0.0 and info["params"]["length"] == pytest.approx(0.8)
    assert seen[0].tolist() == [1.0, 0.0] and rewards[0] == pytest.approx(0.8)
    # The acceleration of the first step, from rest, is that of the shorter pendulum.
    env = gymnasium.make("o2t_jax/Pendulum-v0", dt=0.001, length=0.8)
    env.reset(seed=0, options={"params": {"damping": 0.0}, "state": [1.0, 0.0]})
    after = env.step(1)[0]
    assert after[1] / 0.001 == pytest.approx(-9.81 / 0.8 * np.sin(1.0), rel=1e-3)


def test_a_law_of_gravity_can_be_chosen():
    """From rest at the same start, g(z) = g0 + alpha / (z + 10) pulls harder than g0 alone."""
    falls = []
    for law in ({"law": "hyperbolic", "g0": 9.0, "alpha": 20.0}, {"law": "constant", "g0": 9.0}):
        env = gymnasium.make("o2t_jax/Ballistic-v0", **law)
        env.reset(seed=0, options={"state": [0.0, 0.0, 4.0, 0.0, 0.0, 0.0]})
        falls.append(env.step(np.zeros(3, np.float32))[0][5] / -0.1)
    assert falls[1] == pytest.approx(9.0, rel=1e-5) and falls[0] == pytest.approx(9.0 + 20.0 / 14.0, rel=1e-2)


def test_pictures_are_those_of_the_planar_renderer():
    env = gymnasium.make("o2t_jax/Oscillator-v0", render_mode="rgb_array", size=48)
    env.reset(seed=0, options={"state": [1.5, 0.0]})
    above = env.render()
    env.reset(seed=0, options={"state": [-1.5, 0.0]})
    assert above.shape == (48, 48, 3) and above.dtype == np.uint8
    np.testing.assert_array_equal(env.render()[::-1], above)
    assert above[:24].max() > 200 and above[24:].max() < 100
    assert gymnasium.make("o2t_jax/Oscillator-v0").unwrapped.render() is None


def test_upright_and_at_rest_is_the_best_for_a_pendulum():
    still = np.zeros(1)
    assert swing_up(np.array([np.pi, 0.0]), still, {}) == pytest.approx(0.0, abs=1e-12)
    assert swing_up(np.array([-3 * np.pi, 0.0]), still, {}) == pytest.approx(0.0, abs=1e-12)
    assert swing_up(np.array([0.0, 0.0]), still, {}) == pytest.approx(-(np.pi**2))
    assert swing_up(np.array([np.pi, 1.0]), np.array([2.0]), {}) == pytest.approx(-0.104)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"dt": 0.0}, "above 0, at most"),
        ({"dt": 0.6}, "above 0, at most"),
        ({"size": 0}, "size=0 px"),
        ({"duration": 0.0}, "longer than 0 s"),
        ({"lenght": 0.8}, "did you mean 'length'"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(keywords, message):
    with pytest.raises(UsageError, match=message):
        gymnasium.make("o2t_jax/Pendulum-v0", **keywords)


def test_bad_actions_and_options_are_refused():
    env = gymnasium.make("o2t_jax/Pendulum-v0").unwrapped
    with pytest.raises(UsageError, match="reset first"):
        env.step(0)
    for options, message in (
        ({"params": {"dampin": 0.1}}, "did you mean 'damping'"),
        ({"params": {"length": 0.0}}, "above 0"),
        ({"state": [1.0]}, "2 finite numbers"),
        ({"start": [1.0]}, "choose params or state"),
    ):
        with pytest.raises(UsageError, match=message):
            env.reset(seed=0, options=options)
    env.reset(seed=0)
    with pytest.raises(UsageError, match="action 3 is not in the table"):
        env.step(3)


def test_without_gymnasium_one_line_names_the_extra():
    code = """
import sys, importlib.abc
find = __import__("importlib.util").util.find_spec
__import__("importlib.util").util.find_spec = lambda name, *a: None if name == "gymnasium" else find(name, *a)
import o2t_jax.gym
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and 'pip install "o2t_jax[gym]"' in done.stderr.splitlines()[-1]
