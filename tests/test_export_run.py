"""experiments.export_run: the same run without its optimiser; every step of it opens, and training refuses to go on."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax import load
from o2t_jax.commands import export_run, report, train
from o2t_jax.training import checkpoint
from o2t_jax.training.metrics import read_metrics
from o2t_jax.training.provenance import read_sessions

CONFIG = "--config=tests/training/toy_config.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Six steps of the tests' toy system, whose steps 4 and 6 and the best are kept."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert train.main([CONFIG, f"--workdir={workdir}"]) == 0
    return workdir


def exported(workdir, out, *flags: str):
    assert export_run.main([f"--workdir={workdir}", f"--out={out}", *flags]) == 0
    return out


def test_everything_but_the_optimiser_is_the_same(trained, tmp_path):
    ours, theirs = load(exported(trained, tmp_path / "out")), load(trained)
    assert ours.step == theirs.step == 6 and ours.config == theirs.config and ours.readouts == theirs.readouts
    for name in ("params", "extra"):
        want = getattr(theirs.state, name)
        for key, value in getattr(ours.state, name).items():
            np.testing.assert_array_equal(value, want[key])
            assert value.dtype == want[key].dtype
    assert ours.state.extra and not (checkpoint.find_step(tmp_path / "out") / "opt_state").exists()
    assert (checkpoint.find_step(trained) / "opt_state").exists()
    assert read_metrics(tmp_path / "out") == read_metrics(trained)
    assert (tmp_path / "out" / "result.json").read_text() == (trained / "result.json").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    step = checkpoint.find_step(tmp_path / "out")
    assert not [path for path in step.rglob("*") if path.is_file() and str(tmp_path).encode() in path.read_bytes()]


def test_the_commands_that_made_it_are_told(trained, tmp_path):
    out = exported(trained, tmp_path / "out")
    first, last = read_sessions(out)
    theirs = read_sessions(trained)[0]
    assert first == {name: x for name, x in theirs.items() if name != "platform"} and last["step"] == 6
    assert last["command"] == f"python -m experiments.export_run --workdir={trained} --out={out}"


def test_a_report_shows_numbers_without_pictures(trained, tmp_path):
    out = exported(trained, tmp_path / "out")
    assert report.main([f"--workdir={out}"]) == 0
    page = (out / "report.html").read_text()
    assert "test/loss" in page and "no longer exists" not in page and "export_run" in page


def test_an_earlier_step_has_nothing_of_later_ones(trained, tmp_path):
    out = exported(trained, tmp_path / "out", "--step=4")
    assert checkpoint.saved_steps(out) == [4] and not (out / "result.json").exists()
    assert max(row["step"] for row in read_metrics(out)) == 4 < max(row["step"] for row in read_metrics(trained))


def test_training_does_not_continue_there(trained, tmp_path, capsys):
    out = exported(trained, tmp_path / "out", "--step=4")
    before = sorted(path.relative_to(out) for path in out.rglob("*"))
    capsys.readouterr()
    assert train.main([CONFIG, f"--workdir={out}"]) == 2
    error = capsys.readouterr().err
    assert "no optimiser's state" in error and f"--config.init_from={out}" in error and error.count("\n") == 1
    assert sorted(path.relative_to(out) for path in out.rglob("*")) == before
    assert train.main([CONFIG, f"--workdir={tmp_path / 'next'}", f"--config.init_from={out}"]) == 0


def test_a_damaged_byte_is_found(trained, tmp_path):
    out = exported(trained, tmp_path / "out")
    files = [path for path in (checkpoint.find_step(out) / "params").rglob("*") if path.is_file()]
    victim = max(files, key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(Exception, match="SHA-256"):
        load(out)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out={tmp}/a"], "--workdir is missing"),
        (["--workdir={run}"], "--out is missing"),
        (["--workdir={run}", "--out={run}"], "exists: give a new folder"),
        (["--workdir={run}", "--out={tmp}/a", "--step=5"], "no checkpoint of step 5"),
        (["--workdir={tmp}/none", "--out={tmp}/a"], "holds no checkpoint"),
    ],
)
def test_bad_input_is_one_line_and_no_file(trained, tmp_path, capsys, flags, message):
    assert export_run.main([text.format(run=trained, tmp=tmp_path) for text in flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
