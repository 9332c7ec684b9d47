"""A program asks for huge pages once, keeps its arguments, and leaves what the user has set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from experiments._pages import TUNABLE, asking_for_huge_pages

ROOT = Path(__file__).resolve().parent.parent
ON_REQUEST = "always [madvise] never"
PROGRAM = """
import os, sys
from experiments._pages import restart_with_huge_pages
print("started")
sys.stdout.flush()
restart_with_huge_pages()
print("goes on", sys.argv[1:], os.environ.get("GLIBC_TUNABLES"), os.getpid())
"""


def test_huge_pages_are_asked_for_where_linux_gives_them_on_request() -> None:
    assert asking_for_huge_pages({"A": "1"}, ON_REQUEST) == {"A": "1", "GLIBC_TUNABLES": f"{TUNABLE}=1"}
    asked = asking_for_huge_pages({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, ON_REQUEST)
    assert asked == {"GLIBC_TUNABLES": f"glibc.malloc.arena_max=2:{TUNABLE}=1"}
    assert asking_for_huge_pages(asked or {}, ON_REQUEST) is None, "asked for twice"
    assert asking_for_huge_pages({"GLIBC_TUNABLES": f"{TUNABLE}=0"}, ON_REQUEST) is None, "the user has said no"
    for setting in ("[always] madvise never", "always madvise [never]"):
        assert asking_for_huge_pages({}, setting) is None


def test_a_program_starts_once_more_and_no_oftener(tmp_path) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-X", "utf8", str(file), "--a=b c", "-d"]
    process = subprocess.Popen(
        command, env={**environment, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    started, last = lines.splitlines()[:-1], lines.splitlines()[-1]
    tunables = "None"
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if setting.exists() and "[madvise]" in setting.read_text() and os.confstr("CS_GNU_LIBC_VERSION"):
        tunables = f"{TUNABLE}=1"
    assert started == ["started"] * (1 if tunables == "None" else 2)
    assert last == f"goes on ['--a=b c', '-d'] {tunables} {process.pid}"
