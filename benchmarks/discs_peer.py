"""Time of training steps of discs: models `classic` and `modern`, ours and PyTorch's in one run.

taskset -c 0 python -m benchmarks.discs_peer [--parts=classic,modern] [--seconds=30] [--json=FILE]

`classic`: forward, mean squared error of the next velocity, backward and RMSprop 3e-4 on 50 windows of four discs;
ours makes 50 steps of as many batches a dispatch (`lax.scan`), PyTorch one. `modern`: the same on 2,048 windows with
AdamW 1e-3 (decay 1e-4), gradients clipped at norm 1, one step a dispatch. Discs lie anywhere in the document's room
without overlap, so that as many pairs matter as there. Inputs of the network are made in the step; batches are in
memory before it, on all sides.

Sides: `ours`; `ours, all pairs` also encodes pairs that do not matter, as PyTorch's do; `discs_eager` and
`discs_compiled` (torch.compile) in processes of their own that get our weights, and whose loss and gradient must agree
with ours. They take turns of about a second until --seconds are over for a part; times are means of as many steps as
we make in a dispatch. Ratios are a side's time over ours (above 1, ours is faster): of medians, of the fastest, and of
processor time, which other load on the machine disturbs least; with `taskset -c 0` each side has one core.

The last columns are the time, by the clock and of the processor, of the document's 60 million windows with `classic`
and 200 million with `modern`, without making the data.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, above_zero, check_parts, finish, run_checked
from benchmarks.dynamics import COLUMNS as SHARED
from benchmarks.dynamics import Turn, peers, rows_of
from benchmarks.peers.dynamics_worker import DISC_PEERS
from o2t_jax.errors import UsageError

PARTS: dict[str, dict[str, Any]] = {
    "classic": {"batch": 50, "dispatch": 50, "windows": 60e6, "lr": 3e-4, "decay": 0.0, "clip": 0.0},
    "modern": {"batch": 2048, "dispatch": 1, "windows": 200e6, "lr": 1e-3, "decay": 1e-4, "clip": 1.0},
}
ROOM, SPEED, RADIUS, DISCS, DT, REACH = (800.0, 600.0), 60.0, 60.0, 4, 0.1, 3.5
COLUMNS = {
    **{name: form for name, form in SHARED.items() if name != "steps_per_s"},
    "cpu_ms": ".3f",
    "recipe_hours": ".2f",
    "recipe_cpu_hours": ".2f",
}


def windows(count: int, seed: int) -> dict[str, np.ndarray]:
    """`count` windows: `position` and `velocity` [count, 2, B, 2], `mass` [count, B], `target` [count, B, 2].

    Discs move straight in both frames; the target is any velocity.
    """
    rng = np.random.default_rng(seed)
    low, high = (RADIUS, RADIUS), tuple(x - RADIUS for x in ROOM)
    place = np.zeros((count, DISCS, 2))
    left = np.arange(count)
    while left.size:
        place[left] = rng.uniform(low, high, (left.size, DISCS, 2))
        apart = np.linalg.norm(place[left, :, None] - place[left, None], axis=-1) + 1e9 * np.eye(DISCS)
        left = left[apart.min((1, 2)) < 2 * RADIUS]
    velocity, target = rng.uniform(-SPEED / 2, SPEED / 2, (2, count, DISCS, 2))
    found = {
        "position": np.stack([place - DT * velocity, place], axis=1),
        "velocity": np.stack([velocity, velocity], axis=1),
        "mass": np.ones((count, DISCS)),
        "target": target,
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


class DiscCase:
    """A part's training step. Attributes: `params`, by path; `batch` and `fields` for the peers; `size` in numbers."""

    def __init__(self, part: str, threads: int, batch: int = 0, sizes: Mapping[str, Any] | None = None) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        from benchmarks.dynamics_cases import by_path
        from benchmarks.peers.compare import random_params

        about, sizes = PARTS[part], dict(sizes or {})
        self.part, self.count, per = part, about["dispatch"], batch or about["batch"]
        made = windows(max(self.count, 2) * per, 0)
        self.batch = {name: x.reshape(-1, per, *x.shape[1:]) for name, x in made.items()}
        world = {
            "part": part,
            "sizes": sizes,
            "size": ROOM,
            "speed": SPEED,
            "reach": REACH * RADIUS,
            "threads": threads,
        }
        self.fields = {**world, **{name: about[name] for name in ("lr", "decay", "clip")}}
        shapes = jax.eval_shape(self.model(True).init, jax.random.key(0), self.frames(self.batch, 0))["params"]
        self._start = jax.tree.map(jnp.asarray, random_params(shapes))
        self.params = by_path(self._start)
        self.size = sum(x.size for x in self.params.values())
        if part == "classic":
            self.tx = optax.rmsprop(about["lr"], decay=0.99, eps=1e-8, eps_in_sqrt=False)
        else:
            adamw = optax.adamw(about["lr"], weight_decay=about["decay"])
            self.tx = optax.chain(optax.clip_by_global_norm(about["clip"]), adamw)

    def model(self, pack: bool) -> Any:
        """Our network."""
        from o2t_jax.models.discs import MODELS

        world = {"dt": DT, "size": ROOM, "speed": SPEED, "neighbourhood": REACH}
        return MODELS.get(self.part)(**world, **self.fields["sizes"], pack=pack)

    @staticmethod
    def frames(batch: Mapping[str, Any], index: Any) -> Any:
        """Batch `index` of `batch`, or all of them with an index of `...`."""
        import jax.numpy as jnp

        from o2t_jax.models.discs import Frames
        from o2t_jax.physics.discs.scene import Walls

        position, velocity, mass = (jnp.asarray(batch[name])[index] for name in ("position", "velocity", "mass"))
        none = Walls(jnp.zeros((*mass.shape[:-1], 0, 2, 2)), jnp.zeros((*mass.shape[:-1], 0), bool))
        return Frames(position, velocity, mass, jnp.full(mass.shape, RADIUS), jnp.ones(mass.shape, bool), none)

    def loss(self, pack: bool) -> Callable[[Any, Any, Any], Any]:
        """(parameters, frames, targets) -> the mean squared error of velocities over the speed limit."""
        import jax.numpy as jnp

        model = self.model(pack)

        def loss(params: Any, frames: Any, target: Any) -> Any:
            return jnp.mean(jnp.square((model.apply({"params": params}, frames).velocity - target) / SPEED))

        return loss

    def own(self) -> tuple[float, dict[str, np.ndarray]]:
        """Loss and gradient by path at `params`, on the first batch."""
        import jax

        from benchmarks.dynamics_cases import by_path

        given = self._start, self.frames(self.batch, 0), self.batch["target"][0]
        value, slopes = jax.jit(jax.value_and_grad(self.loss(True)))(*given)
        return float(value), by_path(slopes)

    def compiled(self, pack: bool) -> tuple[Callable, Any, float]:
        """Our steps: (state, batches) -> (state, losses); state and batches; the seconds that compilation took."""
        import jax
        import optax

        loss = self.loss(pack)

        def step(state: Any, data: Any) -> tuple[Any, Any]:
            params, moments = state
            value, slopes = jax.value_and_grad(loss)(params, *data)
            updates, moments = self.tx.update(slopes, moments, params)
            return (optax.apply_updates(params, updates), moments), value

        data = jax.device_put((self.frames(self.batch, slice(self.count)), self.batch["target"][: self.count]))
        state = (self._start, self.tx.init(self._start))
        begun = time.perf_counter()
        run = jax.jit(lambda state, data: jax.lax.scan(step, state, data)).lower(state, data).compile()
        return run, (state, data), time.perf_counter() - begun

    def turn(self, pack: bool) -> tuple[Turn, float]:
        """Turns of our step, each from the same parameters on, and the seconds that its compilation took."""
        import jax

        run, (state, data), taken = self.compiled(pack)

        def turn(steps: int) -> list[tuple[float, float]]:
            rows, now = [], state
            for _ in range(-(-steps // self.count)):
                clock, cpu = time.perf_counter(), time.process_time()
                now, _ = jax.block_until_ready(run(now, data))
                spent = time.perf_counter() - clock, time.process_time() - cpu
                rows += [(spent[0] / self.count, spent[1] / self.count)] * self.count
            return rows

        return turn, taken


def take_turns(sides: Mapping[str, Turn], seconds: float, block: int) -> dict[str, np.ndarray]:
    """Side -> seconds [blocks, 2] of a step by the clock and of processor time, means of `block` steps on all sides.

    Turns take about a second, at least three each. A first one of a few steps says how many those are, and is not
    counted.
    """
    counts = {}
    for name, turn in sides.items():
        counts[name] = block * max(1, round(1.0 / block / np.median(np.asarray(turn(3))[:, 0])))
    taken: dict[str, list] = {name: [] for name in sides}
    begun, rounds = time.perf_counter(), 0
    while rounds < 3 or time.perf_counter() - begun < seconds:
        for name, turn in sides.items():
            taken[name] += turn(counts[name])
        rounds += 1
    return {name: np.asarray(rows).reshape(-1, block, 2).mean(1) for name, rows in taken.items()}


def measure(part: str, seconds: float, threads: int) -> list[dict[str, Any]]:
    """The rows of a part; without `discs_compiled` where torch.compile does not work."""
    case = DiscCase(part, threads)
    ours, dense = case.turn(True), case.turn(False)
    sides = {"ours": ours[0], "ours, all pairs": dense[0]}
    about: dict[str, Any] = {
        name: {"parameters": case.size, "start_s": spent} for name, (_, spent) in zip(sides, (ours, dense), strict=True)
    }
    own = case.own()
    with contextlib.ExitStack() as stack:
        for name in DISC_PEERS:
            try:
                turns, found = stack.enter_context(peers((name,), own, case.fields, case.params, case.batch))
            except EOFError:  # its process ended, and has said why
                print(f"{name} does not work on this machine", file=sys.stderr)
                continue
            sides |= turns
            about |= found
        taken = take_turns(sides, seconds, case.count)
    hours = PARTS[part]["windows"] / PARTS[part]["batch"] / 3.6e6  # for each ms of a step
    for name, times in taken.items():
        clock, cpu = 1e3 * np.median(times, axis=0)
        about[name] |= {"cpu_ms": float(cpu), "recipe_hours": hours * clock, "recipe_cpu_hours": hours * cpu}
    return rows_of(part, taken, about)


def measure_peer(seconds: float, parts: tuple[str, ...] = tuple(PARTS), threads: int = 0) -> dict[str, Any]:
    """Ours beside PyTorch, for about `seconds` of turns a part (and a minute or two of compilation).

    Args: `threads` of PyTorch; 0: one for each core of this process.
    Returns: `rows`, one a part and side, with keys `COLUMNS` and those of `benchmarks.dynamics.rows_of`; `ratio`, part
    -> processor time of PyTorch's eager step over ours; `steps_per_s`, part -> ours by the clock; `recipe_hours`, part
    -> ours for the document's number of windows. Raises: RuntimeError where PyTorch's network computes another thing.
    """
    threads = threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    rows = [row for part in parts for row in measure(part, seconds, threads)]
    of = {(row["part"], row["side"]): row for row in rows}
    return {
        "rows": rows,
        "ratio": {part: of[part, "discs_eager"]["ratio_of_cpu"] for part in parts},
        "steps_per_s": {part: 1e3 / of[part, "ours"]["median_ms"] for part in parts},
        "recipe_hours": {part: of[part, "ours"]["recipe_hours"] for part in parts},
        "threads": threads,
        "torch": importlib.metadata.version("torch"),
    }


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("discs_peer", __doc__, measures=True)
    parser.add_argument("--seconds", type=above_zero, default=30.0, help="of turns, for each part")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peer_threads", type=int, default=0, help="PyTorch's threads; 0: one a core")
    return parser.parse_args(argv)


def check(arguments: argparse.Namespace) -> None:
    """Refuses an unknown part, and a machine without PyTorch."""
    check_parts(arguments.parts, PARTS)
    if importlib.util.find_spec("torch") is None:
        raise UsageError('the other side needs torch: pip install "o2t_jax[bench]"')


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_checked(parsed(argv), check, run)


def run(arguments: argparse.Namespace) -> int:
    """All parts."""
    found = measure_peer(arguments.seconds, tuple(arguments.parts.split(",")), arguments.peer_threads)
    finish(found.pop("rows"), COLUMNS, arguments.json, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
