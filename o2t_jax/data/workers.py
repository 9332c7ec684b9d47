"""Threads that make a sequence ahead of its reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Closed(Exception):
    """Raised in threads that wait for something when it is closed; never reaches a user."""


class Workers(Iterator[Any]):
    """`make(first)`, `make(first + 1)`, ... in this order, made by threads.

    At most `ahead` results are finished or being made beyond those read. `make_some(range)`, where it is given, makes
    `chunk()` of them at once, and two chunks a thread may then be ahead. The first error of any thread ends the
    sequence: it is raised at once, before results that are ready, and again at each later read. Threads begin with
    `start()`.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        *,
        first: int,
        threads: int,
        ahead: int,
        name: str,
        make_some: Callable[[range], Sequence[Any]] | None = None,
        chunk: Callable[[], int] = lambda: 1,
    ) -> None:
        # Notified whenever a result is finished or read, at an error and at the end.
        self.changed = threading.Condition()
        self.error: BaseException | None = None
        self._make_some = make_some or (lambda indices: [make(index) for index in indices])
        self._chunk, self._ahead, self._count = chunk, ahead, threads
        self._next_made = self._next_read = first
        self._finished: dict[int, Any] = {}
        self._closed = self._started = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{i}", daemon=True) for i in range(threads)]

    def start(self) -> None:
        """Starts the threads; later calls do nothing."""
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    @property
    def over(self) -> bool:
        """Whether there was an error, or `stop`."""
        return self._closed or self.error is not None

    def check(self) -> None:
        """Raises the first error of any thread, or Closed."""
        if self.error is not None:
            raise self.error
        if self._closed:
            raise Closed

    def fail(self, error: BaseException) -> None:
        """Ends the sequence with an error."""
        if not isinstance(error, Exception):
            # SystemExit or KeyboardInterrupt of the work itself: raised as such they would not look like an error.
            wrapped = RuntimeError(f"a worker thread raised {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            error = wrapped
        with self.changed:
            if self.error is None and not isinstance(error, Closed):
                self.error = error
            self._closed = self._closed or isinstance(error, Closed)
            self.changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Waits for at most `timeout` seconds; whether the next read would return, or raise, without waiting."""
        with self.changed:
            return self.changed.wait_for(self._readable, timeout)

    def __next__(self) -> Any:
        with self.changed:
            self.changed.wait_for(self._readable)
            self.check()
            result = self._finished.pop(self._next_read)
            self._next_read += 1
            self.changed.notify_all()
            return result

    def stop(self) -> None:
        """Tells all threads to end, without waiting for them."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def close(self, patience: float = 10.0) -> None:
        """Ends all threads; waits for what they are making, for at most `patience` seconds."""
        self.stop()
        end = time.monotonic() + patience
        for thread in self._threads:
            if self._started and thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _readable(self) -> bool:
        return self.over or self._next_read in self._finished

    def _work(self) -> None:
        try:
            while True:
                chunk = self._chunk()
                most = max(self._ahead, 2 * self._count * chunk) if chunk > 1 else self._ahead
                with self.changed:
                    self.changed.wait_for(
                        lambda end=most - chunk: self.over or self._next_made <= self._next_read + end
                    )
                    if self.over:
                        return
                    indices = range(self._next_made, self._next_made + chunk)
                    self._next_made = indices.stop
                results = self._make_some(indices)
                with self.changed:
                    self._finished.update(zip(indices, results, strict=True))
                    self.changed.notify_all()
                del results  # a reader's sample may free memory that is used again
        except BaseException as error:
            self.fail(error)


__all__ = ["Closed", "Workers"]
