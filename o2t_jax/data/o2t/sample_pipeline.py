"""Batches of O2T samples: a source behind the replay ring, its modes drawn as the curriculum says."""

from __future__ import annotations

from typing import Any

from o2t_jax.data.o2t.flight_source import FlightSource
from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.data.pipeline import Pipeline
from o2t_jax.data.ring import BufferConfig, Strata
from o2t_jax.geometry.para import MODES


def sample_pipeline(
    source: PairSource | FlightSource,
    buffer: BufferConfig,
    *,
    process_index: int = 0,
    process_count: int = 1,
    **keywords: Any,
) -> Pipeline:
    """Batches of a source's training samples. Keywords: `Pipeline`'s.

    In a distributed run give `process_index` and `process_count`, and a `buffer` whose sizes are this process's share.
    """
    return Pipeline(
        source.for_process(process_index).train_element,
        buffer,
        source.seed,
        process_index=process_index,
        process_count=process_count,
        strata=Strata("mode", lambda step: source.curriculum.stage(step).probabilities, MODES),
        counters=("rejects",),
        **keywords,
    )


__all__ = ["sample_pipeline"]
