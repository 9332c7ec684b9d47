"""Time of training steps of `dynamics` on states and on pictures, and of steps of a world.

python -m benchmarks.dynamics [--peer] [--json=FILE] [--repeats=15] [--steps=12] [--parts=states,pictures,world]

`states`: a training step of core `first_order_ode` (two hidden layers of 64) on the pendulum: a rollout of 30 steps of
0.1 s at batch 32, one step of rk4 each, the action held; mean squared error, Adam. `pictures`: a training step of
config `dynamics/pictures.py:spatial_newtonian` (32 px, batch 16, 30 steps, 8 frames decoded), from uint8 frames that
are already made. `world`: 100 steps of the pendulum of 0.05 s for 1,024 states; `ours` is the world itself (eight steps
of rk4 with the work done), `one rk4` one such step, `one euler` the semi-implicit Euler step that gymnax makes.

--peer adds PyTorch (`benchmarks/peers`, needs `pip install .[bench]`), each variant in a process of its own that gets
our weights: for `states` with torchdiffeq (one call of `odeint` a step), with a loop written by hand, and with that
loop with its step under torch.compile; for `pictures` in both layouts, eager. `loss_difference` and
`gradient_difference` say how well both sides agree there: of the loss, relative; of the gradient, the largest
difference in an array over its largest entry. If gymnax is installed, its Pendulum-v1 is another row of `world`,
without and with its automatic reset.

On a machine with other load, threads wait for each other: `taskset -c 0 python -m ...` gives each side one core.

Sides take turns of --steps steps (a third of them for `pictures`), of which the first is not counted. Ratios are a
side's time over ours (above 1, ours is faster): of medians, of the fastest steps, and of processor time, which other
load on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, at_least_1, check_parts, finish, run_checked, versions
from benchmarks.peers.dynamics_worker import PICTURE_PEERS, VECTOR_PEERS, VIDEO_PEERS, serve
from o2t_jax.commands import _cpu
from o2t_jax.errors import UsageError

PARTS = ("states", "pictures", "world")
COLUMNS = {
    "part": "",
    "side": "",
    "median_ms": ".3f",
    "spread_ms": ".3f",
    "ratio": ".2f",
    "ratio_of_fastest": ".2f",
    "ratio_of_cpu": ".2f",
    "steps_per_s": ".3g",
    "parameters": ",d",
    "loss_difference": ".1e",
    "gradient_difference": ".1e",
}
# Relative. torchdiffeq's rk4 has other coefficients than ours, so that it differs by the integration's error.
TOLERANCE = {"torchdiffeq": 1e-2} | dict.fromkeys(VIDEO_PEERS, 1e-4)
Turn = Callable[[int], list[tuple[float, float]]]
"""A number of steps -> seconds by the clock and of processor time of each."""


def timed(step: Callable[[], Any]) -> Turn:
    """Turns of a step in this process."""
    import jax

    def turn(count: int) -> list[tuple[float, float]]:
        taken = []
        for _ in range(count):
            clock, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(step())
            taken.append((time.perf_counter() - clock, time.process_time() - cpu))
        return taken

    return turn


def interleave(sides: Mapping[str, Turn], repeats: int, steps: int) -> dict[str, np.ndarray]:
    """Side -> seconds [steps, 2] by the clock and of processor time, without the first step of each turn."""
    taken: dict[str, list] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, turn in sides.items():
            taken[name] += turn(steps + 1)[1:]
    return {name: np.asarray(rows) for name, rows in taken.items()}


def rows_of(part: str, taken: Mapping[str, np.ndarray], about: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each side; `ours` is the one that the others are compared with."""
    ours, rows = taken["ours"], []
    for name, times in taken.items():
        clock, cpu = times.T
        row = {
            "part": part,
            "side": name,
            "steps": len(clock),
            "median_ms": 1e3 * float(np.median(clock)),
            "spread_ms": 1e3 * float(np.ptp(clock)),
            "ratio": float(np.median(clock) / np.median(ours[:, 0])),
            "ratio_of_fastest": float(clock.min() / ours[:, 0].min()),
            "ratio_of_cpu": float(np.median(cpu) / np.median(ours[:, 1])),
        }
        rows.append(row | dict(about.get(name, {})))
    return rows


@contextlib.contextmanager
def peers(names: tuple[str, ...], own: Any, fields: dict[str, Any], params: Any, batch: Any) -> Iterator[Any]:
    """(side -> turn, side -> what is known of it) of PyTorch's variants, each of which agrees with `own`.

    Args: `own`, our (loss, gradients by path) at `params`. Raises RuntimeError where a side computes another thing.
    """
    context, pipes, processes, about = multiprocessing.get_context("spawn"), {}, [], {}
    try:
        for name in names:
            pipes[name], theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, name, fields, params, batch), daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            loss, gradients, size, seconds = pipes[name].recv()
            about[name] = {"parameters": size, "start_s": seconds, **differences(name, own, (loss, gradients))}
            print(f"{name}: ready after {seconds:.0f} s", file=sys.stderr, flush=True)

        def turn(pipe: Any) -> Turn:
            def of(count: int) -> list[tuple[float, float]]:
                pipe.send(count)
                return pipe.recv()

            return of

        yield {name: turn(pipe) for name, pipe in pipes.items()}, about
    finally:
        for process in processes:
            process.terminate()
            process.join()


