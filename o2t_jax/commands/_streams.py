"""Lets a command continue if its standard output or error becomes unavailable.

The reader of a pipe ends (`| head`, a pager), the terminal is closed, the disk of a log file is full, or the command
was started without them (`>&-`). None of these is a reason to lose the computation.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

_GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO)  # there is no reader any more


class _Lossy(io.FileIO):
    """A descriptor that drops output it cannot write; adds the reason to `lost` unless the reader has gone."""

    def __init__(self, number: int, lost: list[str]):
        super().__init__(number, "w", closefd=False)
        self._lost = lost

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError as error:
            written = None
            if error.errno not in _GONE:
                self._lost.append(error.strerror or str(error))
        return memoryview(data).nbytes if written is None else written


@contextlib.contextmanager
def lasting_streams() -> Iterator[list[str]]:
    """Inside, `sys.stdout` and `sys.stderr` do not fail; a stream that a caller has substituted is left unchanged.

    Yields a list of the reasons why output was lost, other than a missing reader.
    """
    lost: list[str] = []
    before = sys.stdout, sys.stderr
    _open_descriptors()
    sys.stdout, sys.stderr = (_lasting(stream, number, lost) for number, stream in zip((1, 2), before, strict=True))
    try:
        yield lost
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _open_descriptors() -> None:
    """Opens the null device if 0, 1 or 2 is closed: otherwise the next opened file would get that number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one


def _lasting(stream: Any, number: int, lost: list[str]) -> Any:
    if stream is not None:
        try:
            if stream.fileno() != number:
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="replace")
                return stream
        except (OSError, AttributeError, ValueError):  # a notebook's, a test's
            return stream
        with contextlib.suppress(OSError):
            stream.flush()
    terminal = os.isatty(number)
    return io.TextIOWrapper(
        io.BufferedWriter(_Lossy(number, lost)),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="replace",  # a terminal without UTF-8 is not a reason to stop
        line_buffering=terminal or number == 2,
    )
