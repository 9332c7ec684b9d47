"""Communication cost of a step: python -m benchmarks.scaling [--devices=1,2,4,8] [--json=FILE]

For each number of simulated CPU devices a separate process compiles the step as in training, counts the collectives of
the optimised program and their bytes, and makes two steps on the same global batch of real samples. Another row uses
two processes that communicate by `jax.distributed`, as on two machines; --processes=1 leaves it out.

`lowered` is the number of all-reduces in the step as written, `all_reduce` the number after compilation, `gradient`
those of them that carry more than a scalar, `kb` the bytes that all of them reduce. `gradient_diff` compares Adam's
first moment after one step, a multiple of the clipped gradient, with that of one device: the norm of the difference
over the norm, in the worst group of the optimiser (network, tower, g0, alpha). `parameter_diff` is the largest
difference of a parameter after two steps. A bias before a normalisation has no gradient but rounding, so Adam divides
noise by noise there and the difference may be as large as the learning rate.

Nothing here is a speed: simulated devices share the cores. --native uses the existing devices (of a machine with
several GPUs) in this process, and times the step on 1, 2, 4, ... of them.
"""

from __future__ import annotations

import argparse
import collections
import math
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import FlagParser, at_least_1, each_at_least_1, finish
from o2t_jax.commands import _cli, _cpu
from o2t_jax.commands._config import load_config

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {
    "devices": "d",
    "processes": "d",
    "lowered": "d",
    "all_reduce": "d",
    "gradient": "d",
    "other": "d",
    "kb": ",.1f",
    "parameters_kb": ",.1f",
    "gradient_diff": ".1e",
    "parameter_diff": ".1e",
    "step_s": ".4f",
    "compile_s": ".1f",
}
KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
STEPS = 2
# "%name = f32[4]{0} all-reduce(...)" or "%name = (f32[4]{0}, f32[]) all-reduce(...)". A `-start` represents an
# asynchronous pair; its `-done` is not counted again.
_LINE = re.compile(rf"= (.+?) ({'|'.join(KINDS)})(-start)?\(")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_BITS = re.compile(r"\d+")


class Collective(NamedTuple):
    """One collective of a compiled program: its kind, the number of its arrays, their elements and bytes."""

    kind: str
    arrays: int
    elements: int
    bytes: int


def find_collectives(hlo: str) -> list[Collective]:
    """The collectives in the text of a compiled program, in its order.

    Sizes are those of the results. An `all-gather-start` or the like also lists its operands there, so its size is an
    upper bound; an `all-reduce-start` does not.
    """
    found = []
    for result, kind, _ in _LINE.findall(hlo):
        shapes = _SHAPE.findall(result)
        sizes = [math.prod(int(n) for n in dims.split(",") if n) for _, dims in shapes]
        widths = [int(bits[0]) if (bits := _BITS.findall(dtype)) else 8 for dtype, _ in shapes]  # pred: a byte
        total = sum(size * max(8, width) // 8 for size, width in zip(sizes, widths, strict=True))
        found.append(Collective(kind, len(shapes), sum(sizes), total))
    return found


def count(lowered: Any, compiled: Any) -> dict[str, Any]:
    """A step's columns about collectives."""
    found = find_collectives(compiled.as_text())
    reduces = [each for each in found if each.kind == "all-reduce"]
    return {
        "lowered": lowered.as_text().count("all_reduce"),
        "all_reduce": len(reduces),
        "gradient": sum(each.elements > each.arrays for each in reduces),
        "other": len(found) - len(reduces),
        "kb": sum(each.bytes for each in found) / 1e3,
        "collectives": [each._asdict() for each in found],
    }


def measure_processes(config: Any, devices: int, save: Path | None, repeats: int = 0) -> dict[str, Any]:
    """One row, in this process: compiles, counts, makes STEPS steps; the state's numbers go to `save`.

    With `repeats` also the median time of a step.
    """
    import jax
    import optax

    from o2t_jax.systems.o2t import build
    from o2t_jax.training.parallel import make_parallel
    from o2t_jax.training.state import Initial, tree_bytes
    from o2t_jax.training.step import make_train_step

    system: Any = build(config)
    parallel = make_parallel(devices)
    parallel.check_batch(config.batch)
    first = Initial(system.init, system.tx, (config.seed,)).make()
    state, batch = parallel.replicate(first), parallel.put(_share(system, config, parallel))
    step = parallel.compile(lambda axis: make_train_step(system.loss, system.tx, system.advance, axis_name=axis))
    begun = time.perf_counter()
    lowered = step.lower(state, batch)
    compiled = lowered.compile()
    row = {
        "devices": parallel.num_devices,
        "processes": parallel.process_count,
        **count(lowered, compiled),
        "parameters_kb": tree_bytes(first.params) / 1e3,
        "compile_s": time.perf_counter() - begun,
    }
    # With several processes an ahead-of-time `pmap` mistakes a process' share for the whole: it is compiled again.
    run = step if parallel.process_count > 1 else compiled
    arrays = {}
    for number in range(STEPS):
        state, _ = jax.block_until_ready(run(state, batch))
        host = parallel.to_host(state)
        if number == 0:
            for group, (_, flat) in enumerate(optax.tree.get_all_with_path(host.opt_state, "mu")):
                arrays |= _flat(f"moment/{group}", flat)
    arrays |= _flat("parameter", host.params)
    if save is not None and parallel.is_writer:
        np.savez(save, **arrays)
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, batch))
        times.append(time.perf_counter() - begun)
    return {**row, "step_s": float(np.median(times)) if times else None}


