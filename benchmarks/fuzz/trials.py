"""The trials of one parser, in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import time
import traceback
import tracemalloc
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.fuzz.mutations import mutated
from benchmarks.fuzz.parsers import parsers

HANGS = 60.0  # s without an answer
STARTS = 600.0  # s until the first one: a busy machine imports for minutes
BATCH = 50  # inputs between two messages, if they take less time than
SLOW = 5.0  # s
SAMPLED = 20  # one input in so many is measured
MOST_KEPT = 20  # failures


def child(channel: Connection, name: str, folder: Path, first: int, last: int, seconds: float) -> None:
    """Tries seeds `first` to `last` - 1, and sends (seed, what) of each failure and counts now and then."""
    from o2t_jax.errors import UsageError

    warnings.simplefilter("ignore")
    sys.stderr = open("/dev/null", "w")  # noqa: SIM115 (as long as the process)
    parser = parsers(folder)[name]()
    seeds, scratch = list(parser.seeds.items()), folder / "scratch"
    scratch.mkdir(exist_ok=True)
    for file, data in seeds:
        (scratch / file).write_bytes(data)
        try:
            parser.read(scratch / file)
        except Exception as error:
            channel.send(("failed", first, f"{file}, the valid file, is not read: {type(error).__name__}: {error}"))
            return
    channel.send(("at", first, {}, 0))
    began = told = time.monotonic()
    counts, peak = {"accepted": 0, "refused": 0}, 0
    for seed in range(first, last):
        rng = random.Random(f"{name} {seed}")
        file, data = rng.choice(seeds)
        path = scratch / file
        path.write_bytes(mutated(data, rng))
        if seed % BATCH == 0 or time.monotonic() - told > SLOW:
            channel.send(("at", seed, counts, peak))
            told = time.monotonic()
            if told - began > seconds:
                break
        if seed % SAMPLED == 0 and not parser.threads:
            tracemalloc.start()
        try:
            parser.read(path)
            counts["accepted"] += 1
        except UsageError:
            counts["refused"] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
            channel.send(("failed", seed, text))
        if tracemalloc.is_tracing():
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    else:
        seed = last
    channel.send(("done", seed, counts, peak))


def _context() -> Any:
    """How processes begin: where the system can, as forks of one that has imported what takes seconds."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "jax", "cv2", "o2t_jax.physics.motion.skeleton"])
    return context


def fuzz(name: str, first: int, count: int, seconds: float) -> dict[str, Any]:
    """The counts of one parser, over at most `seconds` s."""
    context = _context()
    found: dict[str, Any] = {"n": 0, "accepted": 0, "refused": 0, "failed": 0, "peak_mib": 0.0, "failures": []}
    began, at, last = time.monotonic(), first, first + count
    while at < last and time.monotonic() - began < seconds:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=child, args=(theirs, name, Path(folder), at, last, seconds))
            process.start()
            theirs.close()
            last_seen, done, patience = at, False, STARTS
            counts: dict[str, int] = {}
            message: Any
            while not done:
                try:
                    message = ours.recv() if ours.poll(patience) else None
                except EOFError:
                    message = None
                patience = HANGS
                if message is None:  # it crashed, or hangs: somewhere in this batch
                    process.kill()
                    process.join()
                    what = f"ended by {process.exitcode}, or hung: among {BATCH} seeds from here"
                    message = ("failed", last_seen, what)
                    last_seen, done = last_seen + BATCH, True
                if message[0] == "failed":
                    found["failed"] += 1
                    if len(found["failures"]) < MOST_KEPT:
                        found["failures"].append({"seed": message[1], "error": message[2]})
                else:
                    kind, last_seen, counts, peak = message
                    found["peak_mib"] = max(found["peak_mib"], round(peak / 2**20, 1))
                    done = kind == "done"
            process.join()
        for key, value in counts.items():
            found[key] += value
        at = last_seen
        if process.exitcode == 0 and at < last:
            break  # out of time
        if not counts:
            break  # it does not even start
    found["n"] = found["accepted"] + found["refused"] + found["failed"]
    found["seconds"] = round(time.monotonic() - began, 1)
    return found


__all__ = ["fuzz"]
