"""BENCHMARKS.md is what results/benchmarks says, and a file that cannot be right is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import table

QUESTIONS = sorted(path for path in table.RESULTS.glob("*.json") if path.name != table.MACHINES)
MACHINES = json.loads((table.RESULTS / table.MACHINES).read_text())
ROW = {"what": "a step", "value": 1, "command": "c", "commit": "0123abc", "date": "2026-01-31", "machine": "M"}


def make_results(folder: Path, **changes: object) -> Path:
    """A folder with one question of one row, `ROW` with `changes`; None removes a key."""
    row = {key: value for key, value in {**ROW, **changes}.items() if value is not None}
    folder.mkdir(exist_ok=True)
    (folder / table.MACHINES).write_text(json.dumps({"M": "one core"}))
    (folder / "1_question.json").write_text(json.dumps({"title": "How long?", "text": "Alone.", "rows": [row]}))
    return folder


def run(results: Path, page: Path, *flags: str) -> int:
    return table.main([f"--results={results}", f"--page={page}", *flags])


def test_the_page_and_the_results_agree(capsys):
    assert table.main(["--check"]) == 0, capsys.readouterr().err


def test_one_changed_digit_is_found_and_nothing_is_written(tmp_path, capsys):
    text = table.PAGE.read_text()
    changed = text.replace("5,138", "5,139")
    assert changed != text
    page = tmp_path / "page.md"
    page.write_text(changed)
    assert run(table.RESULTS, page, "--check") == 2
    (line,) = capsys.readouterr().err.splitlines()
    number = 1 + text[: text.index("5,138")].count("\n")
    assert f"page.md and the results differ from line {number} on" in line
    assert page.read_text() == changed


@pytest.mark.parametrize("text", [None, ""])
def test_a_missing_or_empty_page_is_no_agreement(tmp_path, text):
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    assert run(make_results(tmp_path / "results"), page, "--check") == 2


def test_writing_and_checking_agree(tmp_path):
    results, page = make_results(tmp_path / "results"), tmp_path / "page.md"
    assert run(results, page) == run(results, page, "--check") == 0
    make_results(results, value=2)
    assert run(results, page, "--check") == 2


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_every_row_names_a_command_that_exists(path):
    for row in table.read_question(path, MACHINES).rows:
        for module in re.findall(r"python -m ((?:experiments|benchmarks)(?:\.\w+)+)", row.command):
            file = table.ROOT / module.replace("experiments.", "o2t_jax.commands.").replace(".", "/")
            assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file(), module
        for config in re.findall(r"experiments/configs/\S+\.py", row.command):
            assert (table.ROOT / config).is_file(), config


@pytest.mark.parametrize("name", ["10_law_constant", "20_law_curve", "50_roomphys", "60_prediction"])
def test_what_is_learned_stands_beside_a_row_that_does_nothing(name):
    question = table.read_question(table.RESULTS / f"{name}.json", MACHINES)
    assert {row.does_nothing for row in question.rows} == {False, True}
    assert "(does nothing)" in table.format_question(question)


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [
        ({"at_most": 3}, 3, True),
        ({"at_most": 3}, [1, Decimal("3.1")], False),
        ({"at_least": 1}, Decimal("0.99"), False),
        ({"at_least": 1}, [1, 2], True),
        ({"within": 1}, [-2, 0], False),
        ({"within": 1}, [-1, 1], True),
        ({"between": [92, 98]}, [92, 98], True),
        ({"between": [92, 98]}, Decimal("98.1"), False),
        (None, 5, None),
    ],
)
def test_a_goal_is_reached_when_every_number_meets_it(goal, value, reached):
    row = table.Row(**{**ROW, "goal": goal, "value": value})
    assert row.reached() is reached
    assert ("missed" in table.format_goal(row)) is (reached is False)


@pytest.mark.parametrize(
    ("figure", "text"),
    [("0.0220", "0.0220 s"), ("-12345.60", "−12,345.60 s"), ("[1e-6, 7]", "0.000001, 7 s"), ('"about 3"', "about 3 s")],
)
def test_digits_are_shown_as_they_were_written(tmp_path, figure, text):
    results, page = make_results(tmp_path / "results", value="FIGURE", unit="s"), tmp_path / "page.md"
    path = results / "1_question.json"
    path.write_text(path.read_text().replace('"FIGURE"', figure))
    assert run(results, page) == 0
    assert f"| a step | {text} | – |" in page.read_text()


def test_a_bar_in_a_text_does_not_split_its_cell(tmp_path):
    results, page = make_results(tmp_path / "results", what="|dg|"), tmp_path / "page.md"
    assert run(results, page) == 0
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valeu": 1}, "unknown: valeu"),
        ({"date": None}, "missing: date"),
        ({"date": "yesterday"}, "YYYY-MM-DD"),
        ({"commit": "main"}, "commit 'main'"),
        ({"machine": "mine"}, "machine 'mine' is not in machines.json"),
        ({"goal": {"about": 1}}, "a goal has one of"),
        ({"goal": {"at_most": 1}, "value": "fast"}, "a goal has one of"),
        ({"value": {"a": 1}}, "value is {'a': 1}"),
    ],
)
def test_a_wrong_row_is_named_in_one_line_and_the_page_is_kept(tmp_path, capsys, changes, message):
    page = tmp_path / "page.md"
    page.write_text("before")
    assert run(make_results(tmp_path / "results", **changes), page) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line and "1_question.json, row 1" in line
    assert page.read_text() == "before"


@pytest.mark.parametrize("text", ["{", "[]", '{"title": "t"}'])
def test_a_file_that_is_no_question_is_refused(tmp_path, capsys, text):
    results = make_results(tmp_path / "results")
    (results / "1_question.json").write_text(text)
    assert run(results, tmp_path / "page.md") == 2
    assert "1_question.json" in capsys.readouterr().err
    shutil.rmtree(results)
    assert run(results, tmp_path / "page.md") == 2


def test_commands_have_letters_beyond_z():
    known = {0: "a", 25: "z", 26: "aa", 51: "az", 52: "ba", 701: "zz", 702: "aaa"}
    assert {number: table.letters(number) for number in known} == known
