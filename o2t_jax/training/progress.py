"""Progress of a run for the user: one line that updates itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TextIO

_TERMINAL_SECONDS = 0.2  # between two updates of the line on a terminal
Tell = Callable[[str, int, int], None]  # (step of the work, count done, count in all or 0 where nobody knows it)
_PLAIN_SECONDS = 10.0  # between two lines in a file or a pipe, while a buffer fills


def nobody(what: str, count: int, total: int) -> None:
    """A `Tell` that says nothing."""


class Progress:
    """Writes to standard output; silent if `enabled` is false (all processes but the first)."""

    def __init__(self, stream: TextIO | None = None, *, enabled: bool = True):
        self._stream = stream or sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - as long as the run
        self._enabled = enabled
        self._terminal = self._stream.isatty()
        self._shown = False  # an updating line is on the terminal
        self._last = -1e9
        self._eta = Eta()

    def line(self, text: str) -> None:
        """Prints a permanent line."""
        self._clear()
        self._write(text + "\n")

    def update(self, text: str, *, plain: bool) -> None:
        """Replaces the updating line on a terminal; elsewhere prints a line of its own if `plain`."""
        if not self._terminal:
            if plain:
                self._write(text + "\n")
            return
        now = time.monotonic()
        if now - self._last >= _TERMINAL_SECONDS:
            self._last = now
            self._clear()
            self._write(text[: _columns() - 1])
            self._shown = True

    def fill(self, done: int, total: int, per_second: float | None = None) -> None:
        """Progress of a buffer that fills before the first step, with its rate if the buffer knows it."""
        eta = (total - done) / per_second if per_second else self._eta.seconds(done, total)
        text = f"filling the buffer {done}/{total}"
        text += f" · {per_second:.3g} samples/s" if per_second else ""
        text += f" · ETA {clock(eta)}" if eta is not None else ""
        due = done >= total or time.monotonic() - self._last >= _PLAIN_SECONDS
        if due and not self._terminal:
            self._last = time.monotonic()
        self.update(text, plain=due)

    def close(self) -> None:
        """Keeps the updating line on the terminal and moves the cursor below it."""
        if self._shown:
            self._write("\n")
            self._shown = False

    def _clear(self) -> None:
        if self._shown:
            self._write("\r\x1b[K")
            self._shown = False

    def _write(self, text: str) -> None:
        if self._enabled:
            self._stream.write(text)
            self._stream.flush()


class Eta:
    """Remaining seconds, from the rate since the first call (the first step, which compiles, does not count)."""

    def __init__(self):
        self._start: tuple[int, float] | None = None

    def seconds(self, done: int, total: int) -> float | None:
        """None until a rate is known."""
        now = time.monotonic()
        if self._start is None or done < self._start[0]:
            self._start = (done, now)
        first, since = self._start
        return None if done <= first else (now - since) / (done - first) * (total - done)


def clock(seconds: float) -> str:
    """3725 -> "1:02:05"; more than a day as "3.2 days"."""
    if seconds >= 86400:
        return f"{seconds / 86400:.1f} days"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 120
