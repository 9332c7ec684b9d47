"""Configs: every field is declared once, with a default and a meaning, and is read somewhere."""

from __future__ import annotations

import dataclasses

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from o2t_jax.commands import law
from o2t_jax.config import Field, Group, config_of, declared, flatten
from o2t_jax.data.o2t.acceptance import AcceptanceRule
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.data.ring import BufferConfig
from o2t_jax.models.o2t.loss import LossWeights
from o2t_jax.models.o2t.network import O2TModel
from o2t_jax.physics.gravity import LAWS, Gravity, gravity_of
from o2t_jax.systems import base_config, o2t, o2t_config
from o2t_jax.training import workdir


@pytest.mark.parametrize("component", [ShotConfig, FlightConfig, BufferConfig, AcceptanceRule])
def test_a_component_has_no_defaults_and_every_field_of_it_can_be_set(component) -> None:
    for field in dataclasses.fields(component):
        assert field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING, field.name
        assert field.name in declared(o2t_config.FIELDS), field.name


def test_weights_of_the_loss_and_the_network_have_no_defaults() -> None:
    assert not LossWeights._field_defaults
    given = {field.name for field in dataclasses.fields(O2TModel) if field.default is not dataclasses.MISSING}
    assert given <= {"tower_type", "encoder_type", "parent", "name"}, "injected parts alone"


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


def test_a_new_law_is_chosen_from_the_command_line_by_its_row_in_the_registry() -> None:
    for name in LAWS:
        arguments = [f"--config.world.law={name}", *(f"--config.world.{param}=300" for param in LAWS[name].names)]
        values = flags.FlagValues()
        config_flags.DEFINE_config_dict("config", o2t_config.default(), flag_values=values, sys_argv=arguments)
        values(["", *arguments])
        base_config.validate(values.config, o2t_config.FIELDS)
        o2t_config.validate(values.config)
        renderer, _ = o2t.make_renderer(values.config)
        assert renderer.gravity == Gravity.of(name, **dict.fromkeys(LAWS[name].names, 300.0))
        assert o2t.build(values.config).truth() == {"law": name, **dict.fromkeys(LAWS[name].names, 300.0)}


def test_a_run_of_an_older_version_is_completed() -> None:
    old = o2t_config.default().to_dict()
    old["world"] = {"g0": 3.0, "alpha": 1.0}
    del old["clearance"]
    del old["film"]  # a group of fields that it did not have
    config = o2t_config.completed(ConfigDict(old).lock())
    assert config.clearance == 0.1 and gravity_of(config.world) == Gravity.hyperbolic(3.0, 1.0)
    assert config.film.frames == 8
    assert o2t_config.completed(config) is config


def test_a_law_is_plotted_beside_the_law_of_its_own_world(tmp_path) -> None:
    for truth, at_10 in (
        ({"law": "linear", "g0": 9.8, "slope": -0.05}, 9.3),
        ({"law": "hyperbolic", "g0": 9.5, "alpha": 8.0}, 9.9),
        ({"g0": 9.5, "alpha": 8.0}, 9.9),  # of an older version
    ):
        workdir.write_json(tmp_path / workdir.TRUTH, truth)
        assert law._truth(tmp_path)(10.0) == pytest.approx(at_10)
    workdir.write_json(tmp_path / workdir.TRUTH, {"b": 3.0})  # of another system
    assert law._truth(tmp_path) is None
