"""Where `experiments.recording` is: each step of its work with per cent and remaining time, on standard error."""

from __future__ import annotations

import sys
import time

from o2t_jax.training import progress

PLAIN_SECONDS = 10.0  # between two lines of one step in a file or a pipe


class StepProgress:
    """A `Tell`: one line for each step, which counts on a terminal; elsewhere a line at its start and every 10 s."""

    def __init__(self) -> None:
        self._what, self._last = "", 0.0
        self._line, self._eta = progress.Progress(sys.stderr), progress.Eta()

    def __call__(self, what: str, count: int, total: int) -> None:
        new = what != self._what
        if new:
            self.end()
            self._what, self._line, self._eta = what, progress.Progress(sys.stderr), progress.Eta()
        now = time.monotonic()
        due = new or now - self._last >= PLAIN_SECONDS
        self._last = now if due else self._last
        text = told(what, count, total, self._eta)
        if count == total and sys.stderr.isatty():
            self._line.line(text)  # a step that is done stays there as done, however short ago the last update was
        else:
            self._line.update(text, plain=due)

    def end(self) -> None:
        """Goes to a new line."""
        self._line.close()


def told(what: str, count: int, total: int, eta: progress.Eta) -> str:
    """ "following 30/120 · 25 % · ETA 0:04"; a count alone where the total is not known or was wrong."""
    if total == 0 or count > total:
        return f"{what} {count}"
    left = eta.seconds(count, total)
    later = "" if left is None else f" · ETA {progress.clock(left)}"
    return f"{what} {count}/{total} · {100 * count // total} %{later}"


__all__ = ["StepProgress", "told"]
