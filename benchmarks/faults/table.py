"""One fault of each kind, once: it must end in one line (or in a complete run), in time, with the last good state kept.

`FAULTS` has one entry for each; an entry is called with a folder of its own and returns the line that the user sees.
It raises AssertionError where the promise is broken.
"""

from __future__ import annotations

import functools
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.faults import forked

STEPS = 12
TOY = ("--config=toy", f"--config.train_steps={STEPS}", "--config.checkpoint_every=2", "--config.eval_every=6")
_MODULE = """
import os, sys, time
import numpy as np


def render_scene_fault(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512)):
    good = [np.zeros((image_size[1], image_size[0], 3), np.uint8) for _ in times]
    {body}
    return good
"""
MODULES = {
    "raises": ("raise KeyError('a secret')", "KeyError at line 8"),
    "hangs": ("time.sleep(3600)", "no answer within 3 s"),
    "returns a wrong shape": ("good = [g[:-1] for g in good]", "not (H, W, 3)"),
    "returns NaN": ("good = [np.full(g.shape, np.nan) for g in good]", "that is not uint8"),
    "returns nothing": ("return None", "must return a list of pictures"),
    "exits": ("os._exit(0)", "crashed"),
    "is killed": ("os.kill(os.getpid(), 9)", "crashed"),
    "prints gigabytes": ("[print('x' * (1 << 20)) for _ in range(2048)]", ""),
    "takes all memory": ("bytearray(1 << 62)", "MemoryError"),
}


class Run:
    """A training of seconds in `folder`, in a fork, after `prepare()`."""

    def __init__(self, folder: Path, *more: str, prepare: Callable[[], object] = lambda: None, workdir: str = "run"):
        self.workdir = folder / workdir
        self.log, self.board = folder / "log", forked.Board()
        self._size = self.log.stat().st_size if self.log.exists() else 0
        arguments = [*TOY, "--config.writers=jsonl", f"--workdir={self.workdir}", *more]

        def work() -> int:
            prepare()
            return forked.train(arguments, self.board)

        self.fork = forked.Fork(work, self.log)

    def until(self, step: int, seconds: float = 300.0) -> Run:
        """Waits until that step."""
        end = time.monotonic() + seconds
        while self.fork.alive() and self.board.read()[1] < step:
            assert time.monotonic() < end, f"step {step} does not come"
            time.sleep(0.001)
        return self

    def ends(self, code: int, word: str, lines: int = 1) -> str:
        """Its line with `word`, after an end with this exit code and `lines` of errors."""
        found = self.fork.wait(300.0)
        text = self.log.read_text()[self._size :]
        errors = [line for line in text.splitlines() if line.startswith("error:")]
        assert found == code, f"exit code {found}: {text[-300:]}"
        assert "Traceback" not in text and len(errors) == lines, text[-1000:]
        said = [line for line in text.splitlines() if word in line]
        assert said, f"nothing says {word!r}: {text[-300:]}"
        return said[-1]


def module_fault(body: str, word: str, folder: Path) -> str:
    """A module of the user's own that misbehaves: never longer than its time limit, and one line."""
    from o2t_jax.errors import UsageError
    from o2t_jax.render.plugin.renderer import PluginRenderer

    path = folder / "render_scene_fault.py"
    path.write_text(_MODULE.format(body=body))
    begun = time.monotonic()
    with PluginRenderer(path, timeout_s=3.0 if "sleep" in body else 60.0) as renderer:
        try:
            renderer.render(0, [0.0], [[0.0, 0.0]], [[0.0, 0.0, 2.0]], (8, 8))  # pyright: ignore[reportArgumentType]
        except UsageError as error:
            line = str(error)
            assert word and word in line and "\n" not in line and "secret" not in line, line
        else:
            assert not word, "it should have failed"
            line = "pictures as if nothing had been printed"
    assert time.monotonic() - begun < 90.0
    return line


def size_limit(folder: Path) -> str:
    """No file may grow beyond 4 kB; then, without the limit, the same command ends."""
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    line = Run(folder, prepare=limit).ends(2, "limit on a file's size")
    Run(folder).ends(0, "complete", lines=0)
    return line


def disk_full(folder: Path) -> str:
    """A disk of 1 MB that is nearly full; then there is room, and the same command ends."""
    with small_disk(folder / "disk", "1m") as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(900 << 10))
        line = Run(folder, workdir="disk/run").ends(2, "disk")
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        Run(folder, workdir="disk/run").ends(0, "complete", lines=0)
    return line


def read_only(folder: Path) -> str:
    """A read-only file system."""
    with small_disk(folder / "disk", "64m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        return Run(folder, workdir="disk/run").ends(2, "cannot be written")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system in memory of that size, where this user may mount one. Raises: NotImplementedError."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    with suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True).returncode == 0:
            try:
                yield folder
            finally:
                subprocess.run(["umount", str(folder)], check=True)
            return
    raise NotImplementedError("no file system can be mounted here")


