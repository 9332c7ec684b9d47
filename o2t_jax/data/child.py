"""A child process that makes samples: python -m o2t_jax.data.child SOCKET MEMORY (descriptors that its parent passed).

It receives a pickled (make, spec, number of slots), and then lists of (slot, index, step). The arrays of sample
make(index, step) go into that slot of the shared memory; the reply is None, or what `make` raised. It ends when the
parent's end of the socket is closed: a parent that is killed leaves no orphan.
"""

from __future__ import annotations

import contextlib
import mmap
import pickle
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from o2t_jax.errors import UsageError

_ALIGN = 64  # bytes

Spec = Mapping[str, tuple[tuple[int, ...], np.dtype]]


def spec_of(sample: Mapping[str, np.ndarray]) -> Spec:
    """Shape and type of each array of a sample."""
    return {name: (np.shape(array), np.asarray(array).dtype) for name, array in sample.items()}


def slot_bytes(spec: Spec) -> int:
    """Bytes of one sample in the shared memory."""
    return sum(_room(shape, dtype) for shape, dtype in spec.values())


def slot_arrays(memory: mmap.mmap, spec: Spec, slot: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The bytes of a slot, and the arrays of its sample: views, which keep those bytes alive."""
    size = slot_bytes(spec)
    area = np.ndarray((size,), np.uint8, memory, slot * size)
    arrays, start = {}, 0
    for name, (shape, dtype) in spec.items():
        end = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        arrays[name] = area[start:end].view(dtype).reshape(shape)
        start += _room(shape, dtype)
    return area, arrays


def _room(shape: tuple[int, ...], dtype: np.dtype) -> int:
    size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    return -(-size // _ALIGN) * _ALIGN


def serve(channel: Connection, memory_file: int) -> None:
    """Answers requests until the parent is gone."""
    make, spec, count = pickle.loads(channel.recv_bytes())
    memory = mmap.mmap(memory_file, count * slot_bytes(spec))
    slots = [slot_arrays(memory, spec, slot)[1] for slot in range(count)]
    channel.send(None)  # ready
    while True:
        channel.send(_answer(make, channel.recv(), slots))


def _answer(make: Any, wanted: list[tuple[int, int, int]], slots: list[dict[str, np.ndarray]]) -> Exception | None:
    try:
        for slot, index, step in wanted:
            sample = make(index, step)
            for name, array in slots[slot].items():
                made = np.asarray(sample[name])
                if (made.shape, made.dtype) != (array.shape, array.dtype):  # numpy would repeat what is too small
                    kinds = f"{made.dtype}{list(made.shape)}, the first sample's {array.dtype}{list(array.shape)}"
                    raise UsageError(f"sample {index}: {name} is {kinds}: all samples must be alike")
                array[...] = made
    except Exception as error:
        return _portable(error)
    return None


def _portable(error: Exception) -> Exception:
    """The exception itself if it can be pickled, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def main() -> None:
    """The program."""
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone, or has hung up
        serve(Connection(int(sys.argv[1])), int(sys.argv[2]))


if __name__ == "__main__":
    main()
