"""Samples for tests of child processes, which import this file: it needs numpy alone."""

from __future__ import annotations

import os
import time

import numpy as np

from o2t_jax.errors import UsageError


class Draws:
    """Numbers by index and step; 13 is bad luck, 14 has another shape."""

    def __call__(self, index, step):
        if index == 13:
            raise UsageError("index 13 cannot be made: ask for another one")
        rng = np.random.default_rng((index, step))
        return {
            "x": rng.normal(size=(1 if index == 14 else 3, 5)),
            "pid": np.array(os.getpid()),
            "n": rng.integers(9, size=(2, 1), dtype="i4"),
        }


def until(condition, seconds=30.0):
    """Waits for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def ready(make, index=1):
    """Calls until a child answers; its sample."""
    found = []
    until(lambda: found.append(make([(index, 7)])[0]) or int(found[-1]["pid"]) != os.getpid())
    return found[-1]