def no_folder(place: str, folder: Path) -> str:
    """A workdir that cannot be made, since a part of its path is a file."""
    (folder / "file").write_text("")
    return Run(folder, workdir=place).ends(2, "cannot be written")


def no_home(value: str | None, folder: Path) -> str:
    def prepare() -> None:
        os.environ.pop("HOME", None)
        if value is not None:
            os.environ["HOME"] = value

    return Run(folder, prepare=prepare).ends(0, "complete", lines=0)


def two_runs(folder: Path) -> str:
    """The second is refused while the first trains, which ends as if alone."""
    first = Run(folder, "--config.train_steps=2000").until(1)
    second = Run(folder, "--config.train_steps=2000")
    second.log = folder / "log"
    code = second.fork.wait(120.0)
    alive = first.fork.alive()
    first.fork.kill(signal.SIGTERM)
    first.fork.wait()
    line = next(line for line in first.log.read_text().splitlines() if "another process is training" in line)
    assert code == 2 and alive, f"exit code {code}"
    return line


def stopped(signals: Sequence[int], code: int, word: str, folder: Path) -> str:
    """Signals in the middle of training; then the same command ends."""
    run = Run(folder).until(3)
    for signum in signals:
        run.fork.kill(signum)
        time.sleep(0.02)
    line = run.ends(code, word, lines=int("error" in word))
    Run(folder).ends(0, "complete", lines=0)
    return line


def interrupted_twice(folder: Path) -> str:
    """The second Ctrl-C ends the run at once, if its save is not already over; then the same command ends."""
    run = Run(folder).until(3)
    for _ in range(2):
        run.fork.kill(signal.SIGINT)
        time.sleep(0.005)
    code = run.fork.wait()
    line = run.ends(130, "interrupted") if "error:" in run.log.read_text() else run.ends(130, "and saved", lines=0)
    assert code == 130, line
    Run(folder).ends(0, "complete", lines=0)
    return line


def clock_jumps(folder: Path) -> str:
    """The clock goes back and forth by days at every look: one line, and with a good clock the same command ends."""

    def prepare() -> None:
        real, looks = time.time, [0]

        def jumping() -> float:
            looks[0] += 1
            return real() + (-1) ** looks[0] * 86400.0 * (looks[0] % 5)

        time.time = jumping

    run = Run(folder, prepare=prepare)
    line = run.ends(2, "clock was set") if run.fork.wait() == 2 else run.ends(0, "complete", lines=0)
    Run(folder).ends(0, "complete", lines=0)
    return line


def not_finite(folder: Path) -> str:
    """Earlier checkpoints stay, and a resumed run meets the same batch again."""
    more = ("--config.lr=1e30", "--config.checkpoint_every=1")
    line = Run(folder, *more).ends(2, "error: ")
    assert "at step" in line and "python -m experiments.batch" in line, line
    again = Run(folder, *more).ends(2, "error: ")
    assert again == line, f"{again} in place of {line}"
    return line


FAULTS: Mapping[str, Callable[[Path], str]] = {
    **{f"a module {name}": functools.partial(module_fault, *each) for name, each in MODULES.items()},
    "a file reaches a limit": size_limit,
    "the disk is full": disk_full,
    "the workdir lies below a file": functools.partial(no_folder, "file/run"),
    "the disk is read-only": read_only,
    "no HOME": functools.partial(no_home, None),
    "HOME does not exist": functools.partial(no_home, "/nowhere/at/all"),
    "two runs in one workdir": two_runs,
    "SIGTERM": functools.partial(stopped, [signal.SIGTERM], 143, "and saved"),
    "SIGHUP, SIGUSR1, SIGTERM": functools.partial(
        stopped, [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM], 129, "and saved"
    ),
    "Ctrl-C": functools.partial(stopped, [signal.SIGINT], 130, "and saved"),
    "Ctrl-C twice": interrupted_twice,
    "the clock jumps": clock_jumps,
    "the loss is not finite": not_finite,
}


def measure(work: Path, told: Callable[[str], None], only: Sequence[str] = tuple(FAULTS)) -> list[dict[str, Any]]:
    """One row for each fault. One that cannot be made here is left out."""
    rows = []
    for number, name in enumerate(only):
        folder = work / f"fault-{number}"
        folder.mkdir()
        begun = time.monotonic()
        try:
            passed, line = True, FAULTS[name](folder)
        except NotImplementedError as error:
            told(f"left out: {name}: {error}")
            continue
        except Exception as error:  # noqa: BLE001 - the table goes on
            passed, line = False, f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}"
        line = line.replace(str(folder), "DIR")
        rows.append({"fault": name, "passed": passed, "seconds": time.monotonic() - begun, "line": line})
        told(f"{name}: {'' if passed else 'FAILED: '}{line}")
    return rows
