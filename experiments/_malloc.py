"""How a program takes memory for large arrays: in huge pages, and to keep.

A step takes its working memory anew each time and gives it back. Linux hands it out in pages of 4 KB, each cleared, at
the price of a fault: a sixth of a run of config `cpu`. Pages of 2 MB cost less, and memory that is kept costs nothing
the next time (BENCHMARKS.md).

glibc's malloc does either when it is told to by an environment variable, and looks at that when a program starts, no
later: so the program starts once more, in the same process, before it has done anything.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_VARIABLE = "GLIBC_TUNABLES"
HUGE_PAGES = "glibc.malloc.hugetlb=1"
# Large arrays from the heap, which is not cut back when they are freed. That is the main thread's heap, the only one
# that can hold them: `training.parallel.start_devices` lets a CPU work there.
KEPT = ("glibc.malloc.mmap_max=0", "glibc.malloc.trim_threshold=1000000000000")
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def asking_for_memory(environment: Mapping[str, str], setting: str) -> dict[str, str] | None:
    """The environment with malloc's settings; None where there is nothing to ask.

    Args: `setting`, Linux' own for huge pages: "always [madvise] never" gives them to who asks. What the user has set
    for malloc wins.
    """
    given = environment.get(_VARIABLE, "")
    wanted = KEPT if "[madvise]" not in setting else (HUGE_PAGES, *KEPT)
    missing = [tunable for tunable in wanted if tunable.partition("=")[0] not in given]
    if not missing:
        return None
    return {**environment, _VARIABLE: ":".join([given, *missing]).lstrip(":")}


def restart_with_memory() -> None:
    """Starts this program once more with malloc's settings, where that helps: Linux, glibc, no debugger."""
    try:
        glibc = os.confstr("CS_GNU_LIBC_VERSION")
        setting = _SETTING.read_text() if _SETTING.exists() else ""
    except (OSError, ValueError, AttributeError):
        return
    environment = asking_for_memory(os.environ, setting)
    if environment is None or not glibc or sys.gettrace() is not None:
        return
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    except OSError:  # then without
        return


@contextlib.contextmanager
def malloc_untold() -> Iterator[None]:
    """Programs that start meanwhile have glibc's malloc as it comes, whatever this one has been told."""
    told = os.environ.pop(_VARIABLE, None)
    try:
        yield
    finally:
        if told is not None:
            os.environ[_VARIABLE] = told