def _flat(name: str, params: Any) -> dict[str, np.ndarray]:
    """Leaves by "name/group/..."; leaves that belong to another group of the optimiser have none."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {f"{name}/{jax.tree_util.keystr(path, simple=True, separator='/')}": leaf for path, leaf in leaves}


def _share(system: Any, config: Any, parallel: Any) -> dict[str, np.ndarray]:
    """This process's part of a global batch that is the same for any number of processes."""
    own = config.batch // parallel.process_count
    begin = own * parallel.process_index
    mix = system.curriculum.at(config.train_steps)
    samples = [system.source("train", i, mix).arrays() for i in range(begin, begin + own)]
    return {name: np.stack([sample[name] for sample in samples]) for name in system.sample_spec}


def differences(path: Path, reference: Path) -> dict[str, float]:
    """`gradient_diff` and `parameter_diff` of two files that `measure` saved."""
    with np.load(path) as got, np.load(reference) as want:
        if set(got) != set(want):
            raise ValueError(f"{path} and {reference} hold different arrays")
        apart, size = collections.defaultdict(float), collections.defaultdict(float)
        parameter = 0.0
        for name in want:
            difference = np.asarray(got[name] - want[name], np.float64)
            kind, group = name.split("/")[:2]
            if kind == "parameter":
                parameter = max(parameter, float(np.max(np.abs(difference), initial=0.0)))
            else:
                apart[group] += float(np.sum(difference**2))
                size[group] += float(np.sum(np.asarray(want[name], np.float64) ** 2))
    ratios = [(apart[group] / size[group]) ** 0.5 for group in size if size[group]]
    return {"gradient_diff": max(ratios, default=0.0), "parameter_diff": parameter}


def _config(name: str, batch: int) -> Any:
    config = load_config(name)[1]
    config.batch = batch
    config.pool_size = config.initial_fill = max(batch, 1)
    return config


def _child(arguments: argparse.Namespace) -> None:
    """Writes one row to --json, and the state's numbers to a file next to it."""
    import json

    _cpu.start_devices("on", "cpu", arguments.coordinator, 2, arguments.process_id)
    target = Path(arguments.json)
    row = measure_processes(_config(arguments.config, arguments.batch), 0, target.with_suffix(".npz"))
    target.with_suffix(f".{arguments.process_id}.json").write_text(json.dumps(row))


def _start(arguments: argparse.Namespace, devices: int, target: Path, *extra: str) -> subprocess.Popen:
    # The code generator's optimisation level changes neither the collectives nor, beyond rounding, the numbers; a low
    # level compiles faster. The user's own flags come last and win.
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    command = ["-m", "benchmarks.scaling", "--child", f"--config={arguments.config}", f"--batch={arguments.batch}"]
    return subprocess.Popen(
        [sys.executable, *command, f"--json={target}", *extra],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()},
    )


def simulated(arguments: argparse.Namespace, counts: list[int]) -> list[dict[str, Any]]:
    """A row for each number of devices, each in a separate process, and one of two processes."""
    import json

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(devices, 1) for devices in counts] + [(1, 2)] * (arguments.processes == 2)
        for devices, processes in jobs:
            target = Path(folder) / f"{devices}x{processes}.json"
            places = [()]
            if processes > 1:
                with socket.socket() as free:
                    free.bind(("localhost", 0))
                    coordinator = f"--coordinator=localhost:{free.getsockname()[1]}"
                places = [(coordinator, f"--process_id={i}") for i in range(processes)]
            children = [_start(arguments, devices, target, *place) for place in places]
            codes = [child.wait() for child in children]
            if any(codes):
                raise RuntimeError(f"the row of {devices} device(s) in {processes} process(es) failed")
            row = json.loads(target.with_suffix(".0.json").read_text())
            rows.append(row | differences(target.with_suffix(".npz"), Path(folder) / f"{counts[0]}x1.npz"))
            print(
                f"{row['devices']} device(s), {processes} process(es): {row['all_reduce']} all-reduce(s)",
                file=sys.stderr,
                flush=True,
            )
    return rows


def native(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """1, 2, 4, ... of the existing devices, timed; --batch is the global batch."""
    import jax

    there, rows = jax.local_device_count(), []
    with tempfile.TemporaryDirectory() as folder:
        for devices in [2**i for i in range(there.bit_length())]:
            target = Path(folder) / f"{devices}.npz"
            row = measure_processes(_config(arguments.config, arguments.batch), devices, target, arguments.repeats)
            rows.append(row | differences(target, Path(folder) / "1.npz"))
    return rows


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = FlagParser("scaling", __doc__)
    numbers = "numbers of simulated devices; the first is the reference"
    parser.add_argument("--devices", type=each_at_least_1, default="1,2,4,8", help=numbers)
    parser.add_argument("--processes", type=int, choices=(1, 2), default=2, help="2: add a row of two processes")
    parser.add_argument("--config", default="smoke", help="a config of this project, or a file")
    parser.add_argument("--batch", type=at_least_1, default=8, help="global batch")
    parser.add_argument("--native", action="store_true", help="time the existing devices")
    parser.add_argument("--repeats", type=at_least_1, default=20, help="timed steps, for --native")
    parser.add_json()
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--coordinator", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--process_id", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    uneven = [each for each in arguments.devices if arguments.batch % each]
    if uneven:
        parser.error(f"--batch={arguments.batch} cannot be shared by {uneven[0]} devices")
    _cpu.prepare("on")  # the compiler's settings are those of experiments.train
    _cli.be_quiet()
    if arguments.child:
        _child(arguments)
        return 0
    rows = native(arguments) if arguments.native else simulated(arguments, arguments.devices)
    finish(rows, COLUMNS, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
