"""Signals that ask a run to end: it finishes the step, saves and leaves. A second Ctrl-C leaves at once.

Ctrl-C, SIGTERM, SIGHUP (terminal or connection closed) and SIGUSR1 (a batch system's warning before the time is up). Of
the last three any number may come, from a system and from the program that started this one, while the run saves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # Windows has no more than the first two
END_SIGNALS = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


class StopRequested(Exception):
    """A signal came before the first step: there is nothing to save."""

    def __init__(self, signum: int):
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class StopFlag:
    """Catches the signals while used as a context manager (in the main thread; elsewhere it never rises)."""

    def __init__(self):
        self.signum: int | None = None
        self._old: dict[int, object] = {}

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is threading.main_thread():
            for signum in END_SIGNALS:
                # `nohup` has SIGHUP ignored: the run is meant to go on.
                if signum == signal.SIGINT or signal.getsignal(signum) != signal.SIG_IGN:
                    self._old[signum] = signal.signal(signum, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises StopRequested if a signal came."""
        if self.signum is not None:
            raise StopRequested(self.signum)

    def _catch(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signum = signum
        # Past Python's buffers, which the signal may have come in the middle of.
        with contextlib.suppress(OSError):
            os.write(1, b"\nstopping after this step; a second Ctrl-C stops at once\n")
