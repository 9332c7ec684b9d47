"""A train step of this checkout beside another's, interleaved.

python -m benchmarks.versus --other=DIR [--rows=seed64,seed512] [--seconds=240]

DIR is another checkout of this repository (git worktree add DIR COMMIT); with --other=plain it is this one with the
plain form of the network's operations instead of the CPU's. Each runs in a process of its own, under the settings of
experiments.train, and makes a few steps in turn. Ratios are this checkout's time over the other's, of medians and of
the shortest steps, by the clock and by the processors' time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.common import FlagParser, above_zero, finish
from o2t_jax.commands import _cpu
from o2t_jax.commands._cli import fail

ROOT = Path(__file__).resolve().parent.parent
STEPS = {"seed64": 5, "cpu": 5}  # a turn; 3 of the rest
COLUMNS = {"row": "s", "steps": "d", "median": ".3f", "shortest": ".3f", "median_cpu": ".3f", "ours_s": ".3f"}
# Runs in either checkout, so it knows the interfaces of before and after the contract's second version.
CHILD = """
import os, sys, time
form, rows = sys.argv[1], sys.argv[2].split(",")
try:
    from experiments import _cpu
    _cpu.prepare("on")
except ImportError:
    from experiments import _cli
    _cli.quiet_and_fast()
import jax
from benchmarks import train_step as benchmark
from o2t_jax.training.state import Initial
from o2t_jax.training.step import make_train_step
jax.config.update("jax_cpu_enable_async_dispatch", False)
try:
    from o2t_jax.models import ops
    ops.use(form)
except ImportError:
    pass
held = {}
for row in rows:
    config = benchmark.rows()[row]
    system = benchmark.build(config)
    if hasattr(system, "loss"):
        state = Initial(system.init, system.tx, (0,)).make()
        step = make_train_step(system.loss, system.tx, system.advance)
    else:
        state = Initial(system.init, jax.random.PRNGKey(0)).make()
        step = make_train_step(system.loss_fn, system.tx)
    batch = jax.device_put(benchmark.fake_batch(system, config.batch))
    held[row] = [jax.jit(step, donate_argnums=0).lower(state, batch).compile(), state, batch]
print("ready", flush=True)
for line in sys.stdin:
    row, count = line.split()
    step, state, batch = held[row]
    times = []
    for _ in range(int(count)):
        cpu, clock = time.process_time(), time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        times.append(f"{time.perf_counter() - clock},{time.process_time() - cpu}")
    held[row][1] = state
    print(" ".join(times), flush=True)
"""


class Side:
    """One checkout's process."""

    def __init__(self, folder: Path, form: str, rows: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, form, rows],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Until all rows are compiled."""
        if self._out.readline().strip() != "ready":
            raise SystemExit(2)

    def turn(self, row: str, count: int) -> list[tuple[float, float]]:
        """Seconds by the clock and of processor time, of `count` steps; the first is not counted."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{row} {count}\n")
        self._process.stdin.flush()
        pairs = [pair.split(",") for pair in self._out.readline().split()]
        return [(float(clock), float(cpu)) for clock, cpu in pairs][1:]

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(ours: Side, other: Side, rows: list[str], seconds: float) -> list[dict[str, Any]]:
    """A row of the table for each of `rows`, from turns over `seconds`."""
    taken: dict[str, tuple[list, list]] = {row: ([], []) for row in rows}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for row in rows:
            for side, times in zip((ours, other), taken[row], strict=True):
                times += side.turn(row, STEPS.get(row, 3))
    table = []
    for row, (mine, theirs) in taken.items():
        (clock, cpu), (other_clock, other_cpu) = np.array(mine).T, np.array(theirs).T
        table.append(
            {
                "row": row,
                "steps": len(clock),
                "median": float(np.median(clock) / np.median(other_clock)),
                "shortest": float(clock.min() / other_clock.min()),
                "median_cpu": float(np.median(cpu) / np.median(other_cpu)),
                "ours_s": float(np.median(clock)),
            }
        )
    return table


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = FlagParser("versus", __doc__)
    parser.add_argument("--other", required=True, help="another checkout's folder, or 'plain'")
    parser.add_argument("--rows", default="seed64,seed512", help="rows of benchmarks.train_step, with commas between")
    parser.add_argument("--seconds", type=above_zero, default=240.0, help="time for the turns, compilation not counted")
    parser.add_json()
    arguments = parser.parse_args(argv)
    folder = ROOT if arguments.other == "plain" else Path(arguments.other).resolve()
    if not (folder / "benchmarks" / "train_step.py").is_file():
        return fail(f"--other={arguments.other} is no checkout of this repository: give its folder, or plain")
    _cpu.prepare("on")  # malloc's settings hold for both processes
    ours = Side(ROOT, "cpu", arguments.rows)
    other = Side(folder, "plain" if arguments.other == "plain" else "cpu", arguments.rows)
    ours.wait()
    other.wait()
    rows = compare(ours, other, arguments.rows.split(","), arguments.seconds)
    ours.close()
    other.close()
    finish(rows, COLUMNS, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
