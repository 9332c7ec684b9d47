"""The O2T system as a whole: a golden step, equal micro-batches, every config."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import o2t_jax
from o2t_jax.commands import train
from o2t_jax.commands._config import load_config
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import DIS
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.systems import o2t_law
from o2t_jax.systems.o2t import O2TSystem, build
from o2t_jax.training.state import Initial
from o2t_jax.training.step import make_gradients
from tests.devices import simulated
from tests.systems import golden
from tests.systems.small import small_batch, small_config, small_state, small_system

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = sorted(path.stem for path in (ROOT / "o2t_jax" / "commands" / "configs").glob("[!_]*.py"))
CONFIGS = [name for name in NAMES if load_config(name)[1].system == "o2t"]


@pytest.fixture(scope="module")
def system() -> O2TSystem:
    return small_system()


@pytest.fixture(scope="module")
def state(system):
    return small_state(system)


@pytest.fixture(scope="module")
def batch():
    return jax.tree.map(jnp.asarray, small_batch())


@pytest.fixture(scope="module")
def gradients(system, state, batch):
    """Compiled once: it is what takes time here."""
    return jax.jit(make_gradients(system.loss)).lower(state, batch).compile()


def test_golden_train_step(system, state, batch, gradients) -> None:
    """A step gives the numbers it always gave. A change of the model changes them: then look, and renew the file
    with UPDATE_GOLDEN=1 in the environment, in a commit that says why."""
    found = golden.numbers(system, state, gradients, batch)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.PATH.write_text(json.dumps(found, indent=1) + "\n")
    golden.check(found)


def test_micro_batches_give_the_whole_batchs_gradient(system, state, batch, gradients) -> None:
    whole, (_, found) = gradients(state, batch)
    parts, (_, found_parts) = jax.jit(make_gradients(system.loss, micro_batches=2))(state, batch)

    assert_same_gradient(parts, whole)
    assert float(found["heights"].value.sum()) > 0, "nothing was seen: this compares too little"
    assert np.allclose(found["heights"].value, found_parts["heights"].value, atol=1e-6)
    assert found["samples"].value == found_parts["samples"].value == len(batch["k"])


def assert_same_gradient(found, whole) -> None:
    """By part of the network: single float32 entries are sums over whole maps that nearly cancel."""

    def norm(tree) -> float:
        return float(np.sqrt(sum(np.sum(np.square(np.asarray(x, np.float64))) for x in jax.tree.leaves(tree))))

    for part in whole:
        difference = jax.tree.map(jnp.subtract, whole[part], found[part])
        # Sums in another order differ by 1e-5; a sample lost or counted twice would by a fifth.
        assert norm(difference) <= 1e-4 * norm(whole[part]), part
        assert norm(whole[part]) > 0, part


@pytest.mark.slow
def test_four_devices_give_one_devices_gradient(state, batch, gradients, tmp_path) -> None:
    command = [sys.executable, "-m", "tests.systems.small", str(tmp_path / "four.npz")]
    done = subprocess.run(command, cwd=ROOT, env=simulated(4), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole, (_, statistics) = gradients(state, batch)
    with np.load(tmp_path / "four.npz") as file:
        assert file["devices"] == 4
        leaves = [file[f"arr_{i}"] for i in range(len(file) - 1)]
    found, statistics_found = jax.tree.unflatten(jax.tree.structure((whole, statistics)), leaves)
    assert_same_gradient(found, whole)
    heights = statistics["heights"].value
    assert np.allclose(heights, statistics_found["heights"].value, atol=1e-6) and np.any(heights)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_builds_and_states_its_curriculum(name: str) -> None:
    _, config = load_config(name)
    system = build(config)
    spec = Initial(system.init, system.tx, (0,)).shapes
    assert spec.params["layer"]["g0"].shape == () and spec.params["layer"]["alpha"].shape == (25,)
    assert system.activation_bytes(2) == 2 * system.activation_bytes(1) > 0


@pytest.mark.parametrize("used", [0, 1])
def test_g0_and_alpha_start_at_zero_in_both_gauges(used: int) -> None:
    arguments = (jnp.zeros((1, 48)), jnp.zeros(1, jnp.int32), jnp.zeros(phys.HEIGHT_BINS))
    layer = jax.jit(phys.PhysLayer(48, 0.1, 2, used).init)(jax.random.key(3), *arguments)["params"]
    assert float(layer["g0"]) == 0.0 and float(jnp.abs(layer["alpha"]).max()) == 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"render_size": 50}, ("render_size=50", "multiple of 32", "--config.render_size=64")),
        ({"render_size": 0}, ("render_size=0",)),
        ({"latent_dim": 40}, ("latent_dim=40", "multiple of 6")),
        ({"base_ch": 6}, ("base_ch=6",)),
        ({"gauge": "fre"}, ("gauge='fre'", "camera, free")),
        ({"scene": "towr"}, ("scene", "towr", "ballistic")),
        ({"module": "x.py", "scene": "room"}, ("module=x.py", "scene=room", "both set")),
        ({"module": "x.py", "render_backend": "device"}, ("module=x.py", "--config.render_backend=device")),
        ({"render_backend": "gpu"}, ("render_backend='gpu'", "opencv, device")),
        ({"world.g0": float("nan")}, ("world.g0", "finite")),
        ({"world.force": "drag"}, ("world.force='drag'", "none, quadratic_drag")),
        ({"world.force": "quadratic_drag", "world.drag": -0.1}, ("drag = -0.1", "limit of 0.0")),
        ({"world.drag": 0.1}, ("world.drag=0.1", "world.force=none", "quadratic_drag")),
        ({"learn_force": "friction"}, ("learn_force='friction'", "none, quadratic_drag")),
        ({"learn_force": "quadratic_drag", "gauge": "free"}, ("learn_force=quadratic_drag", "--config.gauge=camera")),
        ({"learn_force": "quadratic_drag", "sampler": "flights"}, ("sampler=flights", "--config.sampler=pairs")),
        ({"lr_force": -1.0}, ("lr_force=-1 must not be negative",)),
        ({"t1_max": -1.0}, ("t1_max=-1",)),
        ({"dt": 0.0}, ("dt=0",)),
        ({"k_min": 0}, ("k_min=0",)),
        ({"initial_fill": 2}, ("initial_fill=2", "batch=4")),
    ],
)
def test_bad_fields_end_with_one_line(changes: dict, words: tuple[str, ...]) -> None:
    config = small_config()
    for name, value in changes.items():
        parent, _, leaf = name.rpartition(".")
        (config[parent] if parent else config)[leaf] = value
    with pytest.raises(UsageError) as error:
        build(config)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_scene_gets_a_suggestion() -> None:
    config = small_config()
    config.scene = "balistic"
    with pytest.raises(UsageError, match="did you mean 'ballistic'"):
        _ = build(config).source


def test_pictures_made_on_the_device_make_the_same_samples() -> None:
    elements = []
    for backend in ("opencv", "device"):
        config = small_config()
        config.render_backend = backend
        elements.append(build(config).source("train", 3, ModeMix.only(DIS)).arrays())
    drawn, cast = elements
    np.testing.assert_array_equal(drawn["para"], cast["para"])
    difference = np.abs(drawn["pictures"].astype(int) - cast["pictures"])
    assert drawn["pictures"].std() > 5 and difference.mean() < 0.5, "another renderer of the same world"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("scene", "balistic", "balistic"),
        ("module", "render_scene_none.py", "render_scene_"),
        ("init_from", "nowhere", "nowhere"),
    ],
)
def test_what_is_missing_is_refused_before_anything_is_compiled(
    field, value, told, tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "render_scene_none.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Initial, "make", lambda self: pytest.fail("compiled"))
    assert train.main(["--config=smoke", f"--config.{field}={value}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and told in error
    assert not list((tmp_path / "runs").glob("smoke-*"))


def test_memory_is_not_planned_too_small(system, state, batch, gradients) -> None:
    needed = gradients.memory_analysis().temp_size_in_bytes
    assert needed <= system.activation_bytes(len(batch["k"])) < 8 * needed


def test_a_scene_with_contacts_has_no_force() -> None:
    config = small_config()
    config.world.force, config.world.drag, config.scene = "quadratic_drag", 0.04, "room"
    with pytest.raises(UsageError, match=r"scene 'room' has contacts.* choose scene ballistic or fall") as refusal:
        build(config).check()
    assert "\n" not in str(refusal.value)


def test_g_over_the_heights_met_is_a_result_beside_the_truth():
    """What TensorBoard and the run's folder show is the curve of the read-out; training reads no truth."""
    run = o2t_jax.load(ROOT / "examples" / "runs" / "cpu")
    found = dict(run.system.evaluators["law"](run.state))
    curve, table = found["g_of_z"], np.array(run.readouts["law"]["g_of_z"])
    np.testing.assert_allclose(np.stack([curve.x, curve.y], axis=-1), table, rtol=1e-5)
    assert curve.truth is not None and np.allclose(curve.truth, 9.81) and np.abs(curve.y - curve.truth).max() < 0.1
    unseen = run.state.replace(extra={"visited": np.zeros_like(run.state.extra["visited"])})
    assert not dict(run.system.evaluators["law"](unseen)), "no height was met"
    free = small_config()
    free.gauge = "free"
    assert "law" not in build(free).evaluators, "there it is no function of a height"


