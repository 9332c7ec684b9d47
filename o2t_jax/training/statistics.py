"""Statistics of a batch that a loss passes to `System.advance`, with their reductions over micro-batches and devices.

A loss sees one share of the batch. Means and gradients average over equal shares. A codebook's counts, the range of
an advantage or a set of example codes do not. Each statistic therefore declares how its shares are reduced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from o2t_jax.types import Array

MOST_ROWS = 1024


class Sum(struct.PyTreeNode):
    """Added up: `value` of any shape, float or integer. A mean is a sum and a count."""

    value: Array


class Max(struct.PyTreeNode):
    """Element-wise maximum: `value` of any shape."""

    value: Array


class Gather(struct.PyTreeNode):
    """All rows, in the order of the global batch: `rows` [r, ...]; at most 1,024 over the whole batch."""

    rows: Array


Statistic = Sum | Max | Gather


def over_pieces(stacked: Mapping[str, Statistic]) -> dict[str, Statistic]:
    """The statistics of a share from those of its pieces, stacked along a leading axis [P, ...]."""

    def merge(statistic: Statistic) -> Statistic:
        if isinstance(statistic, Sum):
            return Sum(jnp.sum(statistic.value, axis=0, dtype=statistic.value.dtype))
        if isinstance(statistic, Max):
            return Max(jnp.max(statistic.value, axis=0))
        return Gather(statistic.rows.reshape(-1, *statistic.rows.shape[2:]))

    return {name: merge(statistic) for name, statistic in stacked.items()}


def sums_of(statistics: Mapping[str, Statistic]) -> dict[str, Array]:
    """The sums of floats, which join the gradients' all-reduce. (A mean of integers would round them.)"""
    sums = {name: jnp.asarray(each.value) for name, each in statistics.items() if isinstance(each, Sum)}
    return {name: value for name, value in sums.items() if jnp.issubdtype(value.dtype, jnp.floating)}


def over_devices(
    statistics: Mapping[str, Statistic], sums: Mapping[str, Array], axis_name: str
) -> dict[str, Statistic]:
    """The whole batch's statistics from a device's own and the `sums`, which are already reduced."""

    def merge(name: str, statistic: Statistic) -> Statistic:
        if isinstance(statistic, Sum):
            return Sum(sums[name] if name in sums else jax.lax.psum(statistic.value, axis_name))
        if isinstance(statistic, Max):
            return Max(jax.lax.pmax(statistic.value, axis_name))
        return Gather(jax.lax.all_gather(statistic.rows, axis_name, tiled=True))

    return {name: merge(name, statistic) for name, statistic in statistics.items()}


def values_of(statistics: Mapping[str, Statistic]) -> dict[str, Array]:
    """Name -> array, as `System.advance` gets them. Raises ValueError for too many rows."""
    values: dict[str, Any] = {}
    for name, statistic in statistics.items():
        if isinstance(statistic, Gather):
            if statistic.rows.shape[0] > MOST_ROWS:
                raise ValueError(
                    f"statistic {name!r} gathers {statistic.rows.shape[0]} rows, the limit is {MOST_ROWS}: "
                    "gather fewer rows in the loss, or use a Sum"
                )
            values[name] = statistic.rows
        else:
            values[name] = statistic.value
    return values
