"""Long arrays through a compiled function, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from o2t_jax.types import PyTree


def in_batches(function: Callable[[np.ndarray], Any], count: int, size: int) -> PyTree:
    """`function(rows)`, a pytree of arrays [size, ...], for rows 0 to `count` - 1, joined to numpy arrays [count, ...].

    `rows` always holds `size` numbers (the last batch is filled up with the last row): one shape, one compilation.
    """
    parts = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        parts.append(jax.tree.map(np.asarray, function(rows)))
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)
