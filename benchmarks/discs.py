"""Scenes of discs per second: ours, and PyMunk's.

python -m benchmarks.discs [--json=FILE] [--repeats=9] [--batch=1024] [--frames=60] [--parts=world]
python -m benchmarks.discs --peer [...]    training steps beside PyTorch's: see benchmarks/discs_peer.py

`world`: scenes of four discs of 60 px in a box of 800 x 600 px, elastic, of 60 frames of 0.1 s. `ours` draws, simulates
and checks a batch of them (`DiscWorld.draw_scene`, compiled), `motion` only simulates one; `pymunk` (needs
`pip install .[bench]`) draws and simulates scenes one by one, a step of its space a frame, in one thread.

Sides take turns of three calls, the first of which is not counted. A call is a batch of ours, or 32 scenes of PyMunk.
Times are of one scene. Ratios are a side's time over ours (above 1, ours is faster): of medians, of the fastest calls,
and of processor time, which other load on the machine disturbs least. `energy_error` is the largest relative change of
a scene's kinetic energy, which elastic collisions conserve, and `overlap_px` how deep two discs get into each other.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import discs_peer
from benchmarks.common import FlagParser, at_least_1, check_parts, finish, run_checked, versions
from benchmarks.dynamics import interleave, rows_of, timed

COLUMNS = {
    "part": "",
    "side": "",
    "median_ms": ".4f",
    "spread_ms": ".4f",
    "ratio": ".2f",
    "ratio_of_fastest": ".2f",
    "ratio_of_cpu": ".2f",
    "scenes_per_s": ".3g",
    "energy_error": ".1e",
    "overlap_px": ".1e",
}
CALLS = 2  # of a turn that count
PYMUNK_SCENES = 32  # of a call


def measure_world(repeats: int, batch: int, frames: int) -> list[dict[str, Any]]:
    """Rows of our world, and of PyMunk where it is installed."""
    import jax

    from o2t_jax.physics.discs.world import DiscWorld

    world = DiscWorld()
    keys = jax.random.split(jax.random.key(0), batch)
    draw = jax.jit(lambda keys: world.draw_scene(keys, frames))
    move = jax.jit(lambda scenes: world.simulate(scenes, frames))
    scenes, track, _ = jax.block_until_ready(draw(keys))
    jax.block_until_ready(move(scenes))
    sides: dict[str, Callable[[], Any]] = {"ours": lambda: draw(keys), "motion": lambda: move(scenes)}
    counts = {"ours": batch, "motion": batch}
    about: dict[str, Mapping[str, Any]] = {"ours": quality(np.asarray(track.position), np.asarray(track.velocity))}
    if importlib.util.find_spec("pymunk") is not None:
        from benchmarks.peers.discs_pymunk import generated

        random = np.random.default_rng(0)
        tracks = [generated(world, random, frames) for _ in range(8 * PYMUNK_SCENES)]
        about["pymunk"] = quality(*(np.stack(part) for part in zip(*tracks, strict=True)))
        sides["pymunk"] = lambda: [generated(world, random, frames) for _ in range(PYMUNK_SCENES)]
        counts["pymunk"] = PYMUNK_SCENES
    taken = interleave({name: timed(side) for name, side in sides.items()}, repeats, CALLS)
    rows = rows_of("world", {name: times / counts[name] for name, times in taken.items()}, about)
    return [row | {"scenes_per_s": 1e3 / row["median_ms"]} for row in rows]


def quality(position: np.ndarray, velocity: np.ndarray) -> dict[str, float]:
    """`energy_error` and `overlap_px` of tracks [N, T + 1, B, 2] of the default world."""
    energy = (velocity.astype(float) ** 2).sum((2, 3))
    first, second = np.triu_indices(position.shape[2], 1)
    distance = np.linalg.norm(position[:, :, first].astype(float) - position[:, :, second], axis=-1)
    error = np.abs(energy / energy[:, :1] - 1.0)
    return {"energy_error": float(error.max()), "overlap_px": float(max(0.0, 120.0 - distance.min()))}


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "world": lambda arguments: measure_world(arguments.repeats, arguments.batch, arguments.frames),
}
"""Name of a part -> its rows."""


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("discs", __doc__, measures=True)
    parser.add_argument("--repeats", type=at_least_1, default=9, help="turns of each side")
    parser.add_argument("--batch", type=at_least_1, default=1024, help="scenes of a call of ours")
    parser.add_argument("--frames", type=at_least_1, default=60)
    parser.add_argument("--parts", default=",".join(PARTS))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if "--peer" in given:
        return discs_peer.main([item for item in given if item != "--peer"])
    return run_checked(parsed(given), check, run)


def check(arguments: argparse.Namespace) -> None:
    """Refuses an unknown part."""
    check_parts(arguments.parts, PARTS)


def run(arguments: argparse.Namespace) -> int:
    """All parts."""
    rows = [row for part in arguments.parts.split(",") for row in PARTS[part](arguments)]
    there = importlib.util.find_spec("pymunk") is not None
    finish(rows, COLUMNS, arguments.json, **(versions("pymunk") if there else {"pymunk": "not installed"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
