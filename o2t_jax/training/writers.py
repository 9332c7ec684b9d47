"""Registry of log writers, the outputs of a run's metrics, pictures and texts. Importing it needs no JAX.

A writer is a `MetricWriter` of `o2t_jax.training.clu_writers` (CLU's own package would import TensorFlow), made by
`make(workdir, progress, resume_step)`. Subclass `o2t_jax.training.metrics.Writer`, which ignores what it has no method
for. A writer must drop entries that an earlier process wrote after `resume_step`: those steps are about to be repeated.
`--config.writers=console,jsonl` chooses registered ones; `package.module:function` names one of the user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from o2t_jax.registry import Registry

if TYPE_CHECKING:
    from o2t_jax.training.clu_writers import MetricWriter
    from o2t_jax.training.progress import Progress

WRITERS: Registry[Callable[[Path, Progress, int], MetricWriter]] = Registry(
    "writers",
    {
        "console": "o2t_jax.training.metrics:console_writer",
        "jsonl": "o2t_jax.training.metrics:json_lines_writer",
        "tensorboard": "o2t_jax.training.metrics:tensorboard_writer",
    },
    foreign=True,
)
