"""experiments.studies.ablations: every variant is a config that trains; the trainings themselves are long runs."""

from __future__ import annotations

import importlib

import pytest

from o2t_jax.commands.studies import ablations
from o2t_jax.systems import o2t


@pytest.mark.parametrize("name", list(ablations.VARIANTS))
def test_every_variant_names_fields_that_a_system_takes(name: str) -> None:
    overrides = dict(item.removeprefix("--").split("=") for item in ablations.VARIANTS[name])
    config = importlib.import_module(f"o2t_jax.commands.configs.{overrides.pop('config', 'cpu')}").get_config()
    for field, value in overrides.items():
        field = field.removeprefix("config.")
        before = config[field]  # KeyError: no such field
        config[field] = (
            value == "True" if isinstance(before, bool) else type(before)(float(value) if value[0].isdigit() else value)
        )
        assert config[field] != before, "a variant that changes nothing"
    assert o2t.build(config).config is config


def test_the_summary_counts_seeds() -> None:
    rows = [
        {"variant": "recipe", "world": "3.71", "seed": seed, "status": "finished", "mean_g_error_%": error}
        for seed, error in enumerate((1.0, -3.0))
    ]
    assert "mean    -1.00%, largest    3.00%, 2 runs" in ablations.summary(rows)
