"""Configs: every field stands in one place, with a default, a meaning and something that reads it."""

from __future__ import annotations

import dataclasses

import pytest

from o2t_jax.config import Field, Group, config_of, declared, flatten
from o2t_jax.data.flight_config import FlightConfig
from o2t_jax.data.ring import BufferConfig
from o2t_jax.data.views import ViewConfig
from o2t_jax.data.visibility import VisibilityRule
from o2t_jax.models.o2t_loss import LossWeights
from o2t_jax.systems import base_config, o2t_config


@pytest.mark.parametrize("component", [ViewConfig, FlightConfig, BufferConfig, VisibilityRule])
def test_a_component_has_no_defaults_and_every_field_of_it_can_be_set(component) -> None:
    for field in dataclasses.fields(component):
        assert field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING, field.name
        assert field.name in declared(o2t_config.FIELDS), field.name


def test_the_losss_weights_have_no_defaults() -> None:
    assert not LossWeights._field_defaults


def test_a_config_is_its_fields_at_their_defaults() -> None:
    config = o2t_config.default()
    fields = declared(o2t_config.FIELDS)
    values = flatten(config.to_dict())
    free = values.pop("free_fields")
    assert values == {
        name: list(f.default) if isinstance(f.default, tuple) else f.default for name, f in fields.items()
    }
    assert set(free) == {name for name, field in fields.items() if field.free} >= {"device", "render_workers"}
    assert config.world is not o2t_config.default().world, "a config is the caller's own"


def test_groups_compose() -> None:
    groups = (*base_config.FIELDS, base_config.BUFFER.changed(pool_size=7), Group("Own", (Field("core.size", 3, "x"),)))
    config = config_of(groups)
    assert (config.pool_size, config.core.size, config.batch) == (7, 3, base_config.base().batch)
    assert base_config.BUFFER.changed() == base_config.BUFFER
    with pytest.raises(KeyError, match="pool_siz"):
        base_config.BUFFER.changed(pool_siz=7)
    with pytest.raises(ValueError, match="'pool_size' is declared twice"):
        config_of((*groups, base_config.BUFFER))
