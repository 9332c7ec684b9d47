"""Signals that ask a run to end: it finishes the step, saves and exits. A second Ctrl-C exits immediately.

The signals are Ctrl-C, SIGTERM, SIGHUP (terminal or connection closed) and SIGUSR1 (a batch system's warning before the
time limit). Any number of the last three may arrive while the run saves, from the system and from the parent process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # Windows has no more than the first two
END_SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


@contextlib.contextmanager
def caught(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Gives the signals that ask for an end to `handler`, in the main thread; in another one none is caught."""
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for signum in END_SIGNALS:
            # Under `nohup` SIGHUP is ignored: the run is meant to continue.
            if signum == signal.SIGINT or signal.getsignal(signum) != signal.SIG_IGN:
                before[signum] = signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


class StopRequested(Exception):
    """A signal arrived before the first step: there is nothing to save."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopFlag:
    """Catches the signals while used as a context manager (in the main thread; elsewhere it is never set)."""

    def __init__(self):
        self.signum: int | None = None
        self._caught = contextlib.ExitStack()

    def __enter__(self) -> StopFlag:
        self._caught.enter_context(caught(self._catch))
        return self

    def __exit__(self, *_: object) -> None:
        self._caught.close()

    def check(self) -> None:
        """Raises StopRequested if a signal has arrived."""
        if self.signum is not None:
            raise StopRequested(self.signum)

    def _catch(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signum = signum
        # Bypasses Python's buffers: the signal may have interrupted a write to them.
        with contextlib.suppress(OSError):
            os.write(1, b"\nstopping after this step; a second Ctrl-C stops immediately\n")
