"""experiments.curves: what is drawn are the logged numbers over steps x batch; bad input is one line and no file."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from o2t_jax.commands import curves
from o2t_jax.config import Config
from o2t_jax.evaluation.writers.learning_curves import figure_of, losses_of, smoothed
from o2t_jax.evaluation.writers.run_record import RunRecord
from o2t_jax.systems import toy_config

TRAINING = {10: 0.8, 20: 0.4, 30: None, 40: 0.1}
KEYS = ["--train=loss", "--validation=test/error"]


def make_run(folder, batch=16, scale=1.0, rows=()):
    """A run's config and log, as a training of the toy leaves them."""
    folder.mkdir(parents=True)
    config: Config = toy_config.default()
    config.batch = batch
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    lines = [{"step": n, "train/loss": x and x * scale, "train/grad_norm": 1.0} for n, x in TRAINING.items()]
    lines += [{"step": n, "test/error": x * scale, "test/error/persistence": 2.0} for n, x in ((20, 0.5), (40, 0.2))]
    text = "".join(json.dumps(row) + "\n" for row in [*lines, *rows])
    (folder / "metrics.jsonl").write_text(text + '{"step": 50, "train/lo')  # killed as it wrote
    return folder


def picture_width(path):
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture.shape[1]


def record(rows):
    return RunRecord(None, {"batch": 2}, rows)  # type: ignore[arg-type]


def test_rows_are_the_logged_numbers_over_samples(tmp_path, capsys):
    small, large = make_run(tmp_path / "runs" / "small"), make_run(tmp_path / "runs" / "large", 64, 0.5)
    out, rows = tmp_path / "c.png", tmp_path / "c.csv"
    assert curves.main([f"--workdir={tmp_path / 'runs'}", f"--out={out}", f"--csv={rows}", "--smooth=0.5", *KEYS]) == 0
    assert str(out) in capsys.readouterr().out and picture_width(out) > 700
    with rows.open() as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["run", "split", "samples", "value", "smoothed"]
    wanted = {
        (run.name, split, step * batch, value and value * (1.0 if split == "persistence" else scale))
        for run, batch, scale in ((small, 16, 1.0), (large, 64, 0.5))
        for split, values in (
            ("training", TRAINING),
            ("validation", {20: 0.5, 40: 0.2}),
            ("persistence", {20: 2.0, 40: 2.0}),
        )
        for step, value in values.items()
    }
    numbers = [(x["run"], x["split"], int(x["samples"]), float(x["value"]) if x["value"] else None) for x in found]
    assert set(numbers) == wanted and len(numbers) == len(wanted)
    small_training = [x["smoothed"] for x in found if (x["run"], x["split"]) == ("small", "training")]
    third = (0.1 + 0.5 * 0.4 + 0.25 * 0.8) / 1.75  # the null in between has no weight
    assert small_training == [f"{0.8:g}", str((0.4 + 0.5 * 0.8) / 1.5), "", str(third)]
    assert all(x["smoothed"] == x["value"] for x in found if x["split"] != "training")


def test_without_keys_the_system_says_what_is_compared(tmp_path):
    run = make_run(tmp_path / "run", rows=[{"step": 40, "train/other": 7.0, "test/other": 7.0}])
    for more, name in (([], "own"), (["--train=train/loss", "--validation=test/error"], "same"), (KEYS, "also")):
        assert curves.main([f"--workdir={run}", f"--out={tmp_path}/a.svg", f"--csv={tmp_path}/{name}", *more]) == 0
    assert len({(tmp_path / name).read_text() for name in ("own", "same", "also")}) == 1
    assert "7.0" not in (tmp_path / "own").read_text() and "<svg" in (tmp_path / "a.svg").read_text()


def test_averages_are_unbiased_from_the_first_value_on():
    noise = np.random.default_rng(0).normal(size=400)
    np.testing.assert_allclose(smoothed(np.full(50, 3.0), 0.98), 3.0, rtol=1e-12)
    np.testing.assert_array_equal(smoothed(noise, 0.0), noise)
    assert np.std(smoothed(noise, 0.98)[200:]) < 0.2
    # What a first loss of 1 leaves in the mean is a fiftieth of what it leaves where the mean starts at it.
    decayed = smoothed(np.r_[1.0, np.full(300, 1e-3)], 0.98)[-1]
    assert 1e-3 < decayed < 1e-3 + 0.98**300 / 40


def test_lines_are_drawn_where_the_numbers_are():
    rows = [{"step": 1, "train/loss": 4.0, "v": 3.0, "v/idle": 5.0}, {"step": 3, "train/loss": 1.0, "v": 2.0}]
    losses = [part for name in "ab" for part in losses_of(name, record(rows), "loss", "v", 0.9)]
    (axes,) = figure_of(losses, "loss").axes
    assert axes.get_yscale() == "log" and "millions" in axes.get_xlabel()
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["a, training", "a, validation", "idle", "b, training", "b, validation"]
    lines = {line.get_label(): np.asarray(line.get_xydata()) for line in axes.get_lines()}
    np.testing.assert_allclose(lines["a, training"], [[2e-6, 4.0], [6e-6, (1.0 + 0.9 * 4.0) / 1.9]])
    np.testing.assert_allclose(lines["b, validation"], [[2e-6, 3.0], [6e-6, 2.0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--workdir is missing"),
        (["--workdir={run}", *KEYS], "--out is missing"),
        (["--workdir={run}", "--out=a.jpg", *KEYS], "the ending '.jpg' is unknown"),
        (["--workdir={run}", "--out=nowhere/a.png", *KEYS], "the folder nowhere does not exist"),
        (["--workdir=nowhere", "--out=a.png", *KEYS], "nowhere holds no run"),
        (["--workdir={run}", "--workdir={run}", "--out=a.png", *KEYS], "is given twice"),
        (["--workdir={run}", "--out=a.png", "--smooth=1", *KEYS], "--smooth=1 is outside the range"),
        (["--workdir={run}", "--out=a.png", "--smooth=-0.1", *KEYS], "--smooth=-0.1 is outside the range"),
        (["--workdir={run}", "--out=a.png", "--names=a,b", *KEYS], "2 names for 1 runs"),
        (["--workdir={run}", "--out=a.png", "--train=los", KEYS[1]], "did you mean 'loss'?"),
        (["--workdir={run}", "--out=a.png", KEYS[0], "--validation=zzz"], "it has test/error"),
        (["--workdir={empty}", "--out=a.png", *KEYS], "has logged nothing yet"),
        (["--workdir={below}", "--out=a.png", *KEYS], "a value in training is -3, which"),
    ],
)
def test_bad_input_is_one_line_and_no_file(tmp_path, monkeypatch, capsys, arguments, message):
    run, empty = make_run(tmp_path / "run"), make_run(tmp_path / "empty")
    below = make_run(tmp_path / "below", rows=[{"step": 50, "train/loss": -3.0}])
    (empty / "metrics.jsonl").unlink()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert curves.main([text.format(run=run, empty=empty, below=below) for text in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_loss_below_zero_has_a_linear_axis(tmp_path):
    below = make_run(tmp_path / "below", rows=[{"step": 50, "train/loss": -3.0}])
    assert curves.main([f"--workdir={below}", f"--out={tmp_path}/a.png", "--nolog", *KEYS]) == 0
