"""System `discs`: its tests give the idle row and the simulator the marks they must have; stored sets; bad fields."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.data.records import write_set
from o2t_jax.errors import UsageError
from o2t_jax.systems.base import TrainState, build_system
from o2t_jax.systems.discs import Discs
from o2t_jax.systems.discs_questions import DiscQuestions
from o2t_jax.systems.discs_tests import DiscTests
from o2t_jax.training.state import Initial


def small(**changed) -> Discs:
    _, config = load_config("discs/cpu:smoke")
    config = config.copy_and_resolve_references()
    config.unlock()
    config.env.masses, config.env.speed = (1.0, 5.0), 600.0
    config.update(changed)
    return build_system(config)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def system() -> Discs:
    return small()


@pytest.fixture(scope="module")
def idle(system) -> TrainState:
    """Parameters of a model that never pushes: constant velocity."""
    state = Initial(system.init, system.tx, (0,)).make()
    return state.replace(params=jax.tree.map(np.zeros_like, state.params))


@pytest.fixture(scope="module")
def tests(system) -> DiscTests:
    return DiscTests(system)


def test_a_model_that_never_pushes_is_the_idle_row(tests, idle) -> None:
    found = dict(tests.test(idle))
    assert found["mse_ratio"].value == pytest.approx(1.0, rel=1e-5)
    assert found["collision_mse_ratio"].value == pytest.approx(1.0, rel=1e-5)
    assert found["cosine_share"].value == pytest.approx(0.0, abs=1e-5)
    assert found["hits_in_order"].value == 0.0 and found["hits"].value > 1.0
    curve = found["cosine"]
    np.testing.assert_allclose(curve.y, curve.baselines["constant velocity"], atol=1e-5)
    assert np.mean(curve.baselines["ceiling"]) > np.mean(curve.y) + 0.05


def test_the_simulator_makes_no_error(tests) -> None:
    held = tests.held_out
    found = held.errors(held.one_frame(held.pool.scenes["mass"]))
    assert found["mse"] < 1e-9 < 1e-3 < found["idle"]
    np.testing.assert_allclose(
        held.restarted(8, 0.0), held.pool.scenes["velocity"][:, 1:10], atol=0.5
    )  # to rounding, before chaos


def test_a_model_that_never_pushes_tells_no_mass_and_the_ideal_observer_does(tests, idle) -> None:
    found = dict(DiscQuestions(tests).mass(idle))
    rows = {row["hits"]: row for row in found["masses"].rows}
    assert found["accuracy"].value == pytest.approx(0.5)
    assert rows["1 and more"]["ideal"] == 1.0 and rows["1 and more"]["accuracy"] == pytest.approx(0.5)


def test_the_true_collisions_have_the_law_of_rigid_discs(tests, idle) -> None:
    rows = {
        row["quantity"]: row for row in dict(DiscQuestions(tests).law(idle))["impulse"].rows if row["of"] == "truth"
    }
    assert rows["restitution"]["value"] == pytest.approx(1.0, abs=1e-3)
    assert rows["exponent of speed"]["value"] == pytest.approx(1.0, abs=1e-2)
    assert rows["exponent of mass"]["value"] == pytest.approx(1.0, abs=1e-2)


def test_a_stored_set_gives_the_windows_that_are_made(system, tmp_path) -> None:
    folder = tmp_path / "set"
    write_set(folder, system.scenes, {"train": 10, "validation": 4})
    stored = small(dataset=str(folder), n_scenes=10)
    stored.check()
    made, read = system.pool("train", 10), stored.pool("train", 10)
    for name, array in made.take(np.arange(made.size)).items():
        np.testing.assert_array_equal(array, read.take(np.arange(made.size))[name])
    with pytest.raises(UsageError, match="another kind"):
        small(dataset=str(folder), env={"speed": 60.0}).check()


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"env": {"discs": 60}}, "do not fit"),
        ({"env": {"masses": (0.0,)}}, "masses=0 must be"),
        ({"env": {"room": "l"}}, "room"),
        ({"model": "clasic"}, "did you mean 'classic'"),
        ({"dropout": 1.0}, "dropout=1"),
        ({"frames": 5}, "frames=5 are too few"),
        ({"optimiser": "adam"}, "did you mean 'adamw'"),
        ({"decay": 0.0}, "decay=0"),
    ],
)
def test_bad_fields_are_one_line(changed, text) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        small(**changed)
    assert "\n" not in str(caught.value)
