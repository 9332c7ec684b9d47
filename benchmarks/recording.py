"""Seconds and memory of `experiments.recording`: `python -m benchmarks.recording [--json=FILE]`.

Draws films of 800 x 450 px with noise and compression (a throw of 40 frames, a swing of 1,800), runs the command on
each in a child process, and gives its seconds and its peak resident size. "cold" is with an empty compilation cache,
"warm" with the one that the cold run left.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FlagParser, finish, run_checked
from o2t_jax.data.recordings.motions import Motion, damped_spring, free_flight
from o2t_jax.data.recordings.rendered import Stage, make_stage
from o2t_jax.errors import UsageError
from o2t_jax.render.effects.camera import Camera
from o2t_jax.render.effects.h264 import encode

WIDTH, HEIGHT, RATE = 800, 450, 60.0
SWINGS, PERIOD, DAMPING = 20, 1.5, 0.03  # of the long film, which lasts 30 s; s, 1/s
BITS = 0.25 * WIDTH * HEIGHT * RATE  # of the usual film, as in the study of intervals
AT_ONCE = 50  # frames that are drawn at once
LIMITS = {40: 60.0, 1800: 300.0}  # s
MEMORY = 2000.0  # MB


@dataclasses.dataclass(frozen=True)
class _Frames:
    """The pictures of a stage one after the other: never held whole."""

    stage: Stage
    times: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.times), HEIGHT, WIDTH, 3

    def __iter__(self) -> Iterator[np.ndarray]:
        side = (WIDTH - HEIGHT) // 2
        camera = Camera(noise=2.0)  # blur takes eight times as long to draw, and no longer to read
        for begin in range(0, len(self.times), AT_ONCE):
            part = self.times[begin : begin + AT_ONCE]
            _, pictures = camera.film(self.stage.render, part, (0, begin))
            yield from np.pad(pictures, ((0, 0), (0, 0), (side, side), (0, 0)), mode="edge")


def swing() -> Motion:
    """A damped spring along a level line for 30 s."""
    w, duration = 2 * np.pi / PERIOD, SWINGS * PERIOD

    def place(t: np.ndarray) -> np.ndarray:
        along = 0.4 * np.exp(-0.5 * DAMPING * t) * np.cos(w * t)
        return np.stack([along, 0.02 * along], axis=1)

    return Motion(damped_spring(np.random.default_rng(0)).law, {"period": PERIOD}, duration, place)


def write_film(path: Path, frames: int) -> None:
    """A throw of up to 100 frames, or the first `frames` of a swing."""
    rng = np.random.default_rng(1)
    motion = free_flight(rng) if frames <= 100 else swing()
    stage = make_stage(motion, rng, size=HEIGHT)
    times = np.linspace(0, motion.duration, frames) if frames <= 100 else np.arange(frames) / RATE
    path.write_bytes(encode(_Frames(stage, times), times, BITS))  # type: ignore[arg-type]


def run(film: Path, out: Path, cache: Path, *flags: str) -> dict[str, Any]:
    """One run of the command in a process of its own: wall and processor seconds, peak resident size MB."""
    command = [
        sys.executable,
        "-m",
        "o2t_jax.commands.recording",
        f"--video={film}",
        f"--out={out}",
        "--scale=0,0,300,0:1",
    ]
    settings = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache)}
    begun = time.perf_counter()
    process = subprocess.Popen([*command, *flags], env=settings, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return {"seconds": seconds, "processor_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak}


def measure(counts: list[int], out: Path) -> list[dict[str, Any]]:
    """A row for each film and state of the cache; the films are removed."""
    rows = []
    with tempfile.TemporaryDirectory(dir=out, prefix="recording-") as place:
        for frames in counts:
            film, cache = Path(place) / f"{frames}.mp4", Path(place) / f"cache-{frames}"
            write_film(film, frames)
            for state in ("cold", "warm"):
                row = run(film, Path(place) / f"{frames}-{state}", cache)
                limits = {"limit_s": LIMITS.get(frames), "limit_mb": MEMORY}
                rows.append({"frames": frames, "cache": state, **row, **limits})
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = FlagParser("recording", "Limits of a recording", measures=True)
    parser.add_argument("--frames", default="40,1800", help="frames of the films, with commas between")
    parser.add_argument("--out", default=tempfile.gettempdir(), help="folder for the films, which are removed")

    def check(arguments: argparse.Namespace) -> None:
        parts = arguments.frames.split(",")
        if not all(part.isdecimal() and int(part) >= 1 for part in parts):
            raise UsageError(f"--frames={arguments.frames} must be numbers of at least 1, with commas between")
        arguments.counts = [int(part) for part in parts]
        if not Path(arguments.out).is_dir():
            raise UsageError(f"--out={arguments.out} is no folder: make it first")

    def work(arguments: argparse.Namespace) -> int:
        columns = {"frames": "d", "cache": "", "seconds": ".1f", "processor_s": ".1f", "peak_mb": ".0f"}
        finish(measure(arguments.counts, Path(arguments.out)), columns, arguments.json)
        return 0

    return run_checked(parser.parse_args(argv), check, work)


if __name__ == "__main__":
    sys.exit(main())
