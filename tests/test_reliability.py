"""docs/reliability.md names a test or an entry of the list of faults for each fault, and these exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from benchmarks.faults.table import FAULTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text()
TABLE = PAGE.partition("## Each fault")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in TABLE.splitlines() if line.startswith("| ")]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)))


def entries(text: str) -> list[str]:
    """Names after "F: ", without what is in brackets."""
    return [name.partition(" (")[0].strip(" |") for name in re.findall(r"F: ([^;`|]+)", text)]


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: str(value))
def test_a_named_test_exists(file, name):
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_fault_has_a_test_and_every_entry_of_the_list_is_in_the_table():
    head, *rows = ROWS
    assert head == ["fault", "what is said, what happens", "shown by"] and len(rows) > 25
    for fault, said, shown in rows:
        assert said, fault
        assert entries(shown) or "::test_" in shown, f"{fault}: no test"
    named = [name for row in rows for name in entries(row[2])]
    assert sorted(named) == sorted(FAULTS), "each entry once"


def test_the_check_sees_what_is_wrong():
    assert entries("F: SIGTERM; F: the disk is full (1 MB tmpfs); `tests/a.py::test_b` |") == [
        "SIGTERM",
        "the disk is full",
    ]
    assert entries("none") == []
