"""The components' settings at the product's own defaults, for tests to change what they are about."""

from __future__ import annotations

from typing import Any

from o2t_jax.config import from_flat
from o2t_jax.data.o2t.acceptance import AcceptanceRule
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.data.ring import BufferConfig
from o2t_jax.models.o2t.loss import LossWeights
from o2t_jax.models.o2t.network import O2TModel
from o2t_jax.systems import o2t, o2t_config

DEFAULT = o2t_config.default()


def shot_config(**changes: Any) -> ShotConfig:
    return from_flat(ShotConfig, DEFAULT, **dict.fromkeys(o2t_config.OPTIONAL_DISTANCES) | changes)


def flight_config(**changes: Any) -> FlightConfig:
    """As the configs `fall` and `room` have it: longer steps and predictions than pairs."""
    return from_flat(FlightConfig, DEFAULT, **{"k_max": 16, "n_max": 32} | changes)


def acceptance_rule(**changes: Any) -> AcceptanceRule:
    return from_flat(AcceptanceRule, DEFAULT, **{"min_pixels": None} | changes)


def buffer_config(pool_size: int, initial_fill: int, batch: int, **changes: Any) -> BufferConfig:
    return from_flat(BufferConfig, DEFAULT, pool_size=pool_size, initial_fill=initial_fill, batch=batch, **changes)


def loss_weights(**changes: Any) -> LossWeights:
    return o2t.make_weights(DEFAULT)._replace(**changes)


def o2t_model(law_branch: str = "phys", **changes: Any) -> O2TModel:
    config = DEFAULT.copy_and_resolve_references()
    config.law_branch = law_branch
    return o2t.make_model(config).clone(**changes)
