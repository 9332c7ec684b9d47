"""The trained runs in examples/runs: small, whole, opened by this version, with the read-out that was recorded."""

from __future__ import annotations

import math
from pathlib import Path

import jax
import numpy as np
import pytest

from o2t_jax import load
from o2t_jax.commands import law
from o2t_jax.systems.base import build_system
from o2t_jax.training import workdir as folders
from o2t_jax.training.checkpoint import check_fits, open_workdir, saved_steps
from o2t_jax.training.provenance import read_sessions

RUNS = Path(__file__).resolve().parents[1] / "examples" / "runs"
RECORDED = {
    "cpu": {"law/g0": 9.812274},
    "discs": {},
    "motion": {},
    "parser": {},
    "pendulum": {},
    "video": {},
    "toy": {"spring/stiffness_per_mass": 4.051369},
}
MOST_BYTES = 3_000_000


def test_every_run_is_in_the_table():
    assert sorted(path.name for path in RUNS.iterdir()) == sorted(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_it_is_small_and_tells_its_commands(name):
    workdir = RUNS / name
    files = [path for path in workdir.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES and len(saved_steps(workdir)) == 1
    first, last = read_sessions(workdir)
    assert first["command"].startswith("python -m experiments.train")
    assert last["command"].startswith("python -m experiments.export_run")
    result = folders.read_json(workdir / "result.json")
    assert result["step"] == saved_steps(workdir)[0] == last["step"]


@pytest.mark.parametrize("name", RECORDED)
def test_it_opens_whole_and_its_read_outs_are_the_recorded_ones(name):
    run = load(RUNS / name)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run.state.params))
    for entry, value in RECORDED[name].items():
        group, _, key = entry.partition("/")
        assert math.isclose(run.readouts[group][key], value, rel_tol=1e-6)


@pytest.mark.slow
def test_the_law_is_still_in_the_weights(tmp_path, capsys):
    plot = tmp_path / "law.png"
    assert law.main([f"--workdir={RUNS / 'cpu'}", "--recompute", f"--plot={plot}"]) == 0
    assert "g0     9.8123" in capsys.readouterr().out and plot.is_file()


def test_the_spring_is_still_in_the_weights():
    run = load(RUNS / "toy")
    found = run.system.readouts["spring"](run.state)
    assert math.isclose(found["stiffness_per_mass"], RECORDED["toy"]["spring/stiffness_per_mass"], rel_tol=1e-3)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "toy" else pytest.mark.slow) for name in RECORDED]
)
def test_its_arrays_are_those_of_the_system_today(name):
    opened = open_workdir(RUNS / name)
    check_fits(opened, build_system(opened.config), name)


def test_the_pendulums_error_is_what_its_config_promises():
    found = folders.read_json(RUNS / "pendulum" / "results.json")["test/error"]
    assert found["value"] == pytest.approx(0.07, abs=0.01)
    assert found["value"] < found["baselines"]["persistence"] / 20


@pytest.mark.slow
def test_the_parser_reads_a_sentence_as_the_rules_do():
    from o2t_jax.commands._parsers import open_parser
    from o2t_jax.data.scene.knowledge import load_kinds
    from o2t_jax.systems import scene
    from o2t_jax.systems.scene_reading import read_sentence

    sentence, kinds = "a red ball falls next to a person who walks", load_kinds(None)
    learned = read_sentence(*open_parser(RUNS / "parser"), sentence, kinds)
    assert learned == scene.understand(sentence, kinds)


@pytest.mark.slow
def test_the_pendulums_law_is_in_its_field():
    from o2t_jax.systems.dynamics_law import field_of

    run = load(RUNS / "pendulum")
    field = field_of(run.system, run.state.params)  # pyright: ignore[reportArgumentType]
    angle = np.linspace(-2.0, 2.0, 41)
    states = np.stack([angle, np.zeros_like(angle)], axis=1)
    pull = field(states, np.zeros((len(angle), run.system.env.actions.size)))[:, 1]  # pyright: ignore
    assert np.polyfit(np.sin(angle), pull, 1)[0] == pytest.approx(-9.81, rel=0.1)
