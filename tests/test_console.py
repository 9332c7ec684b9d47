"""The console script `o2t`: it lists every command, runs one, and refuses an unknown name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from o2t_jax.commands import __main__ as console


def _o2t(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "o2t_jax.commands", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_all_commands_are_listed_with_what_they_do(capsys) -> None:
    assert console.main([]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == len(console.commands()) and all(len(line.split()) > 3 for line in lines)
    names = {line.split()[0] for line in lines}
    assert {"train", "evaluate", "recording", "studies.discs"} <= names
    assert not names & {"ablations", "worlds", "__main__", "_cli"}  # moved, or no commands


def test_a_command_runs_as_if_called_itself() -> None:
    ours = _o2t("preview", "--no_such_flag")
    assert ours.returncode == 2 and "no_such_flag" in ours.stderr


def test_an_unknown_command_is_refused_in_a_line(capsys) -> None:
    assert console.main(["trian"]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'train'" in said and said.count("\n") == 1


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_the_list(flag, capsys) -> None:
    assert console.main([flag]) == 0 and "o2t COMMAND" in capsys.readouterr().out
