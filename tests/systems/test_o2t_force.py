"""A learned force in the system: its parameter, optimiser group, read-out and truth; and none where none is learned."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from o2t_jax.commands import law
from o2t_jax.commands.readout import format_readout
from o2t_jax.errors import UsageError
from o2t_jax.models.o2t.optimiser import FORCE, group_of
from o2t_jax.systems.o2t import build
from o2t_jax.systems.o2t_force import headline_of, law_with_force
from o2t_jax.training.state import Initial
from tests.models.conftest import random_like
from tests.systems.small import small_config

DRAG = 0.0436


@pytest.fixture(scope="module")
def system():
    config = small_config()
    config.world.force, config.world.drag, config.learn_force = "quadratic_drag", DRAG, "quadratic_drag"
    config.force_samples = 3
    return build(config)


@pytest.fixture(scope="module")
def state(system):
    shapes = Initial(system.init, system.tx, (0,)).shapes
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes).replace(params=random_like(shapes.params))


def test_the_force_is_one_more_parameter_with_a_group_of_its_own(system, state) -> None:
    plain = small_config()
    shapes = Initial(build(plain).init, build(plain).tx, (0,)).shapes
    assert "force" not in shapes.params["layer"] and state.params["layer"]["force"].shape == (1,)
    groups = {group_of(path) for path, _ in jax.tree_util.tree_flatten_with_path(state.params)[0]}
    assert FORCE in groups and FORCE in state.opt_state.inner_states
    assert FORCE not in shapes.opt_state.inner_states, "a run without a force has the optimiser that it always had"


def test_too_few_rounds_of_shooting_are_noted(system) -> None:
    assert any("shoot_rounds=2" in note for note in system.notes(None))  # type: ignore[arg-type]
    assert not any("shoot_rounds" in note for note in build(small_config()).notes(None))  # type: ignore[arg-type]


def test_the_truth_and_the_read_outs_name_the_force(system, state) -> None:
    assert system.truth()["force"] == "quadratic_drag" and system.truth()["drag"] == DRAG
    assert set(build(small_config()).truth() or {}) == {"law", "g0", "alpha"}
    assert set(system.readouts) == {"law", "force"} and set(build(small_config()).readouts) == {"law"}
    found = system.read_force(state)
    assert (
        found["drag"] == pytest.approx(float(state.params["layer"]["force"][0])) and found["form"] == "quadratic_drag"
    )
    # A random tower finds no ball: no interval, and the reason why.
    assert found["refined"] is None and "train longer" in found["error"]
    assert "undetermined" not in headline_of(found)
    with pytest.raises(UsageError, match=r"no interval of the force: .*train longer"):
        system.law_of(state, 0)
    assert build(small_config()).law_of(state, 0) is None


def test_the_law_with_its_force_is_shown_with_intervals_or_as_undetermined() -> None:
    entries = {name: {"value": v, "low": 0.9 * v, "high": 1.1 * v} for name, v in (("g0", 9.8), ("drag", 0.04))}
    refined = {"parameters": entries, "present": True, "lead": 9.0, "level": 0.95}
    force = {"form": "quadratic_drag", "drag": 0.041, "g0": 9.7, "refined": refined, "error": None, "step": 1}
    shown = law_with_force(force, {"g0": 9.81, "drag": DRAG})
    text = format_readout(shown)
    assert "g0 + quadratic_drag" in text and "0.036 to 0.044) 1/m, in the weights 0.041, truth 0.0436" in text
    assert "0.04, 0.036 to 0.044" in headline_of(force) and "95 % intervals" in law._format_force(force)
    unsure = law_with_force({**force, "refined": {**refined, "present": False}}, {})
    assert (
        unsure["form"] == "cannot tell" and unsure["rivals"] == ["g0"] and unsure["parameters"]["g0"]["truth"] is None
    )
