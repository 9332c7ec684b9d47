"""Policies of the task `pusher` that learn nothing from pictures: the rows beside an agent, and its score.

They know the state. A proportional-derivative controller pushes with kp (target - place) - kd velocity, cut to [-1, 1].
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.video import pusher
from o2t_jax.physics.video.pushes import Pusher
from o2t_jax.physics.video.tasks import Played, Task, play
from o2t_jax.types import Array

PUSHER = Pusher()
KP = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
KD = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0)
_CONSTANTS = 21  # values of each number of a constant push
_REPEATS = 20  # episodes of a task under random pushes
_PLAN, _PLANS, _ROUNDS, _ELITE = 16, 512, 40, 32  # pushes of a plan; plans, rounds and survivors of its search


class Row(NamedTuple):
    """Of N tasks: return `total` [N], `steps` [N] until the end, share `ended` [N]; `about`, what was chosen."""

    total: Float[np.ndarray, " tasks"]
    steps: Float[np.ndarray, " tasks"]
    ended: Float[np.ndarray, " tasks"]
    about: str = ""


def row_of(played: Played, about: str = "") -> Row:
    """Of one episode of each task."""
    total, steps, ended = (np.asarray(x, np.float64) for x in played[:3])
    return Row(total, steps, ended, about)


def repeated(task: Task, policy: Any, starts: Any, repeats: int, seed: int = 0) -> Row:
    """Means over `repeats` episodes from each start, under a policy that draws; `policy` as of `play`."""
    many = jax.tree.map(lambda x: np.repeat(x, repeats, axis=0), starts)
    played = jax.jit(lambda starts, key: play(task, policy, starts, key))(many, jax.random.key(seed))
    total, steps, ended = (np.asarray(x, np.float64).reshape(-1, repeats).mean(axis=1) for x in played[:3])
    return Row(total, steps, ended)


def nothing(tasks: pusher.Scene) -> Row:
    """No push at all."""
    return row_of(_held(tasks, jnp.zeros(2)))


def at_random(tasks: pusher.Scene, seed: int = 0) -> Row:
    """Uniform pushes, a new one each frame: means over 20 episodes of each task."""

    def policy(memory: Array, scene: pusher.Scene, time: Array, key: jax.Array) -> tuple[jax.Array, Array]:
        return jax.random.uniform(key, scene.position.shape, minval=-1.0, maxval=1.0), memory

    return repeated(PUSHER, policy, tasks, _REPEATS, seed)


def constant(tasks: pusher.Scene) -> Row:
    """For each task the best of 441 constant pushes, which only hindsight knows."""
    side = np.linspace(-1.0, 1.0, _CONSTANTS)
    pushes = np.array(list(itertools.product(side, side)))
    played = jax.jit(jax.vmap(_held, (None, 0)))(tasks, pushes)
    best = np.argmax(played.total, axis=0)
    return row_of(jax.tree.map(lambda x: np.asarray(x)[best, np.arange(len(best))], played))


def controlled(tasks: pusher.Scene) -> Row:
    """The controller whose gains have the best mean return over these tasks, of a grid of 110."""
    gains = np.array(list(itertools.product(KP, KD)))

    def one(gain: Array) -> Played:
        def policy(memory: Array, scene: pusher.Scene, time: Array, key: jax.Array) -> tuple[jax.Array, Array]:
            return gain[0] * (scene.target - scene.position) - gain[1] * scene.velocity, memory

        return play(PUSHER, policy, tasks, jax.random.key(0))

    played = jax.jit(jax.vmap(one))(gains)
    best = int(np.argmax(np.mean(played.total, axis=1)))
    found = jax.tree.map(lambda x: x[best], played)
    return row_of(found, f"kp {gains[best, 0]:g}, kd {gains[best, 1]:g}")


def planned(tasks: pusher.Scene, seed: int = 0) -> Row:
    """For each task the best sequence of 16 pushes, then none, that the cross-entropy method finds in the simulator."""

    def one(task: pusher.Scene, key: jax.Array) -> Played:
        alone = jax.tree.map(lambda x: x[None], task)

        def follow(pushes: Array) -> Played:
            padded = jnp.pad(pushes, ((0, pusher.STEPS - _PLAN), (0, 0)))
            policy = lambda memory, scene, time, key: (padded[time][None], memory)  # noqa: E731
            return jax.tree.map(lambda x: x[0], play(PUSHER, policy, alone, key))

        def search(carry: tuple[Array, Array], key: jax.Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
            mean, std = carry
            plans = jnp.clip(mean + std * jax.random.normal(key, (_PLANS, _PLAN, 2)), -1.0, 1.0)
            total = jax.vmap(follow)(plans).total
            elite = plans[jax.lax.top_k(total, _ELITE)[1]]
            return (elite.mean(0), elite.std(0) + 0.02), (elite[0], jnp.max(total))

        start = (jnp.zeros((_PLAN, 2)), jnp.ones((_PLAN, 2)))
        _, (plans, totals) = jax.lax.scan(search, start, jax.random.split(key, _ROUNDS))
        return follow(plans[jnp.argmax(totals)])

    keys = jax.random.split(jax.random.key(seed), len(tasks.position))
    return row_of(jax.jit(jax.vmap(one))(jax.tree.map(jnp.asarray, tasks), keys))


def rows(test: str, tasks: pusher.Scene) -> dict[str, Row]:
    """All rows of a test of that name; the best sequence for the fixed task alone."""
    found = {
        "nothing": nothing(tasks),
        "random": at_random(tasks),
        "best constant push": constant(tasks),
        "PD": controlled(tasks),
    }
    return found | ({"best sequence": planned(tasks)} if test == "fixed" else {})


def score(total: Float[np.ndarray, " tasks"], idle: Row, best: Row) -> float:
    """(R - R of the row that scores 0) / (R of that which scores 1 - R of the former), R means over tasks.

    For `pusher` these are doing nothing and the controller: 0 to about 1.
    """
    floor = float(np.mean(idle.total))
    return (float(np.mean(total)) - floor) / (float(np.mean(best.total)) - floor)


def _held(tasks: pusher.Scene, push: Array) -> Played:
    """One push, held to the end."""
    shape = np.shape(tasks.position)
    return play(PUSHER, lambda memory, scene, t, key: (jnp.broadcast_to(push, shape), memory), tasks, jax.random.key(0))


__all__ = [
    "KD",
    "KP",
    "Row",
    "at_random",
    "constant",
    "controlled",
    "nothing",
    "planned",
    "repeated",
    "row_of",
    "rows",
    "score",
]
