"""The rows beside an agent that learn nothing: policies that know the scene, on the starts of each test of a task."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from o2t_jax.evaluation.video import control
from o2t_jax.evaluation.video.control import Row
from o2t_jax.physics.video.tasks import TASKS, Policy, Task

_REPEATS = 5  # episodes from a start, under policies that draw


def controlled_by(task: Task, starts: Any, seed: int = 0) -> dict[str, Row]:
    """Means over 5 episodes from each start of the task's own controllers."""

    def row(policy: Policy) -> Row:
        remembering = lambda memory, scene, time, key: (policy(scene, time, key), memory)  # noqa: E731
        return control.repeated(task, remembering, starts, _REPEATS, seed)

    return {name: row(policy) for name, policy in task.controllers().items()}


_OWN: Mapping[str, Callable[[str, Any], dict[str, Row]]] = {"pusher": control.rows}
"""Tasks whose rows are chosen for each test: the name of a test, its starts -> rows."""


@functools.cache
def references(task: str, test: str) -> Mapping[str, Row]:
    """All rows of a test of the task of that name."""
    world = TASKS[task]()
    starts = world.tests[test]()
    return _OWN[task](test, starts) if task in _OWN else controlled_by(world, starts)


__all__ = ["controlled_by", "references"]
