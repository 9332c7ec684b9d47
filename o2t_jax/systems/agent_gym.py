"""An agent of the task `cartpole` in Gymnasium's own CartPole-v1, of which it sees the pictures of `physics.video`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.video.control import Row
from o2t_jax.physics.video.cartpole import REPEAT, at_rest
from o2t_jax.render.planar import to_bytes
from o2t_jax.systems.agent_simulator import pictures
from o2t_jax.systems.agent_tests import AgentTests
from o2t_jax.types import PyTree

if TYPE_CHECKING:
    from o2t_jax.systems.agent import Agent

EPISODES = 100


def in_gymnasium(system: Agent, params: PyTree, extra: PyTree, episodes: int = EPISODES) -> dict[str, Row]:
    """Rows `agent` and `random`, of episodes whose resets have the seeds 0, 1, ...

    The agent's push is held for two steps; the random one is new at every step. Raises: UsageError without Gymnasium,
    or for another task.
    """
    task, size = system.task, system.config.size
    if task.name != "cartpole":
        raise UsageError(f"sets={task.name} is no world of Gymnasium: leave out --compare=gymnasium")
    tests = AgentTests(system)

    @jax.jit
    def decide(params: PyTree, extra: PyTree, memory: Any, states: jax.Array, time: Any) -> Any:
        scenes = jax.tree.map(jnp.asarray, at_rest(states))
        state, seen = tests.seen(params, extra, memory, to_bytes(pictures(task, scenes, size)), time)
        push = system.best_push(params, state)
        return push[:, 0] > 0.0, tests.pushed(seen, push)

    envs, memory = _envs(episodes), tests.nothing_seen(episodes)
    total, over = np.zeros(episodes), np.zeros(episodes, bool)
    for time in range(task.steps):
        states = np.array([env.unwrapped.state for env in envs], np.float32)
        right, memory = decide(params, extra, memory, states, time)
        for _ in range(REPEAT):
            _step(envs, np.asarray(right, int), total, over)
        if over.all():
            break
    return {"agent": Row(total, np.ceil(total / REPEAT), total < task.steps * REPEAT), "random": _random(episodes)}


def _random(episodes: int) -> Row:
    envs, random = _envs(episodes), np.random.default_rng(0)
    total, over = np.zeros(episodes), np.zeros(episodes, bool)
    while not over.all():
        _step(envs, random.integers(2, size=episodes), total, over)
    return Row(total, np.ceil(total / REPEAT), over)


def _envs(count: int) -> list[Any]:
    try:
        import gymnasium  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError("--compare=gymnasium needs Gymnasium: install the extra gym, or leave it out") from None
    envs = [gymnasium.make("CartPole-v1") for _ in range(count)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    return envs


def _step(envs: list[Any], right: np.ndarray, total: np.ndarray, over: np.ndarray) -> None:
    """One step of each env whose episode is not over; adds to `total` and `over`."""
    for k in np.flatnonzero(~over):
        _, reward, fallen, cut, _ = envs[k].step(int(right[k]))
        total[k] += reward
        over[k] = fallen or cut


__all__ = ["EPISODES", "in_gymnasium"]
