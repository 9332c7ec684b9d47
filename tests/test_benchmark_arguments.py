"""What is wrong with a benchmark's arguments is one line, with exit code 2; --help says all."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import numpy
import pytest

from benchmarks import common

ROOT = Path(__file__).resolve().parent.parent / "benchmarks"
# Modules with a command of arguments of their own, folders by their __main__.
COMMANDS = sorted(
    path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".")
    for path in ROOT.rglob("*.py")
    if " = FlagParser(" in path.read_text()
)


def refusal(capsys, name: str, *given: str) -> str:
    """What a benchmark says on standard error as it ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(list(given))
    out, error = capsys.readouterr()
    assert ended.value.code == 2 and not out
    return error


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_wrong_with_arguments_is_one_line(name: str, capsys) -> None:
    command = name.removesuffix(".__main__")
    error = refusal(capsys, name, *(["--other=x"] if command == "benchmarks.versus" else []), "--no_such=1")
    assert error == f"error: unrecognized arguments: --no_such=1; see python -m {command} --help\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_the_command_and_its_flags(name: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(name).main(["--help"])
    assert not ended.value.code
    assert f"usage: python -m {name.removesuffix('.__main__')} [-h]" in capsys.readouterr().out


COUNT, ABOVE = "must be a whole number of at least 1", "must be a number above 0"
WRONG = {
    "buffer --seconds=0": f"'0' {ABOVE}",
    "buffer --json=nowhere/x.json": "the folder nowhere does not exist; make it first",
    "buffer --json=/": "it is a folder, or cannot be written",
    "discs --repeats=few": f"'few' {COUNT}",
    "discs --batch=0": f"'0' {COUNT}",
    "discs --frames=-3": f"'-3' {COUNT}",
    "discs_peer --seconds=nan": f"'nan' {ABOVE}",
    "dynamics --steps=1.5": f"'1.5' {COUNT}",
    "endurance --json=nowhere/x.json": "the folder nowhere does not exist; make it first",
    "endurance --steps=0": f"'0' {COUNT}",
    "faults.__main__ --device_counts=1,a": f"'a' {COUNT}",
    "faults.__main__ --device_steps=0": f"'0' {COUNT}",
    "fuzz.__main__ --n=0": f"'0' {COUNT}",
    "motion --repeats=0": f"'0' {COUNT}",
    "parameters --bases=8,a": f"'a' {COUNT}",
    "records --gigabytes=-1": f"'-1' {ABOVE}",
    "render --repeats=0": f"'0' {COUNT}",
    "reproduce.__main__ --json=nowhere/x.json": "the folder nowhere does not exist; make it first",
    "scaling --devices=1,3": "--batch=8 cannot be shared by 3 devices",
    "scaling --devices=1,": f"'' {COUNT}",
    "train_step --rows=other": "--rows=other is unknown: choose from cpu, seed64",
    "versus --other=plain --seconds=inf": f"'inf' {ABOVE}",
    "video --cpu_tuning=x": "argument --cpu_tuning: invalid choice: 'x'",
    "video --steps=-2": f"'-2' {COUNT}",
}


@pytest.mark.parametrize("given", WRONG)
def test_a_value_that_is_none_is_named_with_its_limit(given: str, capsys) -> None:
    name, *flags = given.split()
    error = refusal(capsys, f"benchmarks.{name}", *flags)
    assert WRONG[given] in error and error.count("\n") == 1


def test_no_benchmark_has_a_parser_of_its_own() -> None:
    own = [path.name for path in ROOT.rglob("*.py") if "ArgumentParser" in path.read_text()]
    assert len(COMMANDS) > 10 and own == ["common.py"]


def test_a_file_of_figures_names_the_machine_and_its_load(tmp_path: Path) -> None:
    common.finish([{"rows": 1}], {"rows": "d"}, str(tmp_path / "x.json"), **common.versions("numpy"))
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["numpy"] == numpy.__version__ and found["rows"] == [{"rows": 1}] and found["machine"]["cores"] > 0
    assert len(found["load"]) == 3 or not hasattr(os, "getloadavg")
