"""Time of the selective recurrence in its two forms, and of a training step beside a loop over time in PyTorch.

taskset -c 0 python -m benchmarks.motion [--parts=scans] [--peer] [--repeats=5] [--longest=4096] [--json=FILE]

`scans`: forward and backward pass of the recurrence alone, 8 sequences (fewer where 64 MB of states would not hold
them) of 64 to 4,096 steps, 128 channels of 8 states; `ours` is the form that this backend takes.
`temp_MiB` is the temporary memory that XLA plans.

`--peer`: a training step (mean squared error, AdamW) of a stack of Mamba layers at T = 200, at the sizes of the config
`cpu` and of the document; PyTorch's recurrence is a Python loop over time, with the same weights, and its first loss
must agree with ours. Each side has as many threads as the process has cores: use `taskset -c 0`.

Sides take turns; the first call of a turn is not counted. Ratios are a side's time over ours (above 1, ours is faster):
of medians, of the fastest calls, and of processor time, which other load on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, at_least_1, check_parts, finish, run_checked, versions
from benchmarks.dynamics import interleave, rows_of, timed
from o2t_jax.errors import UsageError

COLUMNS = {
    "part": "",
    "side": "",
    "median_ms": ".2f",
    "spread_ms": ".2f",
    "ratio": ".2f",
    "ratio_of_fastest": ".2f",
    "ratio_of_cpu": ".2f",
    "temp_MiB": ".1f",
    "compile_s": ".1f",
}
PARTS = ("scans",)
STEPS = (64, 256, 1024, 4096)
INNER, STATES = 128, 8
MOST_FLOATS = 2**24  # of the states of all steps
SIZES = {
    "cpu": {"width": 64, "states": 8, "layers": 2, "shared_rates": False, "batch": 8},
    "original": {"width": 256, "states": 32, "layers": 4, "shared_rates": True, "batch": 4},
}
T = 200
CALLS = 2  # of a turn that count


def compiled(function: Callable[..., Any], *given: Any) -> tuple[Any, dict[str, float]]:
    """The compiled function, its temporary memory and the seconds that compilation took."""
    import jax

    begun = time.perf_counter()
    run = jax.jit(function).lower(*given).compile()
    taken = time.perf_counter() - begun
    memory = run.memory_analysis()
    temp = getattr(memory, "temp_size_in_bytes", 0) / 2**20
    return run, {"temp_MiB": temp, "compile_s": taken}


def measure_scans(repeats: int, longest: int) -> list[dict[str, Any]]:
    """Rows of both forms by length."""
    import jax
    import jax.numpy as jnp

    from o2t_jax.models import ops, scans

    rng, rows = np.random.default_rng(0), []
    for steps in (x for x in STEPS if x <= longest):
        batch = max(1, min(8, MOST_FLOATS // (steps * INNER * STATES)))
        x, step = rng.normal(size=(batch, steps, INNER)), rng.uniform(0.01, 0.1, (batch, steps, INNER))
        b, c = rng.normal(size=(2, batch, steps, STATES))
        rate = -np.arange(1.0, STATES + 1)[:, None] * np.ones(INNER)
        given = [jnp.asarray(v, jnp.float32) for v in (x, step, b, c, rate)]
        taken = "sequential" if ops.form() == "cpu" else "associative"
        forms = {"sequential": scans.sequential, "associative": scans.associative}
        sides, about = {}, {}
        for name in sorted(forms, key=lambda name: name != taken):
            total = lambda *v, form=forms[name]: jnp.sum(jnp.square(form(*v)))  # noqa: E731
            run, found = compiled(jax.grad(total, argnums=(0, 1, 2, 3, 4)), *given)
            side = "ours" if name == taken else name
            sides[side], about[side] = timed(lambda run=run, given=given: run(*given)), found
        rows += rows_of(f"T {steps}, B {batch}", interleave(sides, repeats, CALLS), about)
    return rows


def measure_peer(repeats: int) -> list[dict[str, Any]]:
    """Rows of a training step of ours and PyTorch's. Raises: RuntimeError where their losses differ."""
    import jax
    import jax.numpy as jnp
    import optax
    import torch  # pyright: ignore[reportMissingImports]

    from benchmarks.dynamics_cases import by_path
    from benchmarks.peers.motion_torch import TorchStep
    from o2t_jax.models.motion.ssm import MambaStack, SSMSizes

    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    rng, rows = np.random.default_rng(0), []
    for name, size in SIZES.items():
        own = {key: value for key, value in size.items() if key != "batch"}
        model = MambaStack(SSMSizes(**own, scan="auto", dropout=0.0))
        shape = (size["batch"], T, size["width"])
        batch = {key: rng.normal(size=shape).astype(np.float32) for key in ("x", "target")}
        params: Any = jax.jit(model.init)(jax.random.key(0), batch["x"])["params"]
        theirs = TorchStep(by_path(params), size["layers"], size["states"], batch)
        tx = optax.adamw(1e-3, weight_decay=0.0)

        def loss(params: Any, batch: Any, model: Any = model) -> Any:
            return jnp.mean(jnp.square(model.apply({"params": params}, batch["x"]) - batch["target"]))

        def step(state: Any, batch: Any, loss: Any = loss, tx: Any = tx) -> Any:
            value, slopes = jax.value_and_grad(loss)(state[0], batch)
            updates, moments = tx.update(slopes, state[1], state[0])
            return (optax.apply_updates(state[0], updates), moments), value

        state = (params, tx.init(params))
        run, about = compiled(step, state, batch)
        ours, other = float(run(state, batch)[1]), float(theirs.loss())
        if abs(ours - other) > 1e-4 * abs(ours):
            raise RuntimeError(f"{name}: PyTorch's loss {other} is not ours, {ours}")
        sides = {
            "ours": timed(lambda run=run, state=state, batch=batch: run(state, batch)),
            "torch loop": timed(theirs),
        }
        rows += rows_of(f"step, {name}", interleave(sides, repeats, CALLS), {"ours": about})
    return rows


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("motion", __doc__, measures=True)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peer", action="store_true", help="a training step beside PyTorch's instead")
    parser.add_argument("--repeats", type=at_least_1, default=5)
    parser.add_argument("--longest", type=int, default=max(STEPS), help="steps of the longest sequence")
    return parser.parse_args(argv)


def check(arguments: argparse.Namespace) -> None:
    """Refuses an unknown part, too few steps, and a machine without PyTorch where it is asked for."""
    check_parts(arguments.parts, PARTS)
    if arguments.longest < STEPS[0]:
        raise UsageError(f"--longest={arguments.longest} must be at least {STEPS[0]}")
    if arguments.peer and importlib.util.find_spec("torch") is None:
        raise UsageError('the other side needs torch: pip install "o2t_jax[bench]"')


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_checked(parsed(argv), check, run)


def run(arguments: argparse.Namespace) -> int:
    """The scans, or the training steps."""
    rows = measure_peer(arguments.repeats) if arguments.peer else measure_scans(arguments.repeats, arguments.longest)
    for row in rows:
        row |= {name: row.get(name, float("nan")) for name in ("temp_MiB", "compile_s")}
    finish(rows, COLUMNS, arguments.json, **(versions("torch") if arguments.peer else {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
