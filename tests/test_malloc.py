"""A program asks for its kind of memory once, keeps its arguments, and leaves what the user has set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from experiments._malloc import HUGE_PAGES, KEPT, asking_for_memory, malloc_untold

ROOT = Path(__file__).resolve().parent.parent
ON_REQUEST = "always [madvise] never"
PROGRAM = """
import os, sys
from experiments._malloc import restart_with_memory
print("started")
sys.stdout.flush()
restart_with_memory()
print("goes on", sys.argv[1:], os.environ.get("GLIBC_TUNABLES"), os.getpid())
"""


def test_each_setting_is_asked_for_once_and_the_users_own_wins() -> None:
    everything = ":".join((HUGE_PAGES, *KEPT))
    assert asking_for_memory({"A": "1"}, ON_REQUEST) == {"A": "1", "GLIBC_TUNABLES": everything}
    asked = asking_for_memory({"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, ON_REQUEST)
    assert asked == {"GLIBC_TUNABLES": f"glibc.malloc.arena_max=2:{everything}"}
    assert asking_for_memory(asked or {}, ON_REQUEST) is None, "asked for twice"
    refused = HUGE_PAGES.replace("=1", "=0")
    assert asking_for_memory({"GLIBC_TUNABLES": refused}, ON_REQUEST) == {
        "GLIBC_TUNABLES": ":".join((refused, *KEPT))
    }, "the user has said no"
    for setting in ("[always] madvise never", "always madvise [never]", ""):
        assert asking_for_memory({}, setting) == {"GLIBC_TUNABLES": ":".join(KEPT)}


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
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    tunables = None
    if "CS_GNU_LIBC_VERSION" in os.confstr_names and os.confstr("CS_GNU_LIBC_VERSION"):
        asked = asking_for_memory({}, setting.read_text() if setting.exists() else "")
        tunables = (asked or {})["GLIBC_TUNABLES"]
    assert started == ["started"] * (2 if tunables else 1)
    assert last == f"goes on ['--a=b c', '-d'] {tunables} {process.pid}"


def test_a_peer_can_be_started_with_malloc_as_it_comes(monkeypatch) -> None:
    def told() -> str:
        program = "import os; print(os.environ.get('GLIBC_TUNABLES'))"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    monkeypatch.setenv("GLIBC_TUNABLES", HUGE_PAGES)
    with malloc_untold():
        assert told() == "None"
    assert told() == HUGE_PAGES
