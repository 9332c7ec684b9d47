"""Child processes that serve a plug-in module: one child, and a pool of them for calls from many threads."""

from __future__ import annotations

import builtins
import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.process import user_environment
from o2t_jax.render.plugin import child as protocol

# How often a wait checks that the child still lives, and how long children have to end by themselves.
_TICK_S = 0.2
_GRACE_S = 3.0
# How much later than the parent the child itself gives up.
_FUSE_S = 2


class Died(Exception):
    """The child ended; `how` is "signal SIGSEGV" or the like, never a text that the child chose."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class TimedOut(Exception):
    """The child did not answer in time."""


class Refused(Exception):
    """The child answered with a refusal."""

    def __init__(self, code: int, numbers: tuple[int, ...], name: str) -> None:
        super().__init__(code)
        self.code, self.numbers, self.name = code, numbers, name


class Reply(NamedTuple):
    kind: int
    numbers: tuple[int, ...]
    payload: np.ndarray


class Child:
    """One child process and the parent's end of its socket."""

    def __init__(self, python: str) -> None:
        ours, theirs = socket.socketpair()
        environment = user_environment() | {"PYTHONIOENCODING": "utf-8:backslashreplace"}
        if python != sys.executable:
            # They point to packages of this interpreter, which another version cannot load.
            for name in ("PYTHONPATH", "PYTHONHOME"):
                environment.pop(name, None)
        # A session of its own: Ctrl-C reaches the parent only, and the module has no terminal to print on.
        try:
            self._process = subprocess.Popen(
                [python, protocol.__file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=environment,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._ended = False
        self.answered = 0
        self.dismissed = False

    def ask(self, request: dict[str, Any], limit_s: float, expected_bytes: int = protocol.SMALL_PAYLOAD) -> Reply:
        """Sends a request and waits for its reply, `limit_s` at most.

        Raises: `Died`, `TimedOut` (the child is killed), `Refused`.
        """
        deadline = time.monotonic() + limit_s
        body = json.dumps(dict(request, limit_s=math.ceil(limit_s) + _FUSE_S)).encode()
        try:
            self._socket.settimeout(limit_s)
            self._socket.sendall(protocol.LENGTH.pack(len(body)) + body)
            header = self._receive(protocol.HEADER.size, deadline)
            magic, kind, code, *numbers, length = protocol.HEADER.unpack(header.tobytes())
            refused = kind == protocol.REFUSED
            if magic != protocol.MAGIC or length > (protocol.SMALL_PAYLOAD if refused else expected_bytes):
                raise Died("an invalid reply")
            payload = self._receive(length, deadline)
        except TimeoutError:
            self.end()
            raise TimedOut from None
        except (OSError, Died) as error:
            self.end(wait_s=1.0)
            raise Died(error.how if isinstance(error, Died) else self._how_it_ended()) from None
        self.answered += 1
        if refused:
            raise Refused(code, tuple(numbers), _builtin_exception(bytes(payload)))
        return Reply(kind, tuple(numbers), payload)

    def _receive(self, count: int, deadline: float) -> np.ndarray:
        buffer = np.empty(count, np.uint8)
        view, done = buffer.data, 0
        while done < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(min(left, _TICK_S))
            try:
                got = self._socket.recv_into(view[done:])
            except TimeoutError:
                # A process that the module started may hold the socket open after the child's death.
                if self._process.poll() is not None:
                    raise ConnectionResetError from None
                continue
            if got == 0:
                raise ConnectionResetError
            done += got
        return buffer

    def _how_it_ended(self) -> str:
        code = self._process.poll()
        if code is None or code >= 0:
            return "it ended by itself"
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
        return "killed by a signal"

    def hang_up(self) -> None:
        """Closes the socket: a child that waits for a request ends, and a thread that waits for its reply wakes."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def end(self, wait_s: float = 0.0) -> None:
        """Hangs up, and after `wait_s` kills the child with its whole process group. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        # The group outlives its leader where the module started processes of its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Pool:
    """Children, started when needed, `workers` at most."""

    def __init__(self, workers: int) -> None:
        self._owner = os.getpid()
        self._free = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._all: set[Child] = set()

    @contextlib.contextmanager
    def take(self, start: Callable[[], Child]) -> Iterator[Child]:
        """A child for one call. It goes back unless the call raised something other than `Refused`."""
        with self._free:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                child = start()
                with self._lock:
                    self._all.add(child)
            keep = False
            try:
                yield child
                keep = True
            except Refused:
                keep = True
                raise
            finally:
                with self._lock:
                    # `close` may have ended it meanwhile.
                    keep = keep and child in self._all
                    if keep:
                        self._idle.append(child)
                    else:
                        self._all.discard(child)
                if not keep:
                    child.end()

    def close(self) -> None:
        """Ends all children, busy ones too. The pool can be used again."""
        if os.getpid() != self._owner:  # a fork of this process has its own copy of the sockets, not of the children
            return
        with self._lock:
            idle, children = self._idle, self._all
            self._all, self._idle = set(), []
        for child in children:
            child.dismissed = True
            child.hang_up()
        deadline = time.monotonic() + _GRACE_S
        for child in children:
            # An idle one may run its module's exit handlers; a busy one would not notice for long.
            child.end(wait_s=max(deadline - time.monotonic(), 0.0) if child in idle else 0.0)

    def __len__(self) -> int:
        with self._lock:
            return len(self._all)


def _builtin_exception(raw: bytes) -> str:
    """The name of a built-in exception class, checked on this side too."""
    name = raw.decode("ascii", "replace")
    found = getattr(builtins, name, None)
    return name if isinstance(found, type) and issubclass(found, BaseException) else "an exception"
