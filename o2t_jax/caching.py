"""A small cache that threads share. Each value is made once, by the first thread that requests it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedCache(Generic[T]):
    """Keeps the `size` last used values. Threads that request a value while it is being made wait for it."""

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._held: OrderedDict[Hashable, Future[T]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made by `make()` if it is not cached. If `make` raises, all waiting callers get the
        exception and nothing is cached."""
        with self._lock:
            future = self._held.get(key)
            mine = future is None
            if future is None:
                future = self._held[key] = Future()
            self._held.move_to_end(key)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._held.pop(key, None)
                future.set_exception(error)
                raise
        return future.result()


__all__ = ["SharedCache"]
