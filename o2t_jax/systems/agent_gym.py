"""An agent of the task `cartpole` in Gymnasium's own CartPole-v1, of which it sees the pictures of `physics.video`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
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


def check(task: str) -> None:
    """Raises: UsageError for another task, or without Gymnasium."""
    if task != "cartpole":
        raise UsageError(f"sets={task} is no world of Gymnasium: leave out --compare=gymnasium")
    if importlib.util.find_spec("gymnasium") is None:
        raise UsageError("--compare=gymnasium needs Gymnasium: install the extra gym, or leave it out")


def in_gymnasium(system: Agent, params: PyTree, extra: PyTree, episodes: int = EPISODES) -> dict[str, Row]:
    """Rows `agent`, `random` and `linear`, of episodes whose resets have the seeds 0, 1, ...

    The agent's push is held for two steps; those of the others, which know the state or nothing, are new at every step.
    Raises: see `check`.
    """
    task, size, tests = system.task, system.config.size, AgentTests(system)
    check(task.name)

    @jax.jit
    def decide(params: PyTree, extra: PyTree, memory: Any, states: jax.Array, time: Any) -> Any:
        scenes = jax.tree.map(jnp.asarray, at_rest(states))
        state, seen = tests.seen(params, extra, memory, to_bytes(pictures(task, scenes, size)), time)
        push = system.best_push(params, state)
        return push[:, 0] > 0.0, tests.pushed(seen, push)

    memory, right = tests.nothing_seen(episodes), np.zeros(episodes, int)

    def agent(states: np.ndarray, step: int) -> np.ndarray:
        nonlocal memory, right
        if step % REPEAT == 0:
            found, memory = decide(params, extra, memory, states, step // REPEAT)
            right = np.asarray(found, int)
        return right

    random, linear = np.random.default_rng(0), jax.jit(task.controllers()["linear"])

    def by_state(states: np.ndarray, step: int) -> np.ndarray:
        return np.asarray(linear(at_rest(states), step, None)[:, 0] > 0.0, int)

    by_chance = lambda states, step: random.integers(2, size=episodes)  # noqa: E731
    policies = {"agent": agent, "random": by_chance, "linear": by_state}
    return {name: _played(episodes, policy) for name, policy in policies.items()}


def _played(episodes: int, policy: Callable[[np.ndarray, int], np.ndarray]) -> Row:
    """Episodes under `policy(states [N, 4], step) -> [N]`, 1 to the right and 0 to the left."""
    envs, total, over, step = _envs(episodes), np.zeros(episodes), np.zeros(episodes, bool), 0
    fallen = np.zeros(episodes, bool)
    while not over.all():
        right = policy(np.array([env.unwrapped.state for env in envs], np.float32), step)
        for k in np.flatnonzero(~over):
            _, reward, fallen[k], cut, _ = envs[k].step(int(right[k]))
            total[k] += reward
            over[k] = fallen[k] or cut
        step += 1
    return Row(total, np.ceil(total / REPEAT), fallen)


def _envs(count: int) -> list[Any]:
    import gymnasium  # pyright: ignore[reportMissingImports]

    envs = [gymnasium.make("CartPole-v1") for _ in range(count)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    return envs


__all__ = ["EPISODES", "check", "in_gymnasium"]
