"""What else is asked of an agent and of its dream: constant pushes, other looks, planning in place of an actor."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.video.clips import ACTIONS
from o2t_jax.evaluation.video import control
from o2t_jax.evaluation.video.references import references
from o2t_jax.models.video.agent import one_sided
from o2t_jax.models.video.model import State, run
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.base import SIDE
from o2t_jax.systems.agent_simulator import pictures
from o2t_jax.systems.agent_tests import AgentTests, numbers
from o2t_jax.types import Array, PyTree

if TYPE_CHECKING:
    from o2t_jax.systems.agent import Agent

PUSHES = ((0.0, 0.0), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.5), (-0.5, 0.0))


@dataclasses.dataclass(frozen=True)
class Search:
    """Of the cross-entropy method in the dream: `plans` a round, `rounds`, `elite` that survive."""

    plans: int = 48
    rounds: int = 3
    elite: int = 8


def constant_pushes(system: Agent, params: PyTree, extra: PyTree) -> list[dict[str, Any]]:
    """Of `pusher`, the distance from the target, px, after each step of a constant push from the fixed task's start:
    true, and dreamt.

    The dreamt one is read off the reward: -64 times it, of an episode that goes on.
    """
    steps = system.config.dream_steps
    pushes = jnp.asarray(PUSHES)
    scene = pusher.Scene(*(jnp.broadcast_to(jnp.asarray(x[0], jnp.float32), pushes.shape) for x in pusher.fixed_task()))

    @jax.jit
    def both(params: PyTree, extra: PyTree) -> Any:
        shown = pictures(system.task, scene, system.config.size)
        context = system.config.context
        seen = jnp.repeat(shown[:, None], context, axis=1)
        start = system.filtered(params, extra, seen, jnp.zeros((len(pushes), context - 1, 2)))

        def step(carry: tuple[State, pusher.Scene], _: None) -> Any:
            state, now = carry
            state, now = (
                run(system.model, params, "step", state.memory, state.latents, pushes),
                pusher.advance(now, pushes),
            )
            found = run(system.model, params, "verdict", state.latents).going_on
            return (state, now), (pusher.distance(now), -SIDE * found)

        return jax.lax.scan(step, (start, scene), None, steps)[1]

    true, dreamt = map(np.asarray, both(params, extra))
    rows = []
    for k, push in enumerate(PUSHES):
        for t in range(steps):
            rows.append({"push": f"{push[0]:g}, {push[1]:g}", "step": t + 1, "true": float(true[t, k])})
            rows[-1]["dreamt"] = float(dreamt[t, k])
    return rows


def looks(system: Agent, params: PyTree, extra: PyTree) -> list[dict[str, Any]]:
    """The random starts by the same agent where the pictures are others than in training."""
    task, tests = system.task, AgentTests(system)
    known, rows = references(task.name, "random"), []
    for name, look in task.looks.items():
        row = control.row_of(tests.play(params, extra, task.tests["random"](), look=look))
        score = control.score(row.total, known[task.floor], known[task.best])
        rows.append({"look": name, "score": score, **numbers(row)})
    return rows


def planned(system: Agent, params: PyTree, extra: PyTree, starts: Any, search: Search = Search()) -> control.Row:
    """Episodes under the cross-entropy method in the dream, anew at every step, without actor or critic."""
    steps = system.config.dream_steps

    def value(params: PyTree, start: State, plans: jax.Array) -> Any:
        """Return [N P] of plans [N P, H, 2]."""

        def step(carry: Any, push: Array) -> Any:
            state, on, total = carry
            state, reward, goes_on = system.moved(params, state, push)
            return (state, on * goes_on, total + on * reward), None

        count = len(plans)
        begin = (start, jnp.ones(count), jnp.zeros(count))
        return jax.lax.scan(step, begin, jnp.moveaxis(plans, 1, 0))[0][2]

    def decide(params: PyTree, extra: PyTree, state: State, key: jax.Array) -> Any:
        count = len(state.latents)
        many = State(*(jnp.repeat(x, search.plans, axis=0) for x in state))

        def improve(carry: tuple[Array, Array], key: jax.Array) -> tuple[tuple[Array, Array], None]:
            mean, std = carry
            noise = jax.random.normal(key, (count, search.plans, steps, 2))
            plans = _allowed(system, mean[:, None] + std[:, None] * noise)
            totals = value(params, many, plans.reshape(-1, steps, 2)).reshape(count, search.plans)
            best = jnp.take_along_axis(plans, jax.lax.top_k(totals, search.elite)[1][..., None, None], axis=1)
            return (best.mean(1), best.std(1) + 0.05), None

        start = (jnp.zeros((count, steps, 2)), jnp.ones((count, steps, 2)))
        mean = jax.lax.scan(improve, start, jax.random.split(key, search.rounds))[0][0][:, 0]
        return _allowed(system, mean)

    tests = AgentTests(system)
    play, steps_of_all = tests.decided_by(decide), system.task.steps
    return control.row_of(
        jax.device_get(play(params, extra, starts, tests.look(), 0.0, jax.random.key(0), steps_of_all))
    )


def _allowed(system: Agent, pushes: Array) -> jax.Array:
    """Any numbers [..., 2] as pushes."""
    return (
        one_sided(jnp.sign(jnp.asarray(pushes)[..., 0]), ACTIONS) if system.task.signs else jnp.clip(pushes, -1.0, 1.0)
    )


__all__ = ["PUSHES", "Search", "constant_pushes", "looks", "planned"]
