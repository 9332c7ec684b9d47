"""Speed at which the replay buffer supplies batches: `python -m benchmarks.buffer [--json=FILE]` ("-" is stdout).

1. Draws from a full ring of 512 px samples (3.9 MB each) into numpy memory: GB/s, and for comparison a plain copy of
   as many bytes (the machine's memory bandwidth).
2. The share of time that a simulated device (a sleep per step) waits for data, when the workers can keep up and when
   the device is faster than the workers. Samples are copied, not rendered: this measures the buffer, not the renderer.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, above_zero, at_least_1
from o2t_jax.data.pipeline import Pipeline
from o2t_jax.data.ring import BufferConfig, Ring


def fake_sample(size: int) -> dict[str, np.ndarray]:
    """A sample of the real shapes with random bytes."""
    rng = np.random.default_rng(0)
    return {
        "pictures": rng.integers(0, 256, (5, size, size, 3), np.uint8),
        "para": np.zeros((5, 6), np.float32),
        "k": np.array(1, np.int32),
        "n": np.array(0, np.int32),
        "mode": np.array(0, np.int32),
    }


def sample_bytes(sample: dict[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in sample.values())


def measure_draws(size: int, pool: int, batch: int, seconds: float) -> dict[str, float]:
    """GB/s of `Ring.take` of random slots, of a sequential copy of the same size, and draws per second."""
    sample = fake_sample(size)
    ring = Ring(pool, "mode")
    for index in range(pool):
        ring.put(index, sample)
    rng = np.random.default_rng(1)

    def rate(action: Any) -> float:
        action()
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            action()
            count += 1
        return count / (time.perf_counter() - begun)

    def draw() -> None:
        slots, _ = ring.choose(rng, batch, (1.0, 0.0, 0.0))
        ring.take(slots)

    block = np.stack([sample["pictures"]] * batch)
    target = np.empty_like(block)
    draws, copies = rate(draw), rate(lambda: np.copyto(target, block))
    gigabytes = batch * sample_bytes(sample) / 1e9
    return {
        "size_px": size,
        "pool": pool,
        "batch": batch,
        "draws_per_s": draws,
        "draw_GB_per_s": draws * gigabytes,
        "memcpy_GB_per_s": copies * gigabytes,
    }


def measure_waiting(
    size: int, batch: int, pool: int, reuse: float, render_s: float, step_s: float, steps: int, buffer: str
) -> dict[str, Any]:
    """Share of the wall time that the device waits; a sample costs `render_s` on a worker, a step `step_s`."""
    sample = fake_sample(size)

    def make(index: int, step: int) -> dict[str, np.ndarray]:
        time.sleep(render_s)
        return sample

    workers = 2
    config = BufferConfig(pool, batch, batch, reuse=reuse, render_workers=workers, buffer=buffer)
    with Pipeline(make, config, seed=0) as batches:
        next(batches)
        filled = batches.stats()["waited_seconds"]
        begun = time.perf_counter()
        for _ in range(steps):
            next(batches)
            time.sleep(step_s)
        wall = time.perf_counter() - begun
        waited = batches.stats()["waited_seconds"] - filled
    supply = workers / render_s * reuse / batch * step_s
    return {
        "buffer": buffer,
        "size_px": size,
        "batch": batch,
        "step_s": step_s,
        "supply_over_demand": supply,
        "waiting_share": waited / wall,
        "waiting_share_unavoidable": 0.0 if buffer == "free" else max(0.0, 1.0 - supply),
    }


def main(argv: list[str] | None = None) -> None:
    parser = FlagParser("buffer", "Times the replay buffer.")
    parser.add_json()
    parser.add_argument("--seconds", type=above_zero, default=2.0, help="seconds to measure each rate")
    parser.add_argument("--pool", type=at_least_1, default=128, help="samples of 512 px in the ring, 3.9 MB each")
    args = parser.parse_args(argv)
    result = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "draws": [measure_draws(512, args.pool, batch, args.seconds) for batch in (4, 16)],
        "waiting": [
            measure_waiting(512, 4, 32, 4.0, 0.01, 0.05, 40, "deterministic"),
            measure_waiting(512, 4, 32, 4.0, 0.05, 0.0125, 40, "deterministic"),
            measure_waiting(512, 4, 32, 4.0, 0.05, 0.0125, 40, "free"),
        ],
    }
    text = json.dumps(result, indent=2)
    if args.json == "-":
        print(text)
        return
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    for row in result["draws"] + result["waiting"]:
        print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
