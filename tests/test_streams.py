"""A command does its work to the end whether or not anybody reads what it prints."""

from __future__ import annotations

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from o2t_jax.commands import _cli

ROOT = Path(__file__).resolve().parent.parent
# A command that prints more than a pipe holds, opens a file and tells which number it got.
PROGRAM = """
import os, sys
from o2t_jax.commands import _cli

def main(arguments):
    for i in range(20000):
        print("line", i)
    print("to the end", file=sys.stderr)
    with open("done", "w") as file:
        file.write(str(file.fileno()))

sys.exit(_cli.run(main, doc="", define=lambda values: None, with_config=False))
"""


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash")
@pytest.mark.parametrize(
    ("where", "code", "error"),
    [
        ("| head -n 1", 0, "to the end\n"),
        (">&-", 0, "to the end\n"),
        (">&- 2>&- <&-", 0, ""),
        ("2>&1 | true", 0, ""),
        ("> all", 0, "to the end\n"),
        ("> /dev/full", 1, "to the end\nerror: a part of the output is lost (No space left on device)\n"),
    ],
)
def test_output_may_go_away(tmp_path, where, code, error):
    if "/dev/full" in where and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "program.py").write_text(PROGRAM)
    command = f"{shlex.quote(sys.executable)} program.py {where}; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, error)
    assert int((tmp_path / "done").read_text()) > 2, "a file in the place of standard output"
    if "all" in where:
        assert len((tmp_path / "all").read_text().splitlines()) == 20000


def test_a_full_disk_under_a_commands_own_files_is_one_line(capsys):
    def main(arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/table.json")

    assert _cli.run(main, [], doc="", define=lambda values: None, with_config=False) == 2
    assert capsys.readouterr().err == "error: out/table.json cannot be written: the disk is full: make room\n"
