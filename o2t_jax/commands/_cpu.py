"""All process settings that make a CPU compute faster, behind one switch, `cpu_tuning`.

    on      the program restarts with glibc's malloc set to keep memory, in huge pages (Linux, and only if the program
            is one of our own commands); reductions by jaxlib's newer kernels; steps without dispatch thread
    off     the interpreter, malloc and JAX with default settings

Commands with a config take it as `--config.cpu_tuning=off`, the others as `--cpu_tuning=off`. The user's own settings
in GLIBC_TUNABLES and XLA_FLAGS win. Measured in BENCHMARKS.md.

**Memory.** Each step allocates its working memory and frees it. Linux provides it in pages of 4 KB and clears each, at
the cost of a page fault: a sixth of a run of config `cpu`. Pages of 2 MB cost less, and memory that is kept costs
nothing the next time. glibc reads GLIBC_TUNABLES only when a program starts. We therefore set it and restart the
interpreter in the same process, once flags and config are read (without JAX) and before any work is done.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from o2t_jax.errors import UsageError
from o2t_jax.process import set_variable

CHOICES = ("on", "off")
HUGE_PAGES = "glibc.malloc.hugetlb=1"
# Large arrays come from the heap, which does not shrink when they are freed (only `resources.give_memory_back` shrinks
# it). Only the main thread's heap can hold them, so `start_devices` makes a CPU compute in that thread.
KEPT = ("glibc.malloc.mmap_max=0", "glibc.malloc.trim_threshold=1000000000000")
_TUNABLES = "GLIBC_TUNABLES"
_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_HERE = Path(__file__).resolve().parent
_COMMANDS = (_HERE, _HERE / "studies", _HERE.parents[1] / "benchmarks")


def prepare(tuning: str) -> None:
    """Makes the settings that must precede the import of JAX; does not return if the program restarts.

    Raises:
        UsageError: `tuning` is neither on nor off.
    """
    if tuning not in CHOICES:
        raise UsageError(f"cpu_tuning={tuning!r} is unknown: choose on or off")
    if tuning == "off":
        return
    _restart_with_memory()
    _set_compiler_flags()


def start_devices(tuning: str, device: str = "auto", *cluster: Any) -> None:
    """`systems.devices.start_devices(device, *cluster)`, after the settings that must precede JAX's computations.

    The form of the network's operations is chosen there: with `off` it is the plain one, also on a CPU.
    """
    import jax

    from o2t_jax.systems import devices

    if tuning != "off":
        # A step then allocates its memory in this thread, whose heap can keep it for the next. On a CPU the loop waits
        # for each step; batches are prefetched by other threads.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    devices.start_devices(device, *cluster, tuned=tuning != "off")


def is_own_command(main: ModuleType | None, started: Sequence[str]) -> bool:
    """Whether the program is one of our commands: `python -m experiments.X`, `-m benchmarks.X` or the file itself.

    Only these can be restarted: a script from standard input has already been read, and the work of a user's own
    script, prompt or notebook must not be done twice.

    Args:
        main: the module `__main__`; started: `sys.orig_argv`.
    """
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if file is None or Path(file).resolve().parent not in _COMMANDS:
        return False
    # The interpreter's own command line: another program (a profiler, IPython) may have substituted our file.
    words = iter(started[1:])
    for word in words:
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            next(words, None)  # its value
        elif word.startswith("-m"):
            return spec is not None and (word[2:] or next(words, "")) == spec.name
        elif word == "-" or not word.startswith("-"):
            return spec is None and Path(word).resolve() == Path(file).resolve()
    return False


def asking_for_memory(given: str, pages: str) -> str | None:
    """GLIBC_TUNABLES with our settings added to those `given`, which win; None if there is nothing to add.

    Args: `pages`, Linux' setting for huge pages: "always [madvise] never" gives them to programs that request them.
    """
    wanted = KEPT if "[madvise]" not in pages else (HUGE_PAGES, *KEPT)
    missing = [tunable for tunable in wanted if tunable.partition("=")[0] not in given]
    return ":".join([given, *missing]).lstrip(":") if missing else None


def _restart_with_memory() -> None:
    """Restarts this program with malloc's settings if that helps: Linux, glibc, no debugger."""
    if sys.gettrace() is not None or not is_own_command(sys.modules.get("__main__"), sys.orig_argv):
        return
    try:
        glibc = os.confstr("CS_GNU_LIBC_VERSION")
        pages = _PAGES.read_text() if _PAGES.exists() else ""
    except (OSError, ValueError, AttributeError):
        return
    tunables = asking_for_memory(os.environ.get(_TUNABLES, ""), pages)
    if tunables is None or not glibc:
        return
    set_variable(_TUNABLES, tunables)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    with contextlib.suppress(OSError):  # if it fails, continue without
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _set_compiler_flags() -> None:
    # jaxlib 0.10 uses kernels for convolutions that are 2.5-3 times slower than Eigen's for weight gradients, and
    # kernels for reductions that are 15 times faster. We keep only the latter. An unknown flag would end the process,
    # so check at each upgrade.
    flag = "--xla_cpu_experimental_ynn_fusion_type"
    current = os.environ.get("XLA_FLAGS", "")
    if importlib.metadata.version("jaxlib").startswith("0.10.") and flag not in current:
        set_variable("XLA_FLAGS", f"{current} {flag}=LIBRARY_FUSION_TYPE_REDUCE".strip())


@contextlib.contextmanager
def default_malloc() -> Iterator[None]:
    """Programs started inside use glibc's malloc with default settings, whatever this program has set."""
    ours = os.environ.pop(_TUNABLES, None)
    try:
        yield
    finally:
        if ours is not None:
            os.environ[_TUNABLES] = ours
