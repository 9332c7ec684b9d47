"""Time and memory of one train step.

python -m benchmarks.train_step [--peer] [--json=FILE] [--repeats=5] [--rows=cpu] [--forms=plain|cpu]

Rows: `cpu` is the default config's step; `seed64` and `seed512` are config `seed` (the guide's free gauge, base 32) at
64 px with batch 16 and at 512 px with batch 1; `camera512` is the camera gauge at 512 px, base 32, batch 1. Compilation
is timed separately, without the cache. Memory is the compiler's figure for the step, without its arguments.

Any of --size, --base, --batch, --dtype, --remat makes a single row instead, of the camera gauge or of --gauge:
`python -m benchmarks.train_step --size=512 --base=64 --batch=16 --dtype=bfloat16 --remat`. `benchmarks/gpu.sh` does so
for all rows that a GPU should have.

`gflop_asked` are the operations in the program as written, `gflop` and `gb` the operations and the bytes moved in the
compiled program, both by XLA's cost analysis. Loop bodies count once, and library calls may not count at all. `bound_s`
is the least time on an accelerator of --peak_tflops and --peak_gbs (an H100's, if left out), `limit` which of the two
sets it. It is a prediction, and a loose one for bytes, since another device's compiler fuses differently. It is counted
from the plain form of the network, which an accelerator runs: `plain_gflop_asked`, `plain_gb`.

--forms chooses the form that is timed (`o2t_jax.models.ops`); if left out, the one that training uses on the device.

--peer compares config `seed` with its PyTorch version (`benchmarks/peers`, needs `pip install .[bench]`), interleaved
in turns of four steps, the first of which is not counted. `ratio_to_pytorch` is PyTorch's median time, in the better of
its two layouts, divided by ours. PyTorch gets the malloc settings of our programs, although its users do not have them;
--peer_malloc=own runs it with default settings.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import FlagParser, at_least_1, finish
from o2t_jax.commands import _cli, _cpu
from o2t_jax.commands.configs import cpu, seed
from o2t_jax.models import ops
from o2t_jax.systems.o2t import build
from o2t_jax.training.resources import flops
from o2t_jax.training.state import Initial, tree_size
from o2t_jax.training.step import make_train_step

COLUMNS = {
    "row": "",
    "forms": "",
    "size_px": "d",
    "base_ch": "d",
    "batch": "d",
    "parameters": ",d",
    "median_s": ".3f",
    "spread_s": ".3f",
    "compile_s": ".1f",
    "memory_mb": ".0f",
    "gflop": ".1f",
    "gflop_asked": ".1f",
    "gb": ".2f",
    "plain_gflop_asked": ".1f",
    "plain_gb": ".2f",
    "bound_s": ".5f",
    "limit": "",
}
# An H100 SXM's: dense bfloat16, TF32 (the default for float32 convolutions on a GPU), memory.
PEAK_TFLOPS = {"bfloat16": 989.0, "float32": 495.0}
PEAK_GBS = 3350.0


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


def own_row(arguments: argparse.Namespace) -> dict[str, Any]:
    """The single row that the options describe: name -> config."""
    config = (cpu if arguments.gauge == "camera" else seed).get_config()
    config.update(
        {
            "render_size": arguments.size or config.render_size,
            "base_ch": arguments.base or config.base_ch,
            "batch": arguments.batch or config.batch,
            "dtype": arguments.dtype or config.dtype,
            "remat": arguments.remat,
        }
    )
    config.pool_size = config.initial_fill = config.batch
    name = f"{config.gauge}{config.render_size}-{config.base_ch}x{config.batch}-{config.dtype}"
    return {name + ("-remat" if config.remat else ""): config}


def bound(config: Any, gflop: float, gigabytes: float, tflops: float | None, gbs: float | None) -> dict[str, Any]:
    """The least time of a step on an accelerator with these peaks, and which peak sets it."""
    arithmetic = gflop / 1e3 / (tflops or PEAK_TFLOPS[config.dtype])
    memory = gigabytes / (gbs or PEAK_GBS)
    return {"bound_s": max(arithmetic, memory), "limit": "arithmetic" if arithmetic > memory else "memory"}


def fake_batch(system: Any, batch: int) -> dict[str, np.ndarray]:
    """Random bytes and plausible cameras: the cost of a step does not depend on its data."""
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


def counted(lowered: jax.stages.Lowered, compiled: jax.stages.Compiled) -> tuple[float, float, float]:
    """Operations in the program as written and as compiled, in 1e9, and bytes moved, in GB."""
    analysis = compiled.cost_analysis() or {}
    made, moved = analysis.get("flops", float("nan")), analysis.get("bytes accessed", float("nan"))
    return flops(lowered) / 1e9, made / 1e9, moved / 1e9


def measure_step(
    name: str, config: Any, repeats: int, tflops: float | None = None, gbs: float | None = None
) -> dict[str, Any]:
    """One row of the table."""
    system = build(config)
    state = Initial(system.init, system.tx, (0,)).make()
    batch = jax.device_put(fake_batch(system, config.batch))

    def lower() -> jax.stages.Lowered:
        return jax.jit(make_train_step(system.loss, system.tx, system.advance), donate_argnums=0).lower(state, batch)

    lowered = lower()
    begun = time.perf_counter()
    step = lowered.compile()
    compile_s = time.perf_counter() - begun
    asked, made, moved = counted(lowered, step)
    if ops.form() == "plain":
        plain_asked, plain_moved = asked, moved
    else:
        with ops.using("plain"):
            plain = lower()
        plain_asked, _, plain_moved = counted(plain, plain.compile())
    memory = step.memory_analysis()
    parameters = tree_size(state.params)
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        times.append(time.perf_counter() - begun)
    times = times[1:]  # the first one touches its memory for the first time
    return {
        "row": name,
        "forms": ops.form(),
        "size_px": config.render_size,
        "base_ch": config.base_ch,
        "batch": config.batch,
        "parameters": parameters,
        "median_s": float(np.median(times)),
        "spread_s": float(np.max(times) - np.min(times)),
        "compile_s": compile_s,
        "memory_mb": (memory.temp_size_in_bytes if memory else float("nan")) / 1e6,
        "gflop": made,
        "gflop_asked": asked,
        "gb": moved,
        "plain_gflop_asked": plain_asked,
        "plain_gb": plain_moved,
        **bound(config, plain_asked, plain_moved, tflops, gbs),
        "dtype": config.dtype,
        "remat": config.remat,
        "gauge": config.gauge,
    }


def versus(names: list[str], table: dict[str, Any], arguments: argparse.Namespace) -> int:
    """The command with --peer."""
    if importlib.util.find_spec("torch") is None:
        print("--peer needs PyTorch: pip install .[bench]", file=sys.stderr)
        return 2
    from benchmarks.peers.compare import COLUMNS as columns
    from benchmarks.peers.compare import compare, random_params

    results = []
    for name in names:
        config = table[name]
        system = build(config)
        shapes = Initial(system.init, system.tx, (0,)).shapes
        params = random_params(shapes.params)
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        state = blank.replace(params=jax.tree.map(jnp.asarray, params), opt_state=jax.jit(system.tx.init)(params))
        batch = fake_batch(system, config.batch)
        step = (
            jax.jit(make_train_step(system.loss, system.tx, system.advance), donate_argnums=0)
            .lower(state, batch)
            .compile()
        )
        own = arguments.peer_malloc == "own"
        results.append(compare(name, config, step, state, params, batch, arguments.repeats, own))
        print(f"{name}: PyTorch's time / ours {results[-1]['ratio_to_pytorch']:.2f}", file=sys.stderr, flush=True)
    ratios = {str(row["size_px"]): row["ratio_to_pytorch"] for row in results}
    about = {"torch": importlib.metadata.version("torch"), "peer_malloc": arguments.peer_malloc}
    finish(results, columns, arguments.json, ratio_to_pytorch=ratios, **about)
    return 0


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = FlagParser("train_step", __doc__, measures=True)
    parser.add_argument("--repeats", type=at_least_1, default=5)
    parser.add_argument("--rows", default="")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument(
        "--forms", choices=ops.FORMS, default=None, help="form of the network's operations; the device's if left out"
    )
    for name, text in (("size", "pictures, px"), ("base", "base width"), ("batch", "samples per step")):
        parser.add_argument(f"--{name}", type=at_least_1, default=None, help=text)
    parser.add_argument("--peer_malloc", choices=("ours", "own"), default="ours", help="PyTorch's settings for malloc")
    parser.add_argument("--dtype", choices=tuple(PEAK_TFLOPS), default=None)
    parser.add_argument("--remat", action="store_true", help="recompute activations in the backward pass")
    parser.add_argument("--gauge", choices=("camera", "free"), default="camera", help="gauge of the single row")
    parser.add_argument("--peak_tflops", type=float, default=None, help="peak TFLOP/s of bound_s's accelerator")
    parser.add_argument("--peak_gbs", type=float, default=None, help="its memory's GB/s")
    arguments = parser.parse_args(argv)
    wants_own = arguments.remat or any((arguments.size, arguments.base, arguments.batch, arguments.dtype))
    table = own_row(arguments) if wants_own else rows()
    table = {name: config for name, config in table.items() if not arguments.peer or config.gauge == "free"}
    arguments.rows = arguments.rows or ",".join(table)
    unknown = set(arguments.rows.split(",")) - set(table)
    if unknown:
        parser.error(f"--rows={','.join(sorted(unknown))} is unknown: choose from {', '.join(table)}")
    # The settings of experiments.train; those of malloc also apply to PyTorch's processes.
    _cpu.prepare(arguments.cpu_tuning)
    _cli.be_quiet()
    _cpu.start_devices(arguments.cpu_tuning)
    ops.use(arguments.forms or ops.form())
    results = []
    if arguments.peer:
        return versus(arguments.rows.split(","), table, arguments)
    for name in arguments.rows.split(","):
        results.append(measure_step(name, table[name], arguments.repeats, arguments.peak_tflops, arguments.peak_gbs))
        print(f"{name}: {results[-1]['median_s']:.3f} s per step", file=sys.stderr, flush=True)
    finish(results, COLUMNS, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
