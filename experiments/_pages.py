"""Huge pages for large arrays. A step takes its working memory anew each time, and Linux hands it out in pages of 4 KB,
each at the price of a fault: a sixth of a run of config `cpu` (BENCHMARKS.md). Pages of 2 MB cost next to nothing.

glibc's malloc asks for them when it is told to by an environment variable, and looks at that when a program starts, no
later: so the program starts once more, in the same process, before it has done anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

TUNABLE = "glibc.malloc.hugetlb"
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def asking_for_huge_pages(environment: Mapping[str, str], setting: str) -> dict[str, str] | None:
    """The environment with huge pages asked for; None where there is nothing to ask.

    Args: `setting`, Linux' own for huge pages: "always [madvise] never" gives them to who asks. What the user has set
    for malloc wins.
    """
    given = environment.get("GLIBC_TUNABLES", "")
    if "[madvise]" not in setting or TUNABLE in given:
        return None
    return {**environment, "GLIBC_TUNABLES": f"{given}:{TUNABLE}=1".lstrip(":")}


def restart_with_huge_pages() -> None:
    """Starts this program once more with huge pages asked for, where that helps: Linux, glibc, no debugger."""
    try:
        setting, glibc = _SETTING.read_text(), os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError, AttributeError):
        return
    environment = asking_for_huge_pages(os.environ, setting)
    if environment is None or not glibc or sys.gettrace() is not None:
        return
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    except OSError:  # then without
        return
