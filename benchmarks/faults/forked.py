"""Trainings that start in milliseconds: this process imports everything, and each training is a fork of it.

A fork of a process whose JAX has started would hang, so this one never starts JAX's devices.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2t_jax.errors import UsageError

MARK = "O2T_JAX_FAULTS"  # a variable by which processes that a training started are found again
_LONGEST_S = 600.0
_REFUSED = 2  # exit code


class Board:
    """Numbers that a fork writes and its parent reads, also when the fork is dead: its phase and its last step."""

    PHASES = ("start", "fill", "step", "evaluation", "save", "restore")

    def __init__(self):
        self._memory = mmap.mmap(-1, 16)

    def phase(self, name: str) -> None:
        self._memory[:8] = struct.pack("q", self.PHASES.index(name))

    def step(self, number: int) -> None:
        self._memory[8:] = struct.pack("q", number)

    def read(self) -> tuple[str, int]:
        """Phase and step."""
        phase, step = struct.unpack("qq", self._memory[:])
        return self.PHASES[phase], step


class Fork:
    """A child that runs `work()` in a session of its own, its output in the file `log`. `work` returns an exit code."""

    def __init__(self, work: Callable[[], int], log: Path, variables: Mapping[str, str] | None = None):
        self.begun = time.monotonic()
        self.code: int | None = None  # exit code; minus the signal's number where one ended it
        self.pid = os.fork()
        if self.pid:
            return
        code = 70
        try:
            os.setsid()
            with log.open("ab", buffering=0) as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            os.environ.update(variables or {})
            code = work()
        except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def alive(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is None

    def kill(self, signum: int = signal.SIGKILL) -> None:
        if self.alive():
            os.kill(self.pid, signum)

    def wait(self, seconds: float = _LONGEST_S) -> int:
        """Its exit code. One that takes longer is killed: TimeoutError."""
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                self.kill()
                raise TimeoutError(f"no end after {seconds:g} s")
            time.sleep(0.005)
        assert self.code is not None
        return self.code


def warm(trainings: Mapping[str, Sequence[str]], work: Path) -> None:
    """Runs each training once in a fork, and imports here what it imported. What is in `work` is not run again."""
    from o2t_jax.commands import _cpu

    _cpu.prepare("on")
    for name, arguments in trainings.items():
        modules = work / f"modules-{name}.json"
        if not modules.exists():
            work_of_fork = functools.partial(_train_and_list, [*arguments, f"--workdir={work / name}"], modules)
            if Fork(work_of_fork, work / "log").wait():
                raise RuntimeError(f"{name} does not train:\n{(work / 'log').read_text()[-2000:]}")
        for module in json.loads(modules.read_text()):
            if module not in sys.modules and not module.startswith("__"):
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
        check_fork_is_safe()


def _train_and_list(arguments: Sequence[str], file: Path) -> int:
    code = train(arguments)
    if not code:
        file.write_text(json.dumps(sorted(sys.modules)))
    return code


def result_of(work: Callable[[], Any], folder: Path) -> Any:
    """The result (JSON) of `work` in a fork, so that this process never starts JAX. Raises: UsageError as `work`."""

    def run() -> int:
        try:
            (folder / "found.json").write_text(json.dumps(work()))
        except UsageError as error:
            print(error)
            return _REFUSED
        return 0

    fork = Fork(run, folder / "fork.log")
    if code := fork.wait(seconds=1e5):
        said = (folder / "fork.log").read_text()
        if code == _REFUSED:
            raise UsageError(said.strip().rpartition("\n")[2])
        raise RuntimeError(said[-4000:])
    return json.loads((folder / "found.json").read_text())


def check_fork_is_safe() -> None:
    """Raises RuntimeError where JAX has started its devices here."""
    from jax._src import xla_bridge

    if xla_bridge.backends_are_initialized():
        raise RuntimeError("JAX has started in the process that forks: a fork of it would hang")


def train(arguments: Sequence[str], board: Board | None = None) -> int:
    """`experiments.train` in this process; tells `board` where it is."""
    from o2t_jax.commands import train as command

    if board is not None:
        _tell(board)
    return command.main(list(arguments))


def _tell(board: Board) -> None:
    """Makes the library's own functions tell the board which phase they are in."""
    from o2t_jax.training import checkpoint, progress, reporter

    def told(function: Callable, phase: str, then: str | None) -> Callable:
        def wrapper(*arguments: object, **more: object) -> object:
            board.phase(phase)
            try:
                return function(*arguments, **more)
            finally:
                if then is not None:
                    board.phase(then)

        return wrapper

    reporter.Reporter.on_eval = told(reporter.Reporter.on_eval, "evaluation", "step")
    reporter.Reporter.on_save = told(reporter.Reporter.on_save, "save", None)  # it is written in the background
    checkpoint.restore_state = told(checkpoint.restore_state, "restore", "start")
    progress.Progress.fill = told(progress.Progress.fill, "fill", None)
    checkpoint.Checkpoints.wait = told(checkpoint.Checkpoints.wait, "save", "step")
    on_step = reporter.Reporter.on_step

    def with_step(self: reporter.Reporter, step: int, metrics: Mapping[str, float]) -> None:
        board.step(step)
        if board.read()[0] not in ("save", "evaluation"):
            board.phase("step")
        on_step(self, step, metrics)

    reporter.Reporter.on_step = with_step


def orphans(mark: str, seconds: float = 60.0) -> list[int]:
    """Processes started by a training with this mark that are still there after `seconds` (Linux).

    One that was just starting looks for its parent when it has imported what it needs.
    """
    end = time.monotonic() + seconds
    while found := [pid for pid in _pids() if _has(pid, mark)]:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return found


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _has(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
