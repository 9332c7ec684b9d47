"""The selective recurrence in the form that is fast on a CPU.

The parallel form does log2(T) times the work and writes all states several times; a CPU has no use for its parallelism.
"""

from __future__ import annotations

import jax

from o2t_jax.models.scans import sequential


def selective_scan(x: jax.Array, step: jax.Array, b: jax.Array, c: jax.Array, rate: jax.Array) -> jax.Array:
    """`ops.selective_scan`, one step after the other."""
    return sequential(x, step, b, c, rate)
