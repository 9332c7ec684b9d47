"""Figures measured again: the judge on made-up rows, the registry against the results, a command that is run."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import table
from benchmarks.reproduce import __main__ as command
from benchmarks.reproduce import sample
from benchmarks.reproduce.judge import Kind, judge
from benchmarks.reproduce.recipes import REASONS, RECIPES, Command, Recipe

STATED = sample.stated_rows(table.RESULTS)


def row(value: table.Figure, spread: table.Figure | None = None) -> table.Row:
    return table.Row("a step", value, "c", "0123abc", "2026-01-31", "M", "s", spread)


def run_of(code: str, minutes: float = 0.0) -> Command:
    return Command(("-c", code, "{out}"), minutes)


WRITES = "import sys; open(sys.argv[1] + '/figures.json', 'w').write('{\"rows\": 3}')"


@pytest.mark.parametrize(
    ("value", "spread", "found", "kind", "inside"),
    [
        (Decimal("0.20"), Decimal("0.06"), 0.262, Kind.COUNTED, True),  # its spread, and half of the last digit
        (Decimal("0.20"), Decimal("0.06"), 0.27, Kind.SPEED, False),  # a spread is narrower than the kind
        (100, None, 129, Kind.SPEED, True),
        (100, None, 132, Kind.SPEED, False),
        (100, None, 100.4, Kind.COUNTED, True),
        (100, None, 101, Kind.COUNTED, False),
        (0, None, 1, Kind.COUNTED, False),
        (20, None, 19, Kind.SEEDED, True),
        (20, None, 18, Kind.SEEDED, False),
        (Decimal("-0.5"), None, -0.76, Kind.LEARNED, True),
        (Decimal("-0.5"), None, 0.5, Kind.LEARNED, False),
        ([Decimal("-0.2"), Decimal("0.4")], None, [0.39, -0.19], Kind.LEARNED, True),  # as far apart as its own numbers
        ([Decimal("-0.2"), Decimal("0.4")], None, [0.5, 0.4], Kind.LEARNED, False),
        ([20, 20], None, [20, 18], Kind.SEEDED, False),
        ([1, 1], None, [1, 1, 1], Kind.COUNTED, False),
        (1, None, math.nan, Kind.SPEED, False),
    ],
)
def test_the_judge(value, spread, found, kind, inside):
    assert judge(row(value, spread), found, kind).inside is inside


def test_the_judge_says_what_it_holds_a_row_to():
    assert judge(row(1, Decimal("0.5")), 1.0, Kind.SPEED).by == "the row's spread"
    assert judge(row(1), 1.0, Kind.SPEED).by == Kind.SPEED.text and "30 %" in Kind.SPEED.text
    with pytest.raises(ValueError, match="no number"):
        judge(row("3 of 4"), 1.0, Kind.COUNTED)


def test_every_recipe_has_one_row_and_every_row_a_recipe_or_a_reason():
    named = [(stated.file, stated.row.what) for stated in STATED]
    assert len({(recipe.file, recipe.what) for recipe in RECIPES}) == len(RECIPES)
    assert not [recipe for recipe in RECIPES if named.count((recipe.file, recipe.what)) != 1]
    unknown = {stated.file for stated in STATED if not sample.recipes_of(stated)} - set(REASONS)
    assert not unknown, "a recipe or a reason in benchmarks/reproduce/recipes.py"
    assert not set(REASONS) - {stated.file for stated in STATED}


def test_a_recipe_runs_the_command_that_its_row_states():
    """Same module, and every flag that both have is the same; a list of seeds has a command for each."""
    for stated in STATED:
        for recipe in sample.recipes_of(stated):
            for ours in recipe.commands:
                words = stated.row.command.split()
                assert ours.arguments[1] in words, recipe
                theirs = dict(item.split("=", 1) for item in words if item.startswith("--") and "=" in item)
                mine = dict(item.split("=", 1) for item in ours.arguments if item.startswith("--") and "=" in item)
                for name in (set(theirs) & set(mine)) - {"--out", "--json", "--worlds", "--seed"}:
                    assert theirs[name] == mine[name], recipe


def test_rows_that_cannot_be_measured_are_counted_with_a_reason():
    recipe = Recipe("f", "a step", Kind.SPEED, (run_of(WRITES, 9.0),), lambda out: 1.0)
    stated = [sample.Stated("f", row(1)), sample.Stated("f", row(2)), sample.Stated("g", row(3))]
    candidates, left_out = sample.sort_out(stated, "M", 10.0, [recipe])
    assert len(candidates) == 2 and left_out == {"g": {"no recipe": 1}}
    assert "machine M" in next(iter(sample.sort_out(stated[:1], "", 10.0, [recipe])[1]["f"]))
    assert "9 minutes" in next(iter(sample.sort_out(stated[:1], "M", 8.0, [recipe])[1]["f"]))
    foreign = recipe._replace(commands=(recipe.commands[0]._replace(needs=("no_such_package",)),))
    assert sample.sort_out(stated[:1], "M", 10.0, [foreign])[1] == {"f": {"needs no_such_package": 1}}


def test_the_choice_is_random_and_the_same_for_a_seed():
    candidates, _ = sample.sort_out(STATED, "", 1e6)
    assert len(candidates) > 40
    some = [sample.choose(candidates, 5, seed) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2] and len(set(map(id, some[0]))) == 5
    assert len(sample.choose(candidates, 10**6, 0)) == len(candidates)


def test_measuring(tmp_path: Path):
    """A command runs once for all of its rows; its failure and the end of the budget are no figures."""
    writes, fails, hangs = run_of(WRITES), run_of("raise SystemExit('broken')"), run_of("import time; time.sleep(60)")

    def candidate(value: table.Figure, *commands: Command, key: str = "rows") -> sample.Candidate:
        recipe = Recipe(
            "f", "a step", Kind.COUNTED, commands, lambda out: json.loads((out / "figures.json").read_text())[key]
        )
        return sample.Candidate(sample.Stated("f", row(value)), recipe)

    chosen = [
        candidate(3, writes),
        candidate(4, writes),
        candidate([3, 3], writes, writes),
        candidate(3, writes, key="absent"),
        candidate(3, fails),
    ]
    found = sample.measure(chosen, tmp_path / "1", 1.0, lambda text: None)
    assert [each["verdict"] for each in found] == ["inside", "outside", "inside", "failed", "failed"]
    assert "broken" in found[-1]["by"] and len(list((tmp_path / "1").iterdir())) == 2
    (late,) = sample.measure([candidate(3, hangs)], tmp_path / "2", 0.005, lambda text: None)
    assert late == {**late, "verdict": "not measured", "by": "--budget ended"}
    (long,) = sample.measure([candidate(3, run_of(WRITES, 5.0))], tmp_path / "3", 1.0, lambda text: None)
    assert long["verdict"] == "not measured" and "5 minutes" in long["by"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "found.json"
    assert command.main(["--sample=0", f"--json={file}"]) == 0
    said = capsys.readouterr().out
    video = sum(stated.file == "63_video" for stated in STATED)
    assert f"{len(STATED)} rows are stated" in said and f"63_video: {video} rows: hours of trainings" in said
    found = json.loads(file.read_text())
    left = sum(sum(reasons.values()) for reasons in found["not_reproducible_here"].values())
    assert found["candidates"] + left == found["stated"] == len(STATED)
    for wrong in ("--only=no_such_file", "--machine=Z", "--sample=-1"):
        assert command.main([wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