def test_the_law_is_read_by_one_program_however_many_heights_were_met(monkeypatch):
    """A long training meets ever other ranges of heights; each length once cost ten programs, which JAX keeps."""
    state, lengths = o2t_jax.load(ROOT / "examples" / "runs" / "cpu").state, set()
    curve, learned = o2t_law.gravity_in("camera", state), phys.learned_gravity

    def seen(law, z, visited):
        lengths.add(len(z))
        return learned(law, z, visited)

    monkeypatch.setattr(phys, "learned_gravity", seen)
    layer = state.params["layer"]
    law = phys.LawParams(layer["g0"], layer["alpha"], layer["gravity_mlp"])
    for count in (1, 46, 200, 401):
        z = np.linspace(1.0, 6.0, count)
        expected = learned(law, jnp.asarray(z, jnp.float32), jnp.asarray(state.extra["visited"]))
        np.testing.assert_allclose(curve(z), expected, rtol=1e-5)
    assert len(lengths) == 1


def test_a_run_that_sees_no_ball_says_so():
    system = build(load_config("smoke")[1])
    seen = {"picture_loss": 0.1, "g0": 9.8, "law_distance_m": 0.02}
    assert system.summary(seen).endswith("miss 2.0 cm")
    assert system.summary(seen | {"law_distance_m": float("nan")}).endswith("no ball seen")
    assert "no ball" in system.headline({"law": {"g0": 0.0, "alpha": None}})[0]
    assert system.headline({"law": {"g0": 9.8}}) == ["g0 9.8"]
