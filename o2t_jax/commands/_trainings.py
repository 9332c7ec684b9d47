"""Trainings that a command starts, each in a process of its own: they are asked to end when the command is.

A training that outlives its command would continue unnoticed and lock its folder against the same command.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

from o2t_jax.process import user_environment
from o2t_jax.training.progress import Progress
from o2t_jax.training.signals import caught

COMMAND = (sys.executable, "-m", "o2t_jax.commands.train")
_LOOK_S, _PLAIN_S = 1.0, 30.0  # between two looks at a training's log; between two lines where there is no terminal
_TAIL = 4096  # bytes of a log that hold its last line
A = TypeVar("A")


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end, and no training is running any more."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class _Running:
    """The trainings of this process, and the signal that has ended them."""

    def __init__(self):
        self.signum: int | None = None
        self.processes: set[subprocess.Popen] = set()
        self.progress = Progress()  # one line of a terminal for all

    def catch(self, signum: int, frame: FrameType | None) -> None:
        again, self.signum = self.signum is not None, self.signum or signum
        if not self.processes:
            raise Stopped(signum)
        # Repeated SIGTERMs are one request; the terminal itself has sent Ctrl-C to the trainings.
        for process in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if again and signum == signal.SIGINT else signal.SIGTERM)


_running = _Running()


def stoppable(main: Callable[[A], int]) -> Callable[[A], int]:
    """Wraps a command that starts trainings: a signal is passed on to them; when they have ended, the command ends."""

    @functools.wraps(main)
    def run(arguments: A) -> int:
        global _running
        _running = _Running()
        with caught(_running.catch):
            try:
                return main(arguments)
            except Stopped as stopped:
                print(f"stopped by {stopped}: trainings are saved, run the same command again to resume", flush=True)
                return 128 + stopped.signum

    return run


def launch(arguments: Sequence[str], log: Path) -> tuple[int, str]:
    """Runs experiments.train with its output appended to `log`; returns exit code, and error or last line printed.

    Meanwhile the training's own progress, with its ETA, is shown behind the log's name: on one line of a terminal
    (trainings at the same time share it), else twice a minute.

    Raises:
        Stopped: the command was asked to end meanwhile.
    """
    running = _running
    if running.signum is not None:
        raise Stopped(running.signum)
    with log.open("ab") as file:  # another process may still write there: its output is kept
        begin = file.seek(0, 2)
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=user_environment(),
        )
        running.processes.add(process)
        if running.signum is not None:  # it arrived in between
            process.terminate()
        code = _watched(process, log, begin, running.progress)
        running.processes.discard(process)
    if running.signum is not None:
        raise Stopped(running.signum)
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").strip().splitlines()
    reasons = [line for line in lines if code and line.startswith("error:")]
    return code, (reasons or lines or [f"exit code {code}"])[-1]


def _watched(process: subprocess.Popen, log: Path, begin: int, progress: Progress) -> int:
    """Waits for the end, and shows meanwhile what the training says of its progress."""
    said, told = "", time.monotonic()
    while True:
        try:
            code = process.wait(_LOOK_S)
        except subprocess.TimeoutExpired:
            line = _last_of_progress(log, begin)
            now = time.monotonic()
            plain = bool(line) and line != said and now - told >= _PLAIN_S
            if line:
                progress.update(f"  {log.stem}: {line}", plain=plain)
            if plain:
                said, told = line, now
        else:
            progress.close()
            return code


def _last_of_progress(log: Path, begin: int) -> str:
    """The last whole line after byte `begin` that gives an ETA; empty where there is none."""
    with log.open("rb") as file:
        file.seek(max(begin, file.seek(0, 2) - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")[:-1]
    return next((line for line in reversed(lines) if "ETA" in line), "")
