"""Disk space of a run: a check at the start, and a one-line error when the disk is full."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from o2t_jax.errors import UsageError
from o2t_jax.training.resources import gb
from o2t_jax.training.workdir import CHECKPOINTS, saved_steps

# errno -> the reason, and the cure.
_REASONS = {
    errno.ENOSPC: ("the disk is full", "make room"),
    getattr(errno, "EDQUOT", None): ("the disk quota is used up", "make room"),
    errno.EFBIG: ("a file has reached the limit on a file's size", "raise the limit (ulimit -f)"),
}
# Orbax measures by the clock on the wall how long a save takes: one that is set meanwhile looks like a slow disk.
_TOO_LONG = ("a save took longer than it may (or the clock was set meanwhile)", "look at the disk")
UNFINISHED = "*.orbax-checkpoint-tmp"  # an interrupted save


def check_room(workdir: Path, state_bytes: int, keep: int, saves: int) -> None:
    """Compares a run's needs with the free disk space: `keep` latest checkpoints, the best one, one being written.

    Args:
        workdir: the run's folder, existing or not; checkpoints already in it are counted.
        state_bytes: size of one checkpoint.
        keep: number of latest checkpoints that are kept.
        saves: number of checkpoints that are still to be written.

    Raises:
        UsageError: there is too little space.
    """
    there = len(saved_steps(workdir))
    count = min(max(keep + 2 - there, 1), saves)
    free = free_bytes(workdir)
    if count * state_bytes > free:
        raise UsageError(
            f"{workdir}: its disk has {gb(free)} free, but {count} more checkpoints of {gb(state_bytes)} are needed: "
            f"make room, lower --config.keep_checkpoints, or choose another --workdir"
        )


def free_bytes(folder: Path) -> int:
    """Free space of the disk that `folder`, existing or not, is on."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def reason_of(error: BaseException | None) -> tuple[str, str] | None:
    """The reason and the cure if `error` or one of its causes is a failed write; else None."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, TimeoutError) and "ChainedFuture" in str(error):
            return _TOO_LONG
        for code, reason in _REASONS.items():
            # Orbax and TensorStore raise errors of their own that contain the system's message.
            if code is not None and (getattr(error, "errno", None) == code or os.strerror(code) in str(error)):
                return reason
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def explained(workdir: Path, step: Callable[[], int]) -> Iterator[None]:
    """Turns the errors of a full disk into one line. `step` returns the current step of training.

    Raises:
        UsageError: nothing more can be written.
    """
    with contextlib.ExitStack() as silence:
        _silence_threads(silence)
        try:
            yield
        except Exception as error:
            reason = reason_of(error)
            if reason is None:
                raise
            silence.pop_all()  # threads report until the program ends
            what, cure = reason
            for folder in (workdir / CHECKPOINTS).glob(UNFINISHED):  # it takes space, possibly the last there was
                shutil.rmtree(folder, ignore_errors=True)
            saved = saved_steps(workdir)
            whole = f"checkpoint {saved[-1]} is intact" if saved else "nothing was saved yet"
            raise UsageError(
                f"{workdir}: {what} at step {step()}; {whole}: {cure} and run the same command again"
            ) from error


def _silence_threads(stack: contextlib.ExitStack) -> None:
    """Silences threads' reports of an error that the main thread also raises: a full disk causes a hundred of them."""
    unraisable, of_thread = sys.unraisablehook, threading.excepthook

    def wanted(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return reason_of(error) is None and "_SignalingThread.run() raised" not in record.getMessage()

    def on_callback(args: Any) -> None:
        # TensorStore's threads report to an event loop that Orbax has closed.
        if not isinstance(args.exc_value, RuntimeError):
            unraisable(args)

    def on_thread(args: threading.ExceptHookArgs) -> None:
        if reason_of(args.exc_value) is None:
            of_thread(args)

    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(wanted)
        stack.callback(logging.getLogger(name).removeFilter, wanted)
    sys.unraisablehook, threading.excepthook = on_callback, on_thread
    stack.callback(setattr, sys, "unraisablehook", unraisable)
    stack.callback(setattr, threading, "excepthook", of_thread)
