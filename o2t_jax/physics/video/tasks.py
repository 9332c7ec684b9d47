"""Registry of the tasks of system `agent`, and an episode of any of them. A new task is one class and one line below.

A task is a set of clips in which something is pushed and rewarded, and the world that they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing
from o2t_jax.physics.video.base import Acted, VideoSet
from o2t_jax.registry import Registry
from o2t_jax.types import Array, PyTree

Policy = Callable[[Any, Array, jax.Array], Array]
"""(scene, time [], key) -> pushes [N, 2]: a controller that knows the scene."""


class Task(VideoSet, Acted, Protocol):
    """A world to act in; see `physics.video.tasks.TASKS`. A scene is a named tuple of arrays [..., D].

    Attributes: `steps` of an episode at the most; `signs`, whether of a push only the sign of the first number counts;
    `floor` and `best`, the rows beside an agent that score 0 and 1; `tests`, name -> what makes the starts of the
    episodes of a test; `looks`, name -> what a test shows in place of the look of training, the first.
    """

    @property
    def steps(self) -> int: ...

    @property
    def signs(self) -> bool: ...

    @property
    def floor(self) -> str: ...

    @property
    def best(self) -> str: ...

    @property
    def tests(self) -> Mapping[str, Callable[[], Any]]: ...

    @property
    def looks(self) -> Mapping[str, Any]: ...

    def advance(self, scene: Any, action: Array) -> Any:
        """One frame on under pushes [..., 2] in [-1, 1]."""
        ...

    def reward(self, scene: Any) -> Any:
        """Of having come there, [...]."""
        ...

    def over(self, scene: Any) -> Any:
        """Whether the episode has ended there, [...]."""
        ...

    def drawing(self, scene: Any, look: Any) -> Drawing:
        """One scene, grey."""
        ...

    def trail(self, scene: Any) -> Any:
        """Places [..., 2] px of what leaves a trail in films."""
        ...

    def starts(self, count: int, seed: int) -> Any:
        """Starts of episodes, leaves [count, D], as those of the test but others."""
        ...

    def collected(self, played: Played, frames: int, seed: int) -> Any:
        """What clips of `frames` frames are made from, one of each episode: `params` of `VideoSet.move`, [N, ...]."""
        ...

    def controllers(self) -> Mapping[str, Policy]:
        """Policies that know the scene: rows beside an agent."""
        ...


TASKS: Registry[Callable[[], Task]] = Registry(
    "task",
    {
        "cartpole": "o2t_jax.physics.video.cartpole:CartPole",
        "pusher": "o2t_jax.physics.video.pushes:Pusher",
    },
)


class Played(NamedTuple):
    """Episodes of N starts: `total` [N] reward, `steps` [N] until the end, `ended` [N], whether it came by the last
    step; `scenes` [N, T + 1, D], which stand still after the end; `pushes` [N, T, 2], which do not."""

    total: Float[Array, " tasks"]
    steps: Float[Array, " tasks"]
    ended: Bool[Array, " tasks"]
    scenes: Any
    pushes: Float[Array, "tasks steps 2"]


def play(task: Task, policy: Any, starts: Any, key: jax.Array, steps: int = 0, memory: PyTree = ()) -> Played:
    """Episodes of all starts at once, in JAX.

    Args: `policy(memory, scene, time, key) -> (pushes [N, 2], memory)`, pure, of all N episodes; `steps`, 0: the
        task's; `memory`, its start.
    """
    start = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), starts)
    shape = jax.tree.leaves(start)[0].shape[:-1]

    def step(carry: Any, t: Array) -> Any:
        now, over, total, count, memory = carry
        pushes, memory = policy(memory, now, t, jax.random.fold_in(key, t))
        pushes = jnp.clip(pushes, -1.0, 1.0)
        after = jax.tree.map(lambda x, y: jnp.where(over[..., None], x, y), now, task.advance(now, pushes))
        total, count = total + jnp.where(over, 0.0, task.reward(after)), count + jnp.where(over, 0.0, 1.0)
        return (after, over | task.over(after), total, count, memory), (after, pushes)

    carry = (start, jnp.zeros(shape, bool), jnp.zeros(shape), jnp.zeros(shape), memory)
    (_, over, total, count, _), (track, pushes) = jax.lax.scan(step, carry, jnp.arange(steps or task.steps))
    scenes = jax.tree.map(lambda x, xs: jnp.moveaxis(jnp.concatenate([x[None], xs]), 0, -2), start, track)
    return Played(total, count, over, scenes, jnp.moveaxis(pushes, 0, -2))


def replay(task: Task, starts: Any, pushes: Any, steps: int = 0) -> Played:
    """Episodes of N starts under given pushes [N, T, 2], then none. Raises: UsageError for pushes that cannot be."""
    pushes, steps = checked(pushes), steps or task.steps
    count = len(jax.tree.leaves(starts)[0])
    if pushes.ndim != 3 or len(pushes) != count:
        raise UsageError(f"actions of shape {pushes.shape} are not of {count} task(s): give [{count}, steps, 2]")
    padded = jnp.pad(pushes, ((0, 0), (0, max(steps - pushes.shape[1], 0)), (0, 0)))
    policy = lambda memory, scene, time, key: (padded[:, time], memory)  # noqa: E731
    return jax.device_get(play(task, policy, starts, jax.random.key(0), steps))


def checked(actions: Any) -> np.ndarray:
    """Pushes [..., 2] from outside. Raises: UsageError for another shape, or a push outside of [-1, 1]."""
    actions = np.asarray(actions, np.float32)
    if actions.ndim < 1 or actions.shape[-1] != 2:
        raise UsageError(f"actions of shape {actions.shape} are no pushes: give two numbers each, right and up")
    wrong = actions[~(np.abs(actions) <= 1.0)]
    if wrong.size:
        raise UsageError(f"action {wrong.flat[0]:g} is outside of [-1, 1]: cut it, or scale the pushes down")
    return actions


__all__ = ["TASKS", "Played", "Policy", "Task", "checked", "play", "replay"]