def differences(name: str, own: Any, other: Any) -> dict[str, float]:
    """Relative differences of loss and gradient. Raises RuntimeError beyond the tolerance."""
    (loss, gradients), (their_loss, their_gradients) = own, other
    of_loss = abs(their_loss - loss) / abs(loss)
    if set(gradients) != set(their_gradients):
        raise RuntimeError(f"{name}: PyTorch's network has other parameters than ours")
    # A bias before a norm of single channels has no gradient but rounding.
    least = 1e-3 * max(np.abs(x).max() for x in gradients.values())
    apart = [np.abs(their_gradients[key] - x).max() / max(np.abs(x).max(), least) for key, x in gradients.items()]
    allowed = TOLERANCE.get(name, 1e-3)
    if not (of_loss <= allowed and max(apart) <= 10 * allowed):
        raise RuntimeError(f"{name}: PyTorch's loss differs from ours by {of_loss:.1e}, gradients by {max(apart):.1e}")
    return {"loss_difference": float(of_loss), "gradient_difference": float(max(apart))}


def measure(part: str, case: Any, names: tuple[str, ...], repeats: int, steps: int) -> list[dict[str, Any]]:
    """The rows of `case` (see `benchmarks.dynamics_cases`) and of PyTorch's variants `names`."""
    about: dict[str, dict[str, Any]] = {"ours": {"parameters": case.size, "start_s": case.compile()}}
    if not names:
        return rows_of(part, interleave({"ours": timed(case.step)}, repeats, steps), about)
    with peers(names, case.own(), case.fields, case.params, case.batch) as (turns, found):
        taken = interleave({"ours": timed(case.step), **turns}, repeats, steps)
    return rows_of(part, taken, about | found)


def measure_world(batch: int, repeats: int, steps: int) -> tuple[list[dict[str, Any]], str]:
    """Rows of the world's variants and of gymnax; and what is to be said about gymnax."""
    from benchmarks.dynamics_cases import WORLD_STEPS, gymnax_scans, world_scans

    sides, said = world_scans(batch), "installed"
    try:
        sides |= gymnax_scans(batch)
        said = importlib.metadata.version("gymnax")
    except ImportError as error:
        said = f"does not import: {error}"
    rows = rows_of("world", interleave({name: timed(one) for name, one in sides.items()}, repeats, steps), {})
    return [row | {"steps_per_s": 1e3 * batch * WORLD_STEPS / row["median_ms"]} for row in rows], said


def tell(rows: list[dict[str, Any]], part: str) -> None:
    """Ratios of a part that is measured, on standard error: others may take minutes yet."""
    ratios = (f"{row['side']} {row['ratio']:.2f}" for row in rows if row["part"] == part)
    print(f"{part}: {', '.join(ratios)}", file=sys.stderr, flush=True)


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("dynamics", __doc__, measures=True)
    parser.add_argument("--repeats", type=at_least_1, default=15, help="turns of each side")
    parser.add_argument("--steps", type=at_least_1, default=12, help="steps of a turn that count")
    parser.add_argument("--batch", type=at_least_1, default=1024, help="states of the world")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--peer_malloc", choices=("ours", "own"), default="ours", help="PyTorch's settings for malloc")
    parser.add_argument("--peer_threads", type=int, default=0, help="PyTorch's threads; 0: one a core")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_checked(parsed(argv), check, run)


def check(arguments: argparse.Namespace) -> None:
    """Refuses an unknown part, and --peer without PyTorch."""
    check_parts(arguments.parts, PARTS)
    missing = [name for name in ("torch", "torchdiffeq") if importlib.util.find_spec(name) is None]
    if arguments.peer and missing:
        raise UsageError(f'--peer needs {" and ".join(missing)}: pip install "o2t_jax[bench]"')


def run(arguments: argparse.Namespace) -> int:
    """All parts."""
    from benchmarks.dynamics_cases import PictureCase, StateCase

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads, parts, rows, about = arguments.peer_threads or cores, arguments.parts.split(","), [], {}
    allocator = _cpu.default_malloc() if arguments.peer_malloc == "own" else contextlib.nullcontext()
    with allocator:
        for part, kind, names, share in (
            ("states", StateCase, VECTOR_PEERS, 1),
            ("pictures", PictureCase, PICTURE_PEERS, 3),
        ):
            if part in parts:
                steps = max(1, arguments.steps // share)
                rows += measure(part, kind(threads), names if arguments.peer else (), arguments.repeats, steps)
                tell(rows, part)
    if "world" in parts:
        found, about["gymnax"] = measure_world(arguments.batch, arguments.repeats, arguments.steps)
        rows += found
        tell(rows, "world")
    if arguments.peer:
        about |= versions("torch", "torchdiffeq") | {"peer_malloc": arguments.peer_malloc, "peer_threads": threads}
    finish(rows, COLUMNS, arguments.json, **about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
