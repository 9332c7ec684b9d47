"""Configs with the sizes of the public originals build: shapes of a state and of a step, without a number computed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from o2t_jax.commands._config import load, load_config, names
from o2t_jax.errors import UsageError
from o2t_jax.systems.base import System, build_system
from o2t_jax.training.state import Initial, TrainState, tree_size
from o2t_jax.training.step import make_train_step
from o2t_jax.types import Batch

ORIGINALS = [name for name in names() if "original" in name]
# Other configs that no test trains: networks and batches of the originals' documents under their own names.
ALSO = ["a100", "discs/classic:joint", "discs/classic:two", "discs/modern:bfloat16", "m2", "rtx3090", "seed"]


def variants(name: str) -> list[str]:
    """A config with each of its variants, as the refusal of an unknown one names them."""
    with pytest.raises(UsageError) as refused:
        load(f"{name}:of no config")
    known = re.search(r"choose one of (.*?)(, or leave it out)?$", str(refused.value))
    return [f"{name}:{variant}" for variant in known[1].split(", ")] if known else [name]


def batch_of(system: System, size: int) -> Batch:
    """A batch's shapes."""
    if system.make_batch is not None:
        return jax.eval_shape(system.make_batch, jnp.int32(0), jnp.int32(0))
    assert system.sample_spec
    return {name: jax.ShapeDtypeStruct((size, *x.shape), x.dtype) for name, x in system.sample_spec.items()}


def check_step(name: str, **fields: Any) -> TrainState:
    """The shapes of a config's state; its step keeps them, and its loss is a number."""
    _, config = load_config(name)
    config.update(fields)
    system = build_system(config)
    state = Initial(system.init, system.tx, (config.seed,)).shapes
    after, metrics = jax.eval_shape(
        make_train_step(system.loss, system.tx, system.advance), state, batch_of(system, config.batch)
    )
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
    assert metrics["loss"].shape == () and jnp.issubdtype(metrics["loss"].dtype, jnp.floating)
    return state


def test_there_are_some_of_these_systems() -> None:
    assert {load_config(name)[1].system for name in ORIGINALS} == {"dynamics", "dynamics_pictures", "motion", "video"}


@pytest.mark.parametrize("name", ORIGINALS)
def test_an_originals_state_and_step_have_shapes(name: str) -> None:
    assert tree_size(check_step(name).params) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(each for name in ORIGINALS for each in variants(name)), *ALSO])
def test_each_variants_state_and_step_have_shapes(name: str) -> None:
    assert tree_size(check_step(name).params) > 1000


def test_the_documents_motion_network_has_its_sizes_at_200_frames() -> None:
    """d 256 (twice that inside), N 32, 4 layers and one of physics; docs/motion.md."""
    params = check_step("motion/original", horizon=192).params["model"]
    layers = [*params["ssm"].values(), params["physics"]["mamba"]]
    layers = [layer for layer in layers if "log_rate" in layer]
    assert len(layers) == 5
    for layer in layers:
        assert layer["log_rate"].shape == (32, 1) and layer["in"]["kernel"].shape == (256, 2 * 512)


def test_the_motion_networks_have_as_many_parameters_as_their_page_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "motion.md").read_text()
    for name in ("motion/original", "motion/original:text"):
        assert f"{tree_size(check_step(name).params):,}" in page
