"""An agent in the true world: it sees pictures and its own pushes, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.video import control
from o2t_jax.models.video.model import State
from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.base import SIDE
from o2t_jax.render.planar import to_bytes
from o2t_jax.results import Column, Film, Result, Score, Table
from o2t_jax.systems.agent_simulator import pictures
from o2t_jax.systems.base import TrainState
from o2t_jax.types import Array, PyTree

if TYPE_CHECKING:
    from o2t_jax.systems.agent import Agent

TASKS = {"fixed": pusher.fixed_task, "random": pusher.random_tasks}
LOOKS = {
    "as trained": pusher.Look(),
    "ball of 4 px": pusher.Look(ball=4.0),
    "ball of 6 px": pusher.Look(ball=6.0),
    "ball of 8 px": pusher.Look(ball=8.0),
    "ball 0.8 bright": pusher.Look(ball_grey=0.8),
    "target 0.3 bright": pusher.Look(target_grey=0.3),
    "target 0.7 bright": pusher.Look(target_grey=0.7),
    "background 0.1": pusher.Look(background=0.1),
    "background 0.25": pusher.Look(background=0.25),
}
FPS, SHOWN = 8.0, 256  # of films
Decide = Callable[[PyTree, PyTree, State, jax.Array], jax.Array]


class AgentTests:
    """Evaluators of a system."""

    def __init__(self, system: Agent) -> None:
        self.system = system

    def tasks(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Scores of the fixed task and of the random ones, beside rows that learn nothing; a film of the fixed one."""
        rows = []
        for name in TASKS:
            played = self.play(state.params, state.extra, TASKS[name]())
            known = references(name)
            ours = control.row_of(played)
            score = lambda row, known=known: control.score(row.total, known["nothing"], known["PD"])  # noqa: E731
            yield (
                f"score_{name}",
                Score(score(ours), baselines={row: score(x) for row, x in known.items()}, better="higher"),
            )
            for row, x in {"agent": ours, **known}.items():
                rows.append({"tasks": name, "policy": row, "score": score(x), **numbers(x)})
            if name == "fixed":
                yield "film_fixed", Film(film(jax.tree.map(lambda x: x[0], played.scenes)), FPS, "the true world")
        yield "returns", Table(COLUMNS, rows)

    def play(
        self,
        params: PyTree,
        extra: PyTree,
        tasks: pusher.Scene,
        *,
        look: pusher.Look = pusher.Look(),  # noqa: B008
        noise: float = 0.0,
        steps: int = pusher.STEPS,
        seed: int = 0,
    ) -> Any:
        """Episodes of all tasks under the policy's mean, plus normal `noise`: `pusher.Played`."""
        key = jax.random.key(seed)
        played = self._played(params, extra, tasks, pusher.Look(*map(jnp.float32, look)), noise, key, steps)
        return jax.device_get(played)

    def decided_by(self, decide: Decide) -> Callable[..., Any]:
        """`play(params, extra, tasks, look, noise, key, steps)` with another policy over the same states."""
        system, config = self.system, self.system.config

        def code(params: PyTree, extra: PyTree, scene: pusher.Scene, look: pusher.Look) -> jax.Array:
            shown = to_bytes(pictures(scene, config.size, look)) / 255.0
            return system.coded(params, extra, shown[:, None]).codes[:, 0]

        def policy(fixed: Any, memory: Any, scene: pusher.Scene, time: Array, key: jax.Array) -> Any:
            params, extra, look, noise = fixed
            codes, pushes = memory
            now = code(params, extra, scene, look)
            # Before the first push the ball rests: the picture of the start is all that was ever seen.
            rest = jnp.broadcast_to(now[:, None], codes.shape)
            codes = jnp.where(time == 0, rest, jnp.concatenate([codes[:, 1:], now[:, None]], axis=1))
            of_policy, of_noise = jax.random.split(key)
            push = decide(params, extra, system.remembered(params, codes, pushes), of_policy)
            push = jnp.clip(push + noise * jax.random.normal(of_noise, push.shape), -1.0, 1.0)
            return push, (codes, jnp.concatenate([pushes[:, 1:], push[:, None]], axis=1))

        def play(params: Any, extra: Any, tasks: Any, look: Any, noise: Any, key: jax.Array, steps: int) -> Any:
            count, side = len(tasks.position), (8, 8, system.model.quantiser.size)
            memory = (jnp.zeros((count, config.context, *side)), jnp.zeros((count, config.context - 1, 2)))
            fixed = (params, extra, look, noise)
            return pusher.play(functools.partial(policy, fixed), tasks, key, steps, memory)

        return jax.jit(play, static_argnums=6)

    @functools.cached_property
    def _played(self) -> Callable[..., Any]:
        return self.decided_by(lambda params, extra, state, key: jnp.tanh(self.system.policy(params, state).mean))


@functools.cache
def references(name: str) -> Mapping[str, control.Row]:
    """The rows that learn nothing of TASKS[name]."""
    tasks = TASKS[name]()
    rows = {
        "nothing": control.nothing(tasks),
        "random": control.at_random(tasks),
        "best constant push": control.constant(tasks),
        "PD": control.controlled(tasks),
    }
    return rows | ({"best sequence": control.planned(tasks)} if name == "fixed" else {})


COLUMNS = {
    "tasks": Column(),
    "policy": Column(),
    "score": Column("", ".3f"),
    "return": Column("", ".2f"),
    "interval": Column("", ".2f"),
    "reached": Column("", ".1%"),
    "steps": Column("", ".1f"),
    "about": Column(),
}


def numbers(row: control.Row) -> dict[str, Any]:
    """Means over tasks; `interval`, half the width of the 95 % interval of the mean return over tasks."""
    count = len(row.total)
    return {
        "return": float(np.mean(row.total)),
        "interval": float(1.96 * np.std(row.total, ddof=1) / np.sqrt(count)) if count > 1 else None,
        "reached": float(np.mean(row.reached)),
        "steps": float(np.mean(row.steps)),
        "about": row.about,
    }


def film(scenes: pusher.Scene) -> np.ndarray:
    """uint8 [T, 256, 256, 3]: scenes [T, 2], the ball's way so far as red dots."""
    track = np.asarray(scenes.position)
    moves = np.flatnonzero(np.any(np.diff(track, axis=0) != 0.0, axis=1))
    last = int(moves[-1]) + 2 if len(moves) else 1
    shown = jax.tree.map(lambda x: jnp.asarray(x[:last]), scenes)
    frames = np.repeat(np.asarray(to_bytes(pictures(shown, SHOWN)))[..., None], 3, axis=-1)
    for t in range(last):
        for x, y in track[: t + 1] * SHOWN / SIDE:
            row, column = int(SHOWN - y), int(x)
            frames[t, max(row - 2, 0) : row + 2, max(column - 2, 0) : column + 2] = (220, 40, 40)
    return frames


__all__ = ["COLUMNS", "FPS", "LOOKS", "TASKS", "AgentTests", "film", "numbers", "references"]
