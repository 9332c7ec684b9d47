"""Observation to theory in JAX: from pictures to the law behind them.

    run = o2t_jax.load("runs/cpu-1a2b3c4d")
    run.readouts["law"]["g0"], run.predict(batch)

Importing this package imports no JAX; `load` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from o2t_jax.loading import Run


def load(workdir: str | Path, step: int | str | None = None, *, seed: int = 0) -> Run:
    """A saved run: its `config`, `readouts`, `system`, `state` and `predict(batch)`. See `o2t_jax.loading.load`."""
    from o2t_jax import loading

    return loading.load(workdir, step, seed=seed)


__all__ = ["load"]
