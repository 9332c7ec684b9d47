"""An agent in the true world: it sees pictures and its own pushes, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.video.clips import ACTIONS
from o2t_jax.evaluation.video import control
from o2t_jax.evaluation.video.references import references
from o2t_jax.models.video.model import State
from o2t_jax.physics.video.base import SIDE
from o2t_jax.physics.video.tasks import Task, play
from o2t_jax.render.planar import to_bytes
from o2t_jax.results import Column, Film, Result, Score, Table
from o2t_jax.systems.agent_simulator import pictures
from o2t_jax.systems.base import TrainState
from o2t_jax.types import Array, PyTree

if TYPE_CHECKING:
    from o2t_jax.systems.agent import Agent

FPS, SHOWN = 8.0, 256  # of films
Decide = Callable[[PyTree, PyTree, State, jax.Array], jax.Array]


class AgentTests:
    """Evaluators of a system."""

    def __init__(self, system: Agent) -> None:
        self.system, self.task = system, system.task

    def tasks(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Scores of each test of the task, beside rows that learn nothing; a film of the first episode of the first."""
        rows, task = [], self.task
        for name, starts in task.tests.items():
            played = self.play(state.params, state.extra, starts())
            known = references(task.name, name)
            ours = control.row_of(played)
            score = lambda row, known=known: control.score(row.total, known[task.floor], known[task.best])  # noqa: E731
            yield (
                f"score_{name}",
                Score(score(ours), baselines={row: score(x) for row, x in known.items()}, better="higher"),
            )
            for row, x in {"agent": ours, **known}.items():
                rows.append({"tasks": name, "policy": row, "score": score(x), **numbers(x)})
            if name == next(iter(task.tests)):
                shown = film(task, jax.tree.map(lambda x: x[0], played.scenes))
                yield f"film_{name}", Film(shown, FPS, "the true world")
        yield "returns", Table(COLUMNS, rows)

    def play(
        self,
        params: PyTree,
        extra: PyTree,
        starts: Any,
        *,
        look: Any = None,
        noise: float = 0.0,
        steps: int = 0,
        seed: int = 0,
    ) -> Any:
        """Episodes of all starts under the policy's middle, plus normal `noise`: `physics.video.tasks.Played`.

        None, 0: the look of training, the task's number of steps. Where signs count, `noise` is the probability of the
        other one.
        """
        key, steps = jax.random.key(seed), steps or self.task.steps
        return jax.device_get(self._played(params, extra, starts, self.look(look), noise, key, steps))

    def look(self, look: Any = None) -> Any:
        """That of training, or another: as numbers of a compiled program."""
        look = self.task.looks["as trained"] if look is None else look
        return type(look)(*map(jnp.float32, look))

    def decided_by(self, decide: Decide) -> Callable[..., Any]:
        """`play(params, extra, starts, look, noise, key, steps)` with another policy over the same states."""
        task, size = self.task, self.system.config.size

        def policy(fixed: Any, memory: Any, scene: Any, time: Array, key: jax.Array) -> Any:
            params, extra, look, noise = fixed
            of_policy, of_noise = jax.random.split(key)
            state, seen = self.seen(params, extra, memory, to_bytes(pictures(task, scene, size, look)), time)
            push = decide(params, extra, state, of_policy)
            if task.signs:
                push = jnp.where(jax.random.uniform(of_noise, push[:, :1].shape) < noise, -push, push)
            else:
                push = jnp.clip(push + noise * jax.random.normal(of_noise, push.shape), -1.0, 1.0)
            return push, self.pushed(seen, push)

        def played(params: Any, extra: Any, starts: Any, look: Any, noise: Any, key: jax.Array, steps: int) -> Any:
            memory = self.nothing_seen(len(jax.tree.leaves(starts)[0]))
            return play(task, functools.partial(policy, (params, extra, look, noise)), starts, key, steps, memory)

        return jax.jit(played, static_argnums=6)

    def nothing_seen(self, count: int) -> tuple[jax.Array, jax.Array]:
        """The memory of an agent before `count` episodes: codes of the last C pictures, the C - 1 pushes between."""
        seen, side = self.system.config.context, (8, 8, self.system.model.quantiser.size)
        return jnp.zeros((count, seen, *side)), jnp.zeros((count, seen - 1, ACTIONS))

    def seen(self, params: PyTree, extra: PyTree, memory: Any, shown: Array, time: Any) -> tuple[State, Any]:
        """The state after pictures uint8 [N, S, S] have come as the `time`-th, and the memory."""
        codes, pushes = memory
        now = self.system.coded(params, extra, jnp.asarray(shown)[:, None] / 255.0).codes
        # Before the first push nothing moves: the picture of the start is all that was ever seen.
        rest = jnp.broadcast_to(now, codes.shape)
        codes = jnp.where(time == 0, rest, jnp.concatenate([codes[:, 1:], now], axis=1))
        return self.system.remembered(params, codes, pushes), (codes, pushes)

    def pushed(self, memory: Any, push: Array) -> tuple[jax.Array, jax.Array]:
        """The memory with one more push."""
        codes, pushes = memory
        return codes, jnp.concatenate([pushes[:, 1:], jnp.asarray(push)[:, None]], axis=1)

    @functools.cached_property
    def _played(self) -> Callable[..., Any]:
        return self.decided_by(lambda params, extra, state, key: self.system.best_push(params, state))


COLUMNS = {
    "tasks": Column(),
    "policy": Column(),
    "score": Column("", ".3f"),
    "return": Column("", ".2f"),
    "interval": Column("", ".2f"),
    "ended": Column("", ".1%"),
    "steps": Column("", ".1f"),
    "about": Column(),
}


def numbers(row: control.Row) -> dict[str, Any]:
    """Means over tasks; `interval`, half the width of the 95 % interval of the mean return over tasks."""
    count = len(row.total)
    return {
        "return": float(np.mean(row.total)),
        "interval": float(1.96 * np.std(row.total, ddof=1) / np.sqrt(count)) if count > 1 else None,
        "ended": float(np.mean(row.ended)),
        "steps": float(np.mean(row.steps)),
        "about": row.about,
    }


def film(task: Task, scenes: Any) -> np.ndarray:
    """uint8 [T, 256, 256, 3]: scenes [T, D], the way so far of what leaves a trail as red dots."""
    track = np.asarray(task.trail(scenes))
    changed = np.any([np.any(np.diff(x, axis=0) != 0.0, axis=-1) for x in jax.tree.leaves(scenes)], axis=0)
    moves = np.flatnonzero(changed)
    last = int(moves[-1]) + 2 if len(moves) else 1
    shown = jax.tree.map(lambda x: jnp.asarray(x[:last]), scenes)
    frames = np.repeat(np.asarray(to_bytes(pictures(task, shown, SHOWN)))[..., None], 3, axis=-1)
    for t in range(last if track.size else 0):
        for x, y in track[: t + 1] * SHOWN / SIDE:
            row, column = int(SHOWN - y), int(x)
            frames[t, max(row - 2, 0) : row + 2, max(column - 2, 0) : column + 2] = (220, 40, 40)
    return frames


__all__ = ["COLUMNS", "FPS", "AgentTests", "film", "numbers"]
