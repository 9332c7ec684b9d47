"""The page about a run: one file, whole, true to what the run's folder holds."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from o2t_jax import media
from o2t_jax.commands import report
from o2t_jax.evaluation.o2t.law import read_out
from o2t_jax.evaluation.writers.folder import ResultsFolder
from o2t_jax.evaluation.writers.latex import escaped, table_latex
from o2t_jax.results import Column, Curve, Film, Picture, Scalar, Score, ScoreCurve, ScoreTable, Table
from o2t_jax.training import workdir as folders

VOID = {"meta", "img", "link", "br", "hr", "input"}
RNG = np.random.default_rng(0)
BASELINES = {"copy last": 2.0, "mean frame": 1.0}
RESULTS = {
    "test/loss": Score(0.5, baselines=BASELINES, better="lower"),
    "test/far/psnr": Score(20.0, "dB", 19.0, 21.0, baselines={"copy last": 21.5}, better="higher", method="ours"),
    "agent/steps": Scalar(123.0, "steps"),
    "test/error": ScoreCurve([1, 2], [0.1, 0.2], baselines={"copy last": [0.2, 0.4]}, better="lower", method="ours"),
    "test/plain": Curve([0, 1], [0, 1], low=[-1, 0], high=[1, 2], x_label="time", x_unit="s"),
    "test/table": ScoreTable(
        {"n": Column(), "method": Column(), "mse": Column("px²", ".2f"), "hidden": Column(shown=False)},
        [{"n": i, "method": m, "mse": 0.125 * i, "hidden": 77777} for i in range(30) for m in ("ours", "copy last")],
        baselines=["copy last"],
        better="lower",
        method="ours",
        by=["n"],
    ),
    "test/<script>alert(1)</script>": Picture(RNG.integers(0, 256, (8, 9, 3), np.uint8), 'a "caption" & more'),
    "test/film": Film(RNG.integers(0, 256, (3, 160, 160, 3), np.uint8), 10, "noise"),
}


class Checked(HTMLParser):
    """Refuses what is not balanced; keeps text and attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], "", [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A finished run's folder, made by hand."""
    folder = tmp_path_factory.mktemp("runs") / "cpu-1a2b"
    folder.mkdir()
    folders.write_json(folder / "config.json", {"system": "toy", "train_steps": 6, "world": {"g0": "<b>9.81</b>"}})
    folders.write_json(folder / "truth.json", {"g0": 9.8, "alpha": 0.0, "form": ["a", "b"]})
    law = read_out(lambda z: 9.7 + 0 * z, (0.0, 10.0), 9.7, np.zeros(25), 6, {"w": np.zeros(2)})
    spring = {"k": {"value": 2.0, "low": 1.9, "high": 2.1, "unit": "N/m", "truth": 2.05}, "form": "linear"}
    result = {"system": "toy", "step": 6, "best_step": 3, "best_metric": "test/loss", "train": {}, "eval": {}}
    folders.write_json(folder / "result.json", {**result, "readouts": {"law": law, "spring": spring}})
    rows = [
        {"step": s, "train/loss": 10.0**-s, "train/x": None, "train/samples_per_second": 5.0 * s, "law/g0": 9.0}
        for s in (2, 4, 6)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "test/')
    session = {"started": "2026-01-02", "step": 0, "command": "python -m x --y='a b'", "versions": {"jax": "0.10.2"}}
    (folder / "sessions.jsonl").write_text(json.dumps(session) + "\nbroken")
    ResultsFolder(folder).write(6, RESULTS)
    return folder


@pytest.fixture(scope="module")
def text(original):
    """Its page."""
    return made(original)


@pytest.fixture
def run(original, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(original, tmp_path / original.name)


def made(run, *arguments):
    path = run.parent / "page.html"
    assert report.main([f"--workdir={run}", f"--out={path}", *arguments]) == 0
    return path.read_text()


def test_the_page_is_whole_and_fetches_nothing(text):
    page = Checked(text)
    assert text.startswith("<!DOCTYPE html>") and not {"script", "link", "iframe", "object"} & set(page.tags)
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), name
        if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
            assert value.startswith(("data:", "#")), (tag, name, value[:80])
    assert "url(http" not in text and "@import" not in text and "://" not in text
    assert ("meta", "name", "viewport") in page.attributes and "color-scheme: light dark" in text


def test_the_page_holds_every_result_read_out_and_field(text):
    page = Checked(text)
    for name in RESULTS:
        assert name in page.text, name
    words = ["6 of 6, complete", "step 3, by test/loss", "20 dB [19, 21]", "not better than copy last", "2 N/m"]
    words += ["[1.9, 2.1]", "2.05 N/m", "linear", "law/alpha", "world.g0", "'<b>9.81</b>'", "jax 0.10.2", "123 steps"]
    words += ["python -m x --y='a b'", "✓ better than all", "mse [px²]", "time [s]", 'a "caption" & more', "60 rows"]
    for word in words:
        assert word in page.text, word
    assert "77777" not in page.text, "a column that is not shown"
    assert page.tags.count("svg") >= 5, "law, two curves, losses, pace"


def test_pictures_and_films_are_in_the_page_as_they_are_on_disk(original, text):
    for kind, folder in (("image/png", "pictures"), ("video/mp4", "films")):
        (inside,) = re.findall(f'src="data:{kind};base64,([^"]+)"', text)
        (path,) = (original / folder).iterdir()
        assert base64.b64decode(inside) == path.read_bytes()
    assert "<video controls loop muted playsinline" in text


def test_a_film_without_h264_is_a_picture_that_moves(run, monkeypatch):
    monkeypatch.setattr(media, "H264_ENCODERS", ())
    ResultsFolder(run).write(6, {"test/film": RESULTS["test/film"]})
    text = made(run)
    assert "data:image/gif;base64," in text and "<video" not in text


def test_several_runs_share_a_page(run, tmp_path):
    young = tmp_path / "young"
    young.mkdir()
    folders.write_json(young / "config.json", {"system": "toy", "train_steps": 9})
    page = Checked(made(run, f"--workdir={young}"))
    assert page.text.index("Side by side") < page.text.index("0 of 9, not complete")
    lines = page.text.splitlines()
    assert {"law/g09.7-", "spring/k2 N/m-", "test/loss0.5-", "agent/steps123 steps-"} <= set(lines)


def test_runs_of_several_systems_are_told_apart(run, tmp_path):
    """One row a run, with what picks its best step; a table of all numbers only for those of one system."""
    twin, other = shutil.copytree(run, tmp_path / "twin"), tmp_path / "other"
    other.mkdir()
    folders.write_json(other / "config.json", {"system": "discs", "train_steps": 9})
    text = Checked(made(run, f"--workdir={twin}", f"--workdir={other}", f"--tables={tmp_path / 'tables'}")).text
    root = tmp_path / "tables"
    assert {path.name for path in root.glob("*.csv")} == {"comparison.csv", "comparison_toy.csv"}
    assert "law/g0,9.7,9.7" in (root / "comparison_toy.csv").read_text()
    assert f"{other},discs," in (root / "comparison.csv").read_text()
    side = text[text.index("Side by side") : text.index("Read-outs")]
    assert f"{run}toy6 of 6, completetest/loss0.51 (mean frame)" in side
    assert f"{other}discs0 of 9, not complete---" in side
    assert side.count("law/g09.79.7\n") == 1 and "law/g09.79.7-" not in side


def test_the_sum_of_the_parameters_is_no_finding(text):
    assert "sha256" not in text


def test_a_page_can_be_read_with_a_keyboard_and_a_screen_reader(run, tmp_path):
    """Every drawing, picture and film has words of its own; every link leads to a heading of the page."""
    other = shutil.copytree(run, tmp_path / "other")
    page = Checked(made(run, f"--workdir={other}"))
    named = [value for tag, name, value in page.attributes if (tag, name) in {("svg", "aria-label"), ("img", "alt")}]
    named += [value for tag, name, value in page.attributes if (tag, name) == ("video", "aria-label")]
    assert len(named) == sum(page.tags.count(tag) for tag in ("svg", "img", "video")) and all(named)
    targets = [value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    anchors = {value for tag, name, value in page.attributes if tag == "h2" and name == "id"}
    assert targets == ["run0", "run1"] and set(targets) <= anchors


def test_tables_are_written_as_csv_and_latex_with_the_rows_that_learn_nothing(run, tmp_path, capsys):
    young = tmp_path / "young"
    young.mkdir()
    folders.write_json(young / "config.json", {"system": "toy", "train_steps": 9})
    made(run, f"--workdir={young}", f"--tables={tmp_path / 'tables'}")
    assert "tables: 6 files" in capsys.readouterr().out
    root = tmp_path / "tables"
    rows = list(csv.DictReader((root / run.name / "scores.csv").open()))
    assert [(row["result"], row["method"], row["value"]) for row in rows[:3]] == [
        ("test/loss", "this run", "0.5"),
        ("test/loss", "copy last", "2.0"),
        ("test/loss", "mean frame", "1.0"),
    ]
    assert (rows[3]["low"], rows[3]["high"], rows[3]["unit"], rows[4]["low"]) == ("19.0", "21.0", "dB", "")
    rows = list(csv.DictReader((root / run.name / "test_table.csv").open()))
    assert len(rows) == 60 and rows[1]["method"] == "copy last" and rows[2]["hidden"] == "77777"
    scores = (root / run.name / "scores.tex").read_text().splitlines()
    assert scores[1:3] == [r"\begin{tabular}{llrrrll}", r"\toprule"] and scores[-1] == r"\end{tabular}"
    body = scores[scores.index(r"\midrule") + 1 : scores.index(r"\bottomrule")]
    assert len(body) == 5 and all(line.count(" & ") == 6 and line.endswith(r" \\") for line in body)
    assert body[0].startswith(r"\textbf{test/loss} & \textbf{this run} & \textbf{0.5} & \textbf{--}")
    assert body[1].startswith("test/loss & copy last & 2 & -- & --")
    assert "mse [px\\textsuperscript{2}]" in (root / run.name / "test_table.tex").read_text()
    compared = (root / "comparison.csv").read_text()
    assert "law/g0,9.7,-" in compared and "law/g0\\_weight" not in compared
    assert r"law/g0\_weight & 9.7" in (root / "comparison.tex").read_text()


def test_latex_gets_no_character_that_it_reads_as_a_command():
    assert escaped("50% of_{x} & $1 #2 ~a^2 \\end") == (
        r"50\% of\_\{x\} \& \$1 \#2 \textasciitilde{}a\textasciicircum{}2 \textbackslash{}end"
    )
    table = Table({"a": Column(), "b": Column("m")}, [{"a": "x", "b": float("inf")}, {"a": None, "b": -1.5}])
    assert r"x & $\infty$ \\" in table_latex(table) and r"-- & $-1.5$ \\" in table_latex(table)


def test_a_share_of_failures_that_nobody_has_is_no_defeat(run):
    ResultsFolder(run).write(6, {"test/missed": Score(0.0, baselines={"repeat PIC1": 0.0}, better="lower")})
    text = Checked(made(run)).text
    assert "✓ 0, and so is repeat PIC1" in text and "not better than repeat PIC1" not in text


def test_files_out_of_the_runs_folder_are_left_alone(run):
    (run.parent / "secret.png").write_bytes(b"secret")
    index = json.loads((run / "results.json").read_text())
    index["test/film"]["file"] = "../secret.png"
    (run / "results.json").write_text(json.dumps(index))
    text = made(run)
    assert base64.b64encode(b"secret").decode() not in text and "no longer exists" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--workdir is missing"),
        (["--workdir={run}/nowhere"], "holds no run: config.json is missing"),
        (["--workdir={run}", "--workdir={run}"], "--out is missing"),
        (["--workdir={run}", "--out={run}/no/where.html"], "does not exist; make it first"),
        (["--workdir={run}", "stray"], "unknown argument"),
    ],
)
def test_bad_input_is_one_line(run, capsys, arguments, says):
    assert report.main([argument.format(run=run) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("results.json", "{", "not readable JSON"),
        ("results.json", '{"test/x": {"kind": "curve", "x": [1]}}', "'test/x' of its results is damaged"),
        ("result.json", "x", "not readable JSON"),
        ("config.json", "x", "not readable JSON"),
    ],
)
def test_a_damaged_file_is_named(run, capsys, name, text, says):
    (run / name).write_text(text)
    assert report.main([f"--workdir={run}"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
