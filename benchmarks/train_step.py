"""Time and memory of one train step: python -m benchmarks.train_step [--json=FILE] [--repeats=5] [--rows=cpu,seed64]

Rows: `cpu` is the default config's step; `seed64` and `seed512` are config `seed` (the guide's free gauge, base 32) at
64 px with batch 16 and at 512 px with batch 1; `camera512` is the camera gauge at 512 px, base 32, batch 1. Compilation
is timed apart, without the cache. Memory is what the compiled step needs beside its arguments, by the compiler.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import jax
import numpy as np

from benchmarks.common import finish
from experiments.configs import cpu, seed
from o2t_jax.systems.o2t import build
from o2t_jax.training.state import tree_size
from o2t_jax.training.step import make_train_step

COLUMNS = {
    "row": "",
    "size_px": "d",
    "base_ch": "d",
    "batch": "d",
    "parameters": ",d",
    "median_s": ".3f",
    "spread_s": ".3f",
    "compile_s": ".1f",
    "memory_mb": ".0f",
    "gflop": ".1f",
}


def rows() -> dict[str, Any]:
    """Name -> config."""
    table = {"cpu": cpu.get_config()}
    for name, size, batch in (("seed64", 64, 16), ("seed512", 512, 1)):
        table[name] = seed.get_config()
        table[name].update({"render_size": size, "batch": batch})
    table["camera512"] = cpu.get_config()
    table["camera512"].update({"render_size": 512, "batch": 1, "base_ch": 32})
    for config in table.values():
        config.pool_size = max(config.batch, 1)
        config.initial_fill = config.pool_size
    return table


def fake_batch(system: Any, batch: int) -> dict[str, np.ndarray]:
    """Random bytes and plausible cameras: a step costs the same whatever it sees."""
    rng = np.random.default_rng(0)
    shapes = {name: ((batch, *x.shape), x.dtype) for name, x in system.sample_spec.items()}
    made = {
        "pictures": rng.integers(0, 256, shapes["pictures"][0], dtype=np.uint8),
        "para": rng.normal(size=shapes["para"][0]).astype(np.float32),
        "k": np.full(batch, system.config.k_min, np.int32),
        "n": np.full(batch, system.config.n_max, np.int32),
        "mode": np.full(batch, 2, np.int32),
    }
    made["para"][..., 3] = 2.0
    return made


def measure(name: str, config: Any, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    system = build(config)
    state = jax.jit(system.init)(jax.random.PRNGKey(0))
    batch = jax.device_put(fake_batch(system, config.batch))
    lowered = jax.jit(make_train_step(system.loss_fn, system.tx), donate_argnums=0).lower(state, batch)
    begun = time.perf_counter()
    step = lowered.compile()
    compile_s = time.perf_counter() - begun
    analysis, memory = step.cost_analysis() or {}, step.memory_analysis()
    parameters = tree_size(state.params)
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        times.append(time.perf_counter() - begun)
    times = times[1:]  # the first one touches its memory for the first time
    return {
        "row": name,
        "size_px": config.render_size,
        "base_ch": config.base_ch,
        "batch": config.batch,
        "parameters": parameters,
        "median_s": float(np.median(times)),
        "spread_s": float(np.max(times) - np.min(times)),
        "compile_s": compile_s,
        "memory_mb": (memory.temp_size_in_bytes if memory else float("nan")) / 1e6,
        "gflop": analysis.get("flops", float("nan")) / 1e9,
    }


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", default=None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rows", default="cpu,seed64,seed512,camera512")
    arguments = parser.parse_args(argv)
    table = rows()
    unknown = set(arguments.rows.split(",")) - set(table)
    if unknown:
        print(f"--rows={','.join(sorted(unknown))} is unknown: choose from {', '.join(table)}", file=sys.stderr)
        return 2
    results = []
    for name in arguments.rows.split(","):
        results.append(measure(name, table[name], arguments.repeats))
        print(f"{name}: {results[-1]['median_s']:.3f} s a step", file=sys.stderr, flush=True)
    finish(results, COLUMNS, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
