"""The contract of a system, in the place where its authors look. It is defined next to the loop that calls it."""

from __future__ import annotations

from o2t_jax.config import Config
from o2t_jax.systems import get_builder
from o2t_jax.training.contract import Best, DataRequest, LossFn, Plan, System
from o2t_jax.training.iterator import BatchesByStep
from o2t_jax.training.state import TrainState
from o2t_jax.training.statistics import Gather, Max, Sum


def build_system(config: Config) -> System:
    """The system named by `config.system`. Raises UsageError for an unknown one or for fields it refuses."""
    return get_builder(config.system)(config)


__all__ = [
    "BatchesByStep",
    "Best",
    "Config",
    "DataRequest",
    "Gather",
    "LossFn",
    "Max",
    "Plan",
    "Sum",
    "System",
    "TrainState",
    "build_system",
]
