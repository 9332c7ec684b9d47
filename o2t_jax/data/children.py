"""Samples made in child processes, one for each calling thread: the interpreter's lock stops threads from rendering
side by side, but not from waiting side by side.

A thread makes its samples itself until it has spent `patience` seconds on them, and until its child is ready. So a
short run starts no process, and the first sample comes as soon as without. Who makes a sample does not matter: `make`
is a pure function of its arguments.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import IO, Any

import numpy as np

from o2t_jax.data import child as protocol
from o2t_jax.data.workers import Closed
from o2t_jax.errors import UsageError
from o2t_jax.process import user_environment

PATIENCE_S = 2.0  # of processor time
# A request costs the parent about as much as a tenth of a sample of 64 px.
_CHUNK_S, _MOST_AT_ONCE = 0.02, 8
_MOST_SLOTS, _SHARED_BYTES = 24, 64 << 20
# Memory of one child: the interpreter, numpy, OpenCV, JAX as a module without a device (177 MiB measured), a sample.
CHILD_BYTES = 256 << 20
_MOST_DEATHS = 3
_END_S = 2.0

MakeSample = Callable[[int, int], Mapping[str, np.ndarray]]


def check_memory(workers: int, free_bytes: int) -> None:
    """Raises UsageError where `workers` children do not fit into the free memory."""
    if workers * CHILD_BYTES > free_bytes:
        need, free = workers * CHILD_BYTES / 1e9, free_bytes / 1e9
        raise UsageError(
            f"render_workers={workers} processes need about {need:.1f} GB, {free:.1f} GB are free: set "
            f"--config.render_workers={max(1, free_bytes // CHILD_BYTES)}"
        )


class Died(Exception):
    """A child has ended."""


class Child:
    """A process that runs `make`; its samples have the shapes of `spec`.

    They lie in slots of memory that both processes see. A slot is used again when nothing refers to its sample.
    """

    def __init__(self, make: MakeSample, spec: protocol.Spec) -> None:
        self._spec, size = spec, protocol.slot_bytes(spec)
        count = int(np.clip(_SHARED_BYTES // size, 2, _MOST_SLOTS))
        pickled = pickle.dumps((make, spec, count))
        self._free = list(range(count))
        self._socket, theirs = socket.socketpair()
        with theirs, _nameless_file() as file:
            file.truncate(count * size)
            self._memory = mmap.mmap(file.fileno(), count * size)
            passed = theirs.fileno(), file.fileno()
            environment = user_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            # A session of its own: Ctrl-C reaches the parent only, which then hangs up.
            self._process = subprocess.Popen(
                [sys.executable, "-m", protocol.__name__, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                start_new_session=True,
                env=environment,
            )
        self._channel = Connection(os.dup(self._socket.fileno()))
        self.answers = False
        with _hung_up():
            self._channel.send_bytes(pickled)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ready(self) -> bool:
        """Whether it answers by now (`answers`: it has); for the one thread that uses it. Raises: Died."""
        with _hung_up():
            if not self.answers and self._channel.poll():
                self._channel.recv()
                self.answers = True
        return self.answers

    def make(self, wanted: Sequence[tuple[int, int]]) -> list[Mapping[str, np.ndarray]]:
        """Samples of these (index, step), a few. Raises: what `make` raises there; Died."""
        slots = [self._free.pop() for _ in range(min(len(wanted), len(self._free) - 1))]
        shared = len(slots)
        rest = wanted[shared:]  # where readers hold nearly all slots: one by one through the last, copied
        found = []
        if slots:
            self._ask([(slot, *pair) for slot, pair in zip(slots, wanted[:shared], strict=True)])
            found = [self._lent(slot) for slot in slots]
        for pair in rest:
            slot = self._free[-1]
            self._ask([(slot, *pair)])
            arrays = protocol.slot_arrays(self._memory, self._spec, slot)[1]
            found.append({name: array.copy() for name, array in arrays.items()})
        return found

    def _ask(self, request: list[tuple[int, int, int]]) -> None:
        with _hung_up():
            self._channel.send(request)
            error = self._channel.recv()
        if error is not None:
            raise error

    def _lent(self, slot: int) -> Mapping[str, np.ndarray]:
        """The sample in a slot, which is free again when its arrays are gone."""
        area, arrays = protocol.slot_arrays(self._memory, self._spec, slot)
        weakref.finalize(area, self._free.append, slot).atexit = False
        return arrays

    def end(self) -> None:
        """Hangs up, which wakes a thread that waits for it too, and waits for its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class InChildren:
    """Samples by a child of the calling thread; see the module's docstring.

    Args: `make` can be pickled and gives dicts of arrays of fixed shapes. A child that ends is replaced, and its
    samples made again. Where none can be started, or several end one after the other, threads go on alone, with a
    warning.
    Raises: what `make` raises.
    """

    def __init__(self, make: MakeSample, patience: float = PATIENCE_S) -> None:
        self._make, self._patience = make, patience
        self._here = threading.local()
        self._lock = threading.Lock()
        self._children: set[Child] = set()
        self._closed = self._alone = False
        self._seconds = 1.0  # of processor time for a sample, the last time that a thread made one

    def chunk(self) -> int:
        """How many samples to ask for at once: small ones are made faster than asked for."""
        if not self.all_ready(1):
            return 1
        return int(np.clip(_CHUNK_S / self._seconds, 1, _MOST_AT_ONCE))

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> Sequence[Mapping[str, np.ndarray]]:
        """Samples of these (index, step)."""
        own = vars(self._here)
        child: Child | None = own.get("child")
        try:
            if child is None and not self._alone and own.get("spent", -1.0) >= self._patience:
                child = own["child"] = self._start(own["spec"])
            if child is not None and child.ready():
                samples = child.make(wanted)
                own["deaths"] = 0
                return samples
        except Died:
            self._replace(own)
        begun = time.thread_time()
        samples = [self._make(*pair) for pair in wanted]
        spent = time.thread_time() - begun
        self._seconds = max(spent / len(samples), 1e-6)
        own["spent"] = own.get("spent", 0.0) + spent
        own.setdefault("spec", protocol.spec_of(samples[0]))
        return samples

    def pids(self) -> list[int]:
        """Of the children."""
        with self._lock:
            return [child.pid for child in self._children]

    def all_ready(self, count: int) -> bool:
        """Whether `count` children have answered to their threads."""
        with self._lock:
            return sum(child.answers for child in self._children) >= count

    def close(self) -> None:
        """Ends all children."""
        with self._lock:
            self._closed, children, self._children = True, self._children, set()
        for child in children:
            child.end()

    def _start(self, spec: protocol.Spec) -> Child | None:
        try:
            child = Child(self._make, spec)
        except (pickle.PicklingError, AttributeError, TypeError, OSError) as error:
            self._go_on_alone(f"no process for samples could be started ({error})")
            return None
        with self._lock:
            closed = self._closed
            if not closed:
                self._children.add(child)
        if closed:
            child.end()
            raise Closed
        return child

    def _replace(self, own: dict[str, Any]) -> None:
        """Forgets this thread's child, which has ended; the next call starts another."""
        child: Child | None = own.pop("child", None)
        with self._lock:
            if self._closed:
                raise Closed
            if child is not None:
                self._children.discard(child)
        if child is not None:
            child.end()
        own["deaths"] = own.get("deaths", 0) + 1
        if own["deaths"] >= _MOST_DEATHS:
            self._go_on_alone(f"{_MOST_DEATHS} processes for samples ended one after the other")

    def _go_on_alone(self, reason: str) -> None:
        if not self._alone:
            self._alone = True
            warnings.warn(f"{reason}: samples are made by threads from here on, which is slower", stacklevel=2)


def _nameless_file() -> IO[bytes]:
    """A file in memory, or on disk without a name: nothing is left behind, whoever is killed."""
    if hasattr(os, "memfd_create"):  # /dev/shm may be as small as 64 MB in a container
        return open(os.memfd_create("samples"), "r+b")
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _hung_up() -> Iterator[None]:
    """Raises `Died` for what a closed channel raises."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise Died from error


__all__ = ["CHILD_BYTES", "Child", "Died", "InChildren", "MakeSample", "check_memory"]
