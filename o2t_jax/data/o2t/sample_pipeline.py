"""Batches of O2T samples: a sampler behind the replay ring, modes and n as the curriculum says."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from o2t_jax.data.children import InChildren
from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.sample import Arrays, Sampler, for_process
from o2t_jax.data.pipeline import Pipeline
from o2t_jax.data.ring import BufferConfig, Strata
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import MODES


@dataclasses.dataclass(frozen=True)
class TrainingSamples:
    """(index, step) -> the arrays of a training sample, its mode and n as the curriculum says, and its `rejects`."""

    source: Sampler
    curriculum: Curriculum

    def __call__(self, index: int, step: int) -> Arrays:
        """One sample; a pure function."""
        sample = self.source("train", index, self.curriculum.at(step))
        return {**sample.arrays(), "rejects": np.array(sample.rejects, np.int32)}


def sample_pipeline(
    source: Sampler,
    curriculum: Curriculum,
    buffer: BufferConfig,
    *,
    process_index: int = 0,
    process_count: int = 1,
    in_children: bool = False,
    **keywords: Any,
) -> Pipeline:
    """Batches of a sampler's training samples. Keywords: `Pipeline`'s.

    In a distributed run give `process_index` and `process_count`, and a `buffer` whose sizes are this process's share.
    `in_children`: the buffer's workers have a process each (`children`), where there are several.
    Raises: UsageError where the curriculum asks for a longer prediction than the sampler can give.
    """
    if curriculum.n_max > source.n_max:
        raise UsageError(f"the curriculum draws n up to {curriculum.n_max}, above n_max={source.n_max}: raise n_max")
    make = TrainingSamples(for_process(source, process_index), curriculum)
    return Pipeline(
        make,
        buffer,
        source.streams.seed,
        process_index=process_index,
        process_count=process_count,
        strata=Strata("mode", lambda step: curriculum.at(step).probabilities, MODES),
        counters=("rejects",),
        children=InChildren(make) if in_children and buffer.render_workers > 1 else None,
        **keywords,
    )


__all__ = ["TrainingSamples", "sample_pipeline"]
