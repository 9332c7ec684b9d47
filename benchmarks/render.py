"""Pictures per second of the project's own renderer: python -m benchmarks.render [--json=FILE] [--seconds=2]

One call makes 9 pictures, as for a sample: 3 cameras (two eyes and the target's) at 3 times each, of a new scene, with
initial conditions and simulation (g = 9.5 + 8 / (z + 10), with bounces) included. `fresh` gives each of the 9 pictures
a camera of its own, `fixed` gives all of them the same one.

A rate is pictures per second of processor time on one core. Other programs do not affect it unless they compete for the
caches; `per_wall_s` is the same in wall time. Median and spread (largest minus smallest) of the repeats. The last
columns are the gain in wall time from two threads and from two processes.

`two_workers` (by size): training samples of `ballistic` made by render_workers=2, each with its process, over those of
one worker, a thread; in wall time, nothing else running. It needs two idle cores.

--backend=device times the ray-caster instead: see `benchmarks.raycast`; with --samples=N whole training samples that
are made on the device, N a block: see `benchmarks.device_samples`.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

# Only one core is measured: numpy's BLAS must not use a second one.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402

from benchmarks.common import FlagParser, above_zero, at_least_1, finish  # noqa: E402
from o2t_jax.physics.gravity import law_for  # noqa: E402
from o2t_jax.render.opencv.renderer import SceneRenderer  # noqa: E402
from o2t_jax.render.scenes import get_scene  # noqa: E402

PICTURES = 9
CAMERAS = {"sample": 3, "fresh": 9, "fixed": 1}
ROWS = [
    *[("room", size, "sample") for size in (64, 128, 256, 512, 1024)],
    ("room", 512, "fresh"),
    ("room", 512, "fixed"),
    *[("ballistic", size, "sample") for size in (64, 128, 512)],
]
COLUMNS = {
    "scene": "",
    "size_px": "d",
    "cameras": "",
    "per_second_per_core": ",.0f",
    "spread": ",.0f",
    "per_wall_s": ",.0f",
    "two_threads": ".2f",
    "two_processes": ".2f",
}


def make_call(scene: str, cameras: str, seed: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Arguments of `SceneRenderer.render`, except the size: PICTURES pictures of one scene."""
    rng, world = np.random.default_rng(seed), get_scene(scene)
    eye, azimuth, elevation = world.view_prior(rng, None)
    count = CAMERAS[cameras]
    places = eye + rng.uniform(-0.5, 0.5, (count, 3)) * (1.0, 1.0, 0.2)
    angles = np.array([azimuth, elevation]) + rng.uniform(-5.0, 5.0, (count, 2))
    each = PICTURES // count
    times = rng.uniform(0.0, 0.8 if scene == "ballistic" else 1.5, PICTURES)
    return seed, times, np.repeat(angles, each, axis=0), np.repeat(places, each, axis=0)


def render_calls(scene: str, size: int, cameras: str, first: int, count: int) -> tuple[float, float]:
    """Renders `count` calls; seconds of this thread's processor time and of wall time."""
    renderer = SceneRenderer(get_scene(scene), law_for(9.5, 8.0))
    calls = [make_call(scene, cameras, seed) for seed in range(first, first + count)]
    processor, clock = time.thread_time(), time.perf_counter()
    for call in calls:
        renderer.render(*call, (size, size))
    return time.thread_time() - processor, time.perf_counter() - clock


def speed_up(pool: Executor, scene: str, size: int, cameras: str, count: int, repeats: int) -> float:
    """Speed of two workers relative to one, in wall time; median."""
    gains = []
    for repeat in range(repeats):
        clock = time.perf_counter()
        pool.submit(render_calls, scene, size, cameras, repeat * count, count).result()
        alone = time.perf_counter() - clock
        clock = time.perf_counter()
        jobs = [pool.submit(render_calls, scene, size, cameras, repeat * count, count) for _ in range(2)]
        for job in jobs:
            job.result()
        gains.append(2.0 * alone / (time.perf_counter() - clock))
    return statistics.median(gains)


def measure_renderer(
    row: tuple[str, int, str], seconds: float, repeats: int, pools: dict[str, Executor]
) -> dict[str, Any]:
    """One row of the table."""
    scene, size, cameras = row
    render_calls(scene, size, cameras, 0, 4)  # warms up
    used, _ = render_calls(scene, size, cameras, 0, 4)
    count = max(2, round(4 * seconds / repeats / max(used, 1e-6)))
    runs = [render_calls(scene, size, cameras, 1000 * repeat, count) for repeat in range(repeats)]
    rates = [PICTURES * count / processor for processor, _ in runs]
    result = {
        "scene": scene,
        "size_px": size,
        "cameras": cameras,
        "per_second_per_core": statistics.median(rates),
        "spread": max(rates) - min(rates),
        "per_wall_s": statistics.median(PICTURES * count / clock for _, clock in runs),
    }
    for name, pool in pools.items():
        result[name] = speed_up(pool, scene, size, cameras, count, repeats)
    return result


def two_workers(size: int, seconds: float, repeats: int) -> float:
    """Training samples a second of wall time by two workers over one; median of the repeats, which take turns."""
    from o2t_jax.commands._config import load_config
    from o2t_jax.data.children import InChildren
    from o2t_jax.data.o2t.sample_pipeline import TrainingSamples
    from o2t_jax.data.workers import Workers
    from o2t_jax.systems.base import build_system
    from o2t_jax.systems.o2t import O2TSystem

    _, config = load_config("cpu")
    config.render_size = size
    system = build_system(config)
    assert isinstance(system, O2TSystem)
    samples = TrainingSamples(system.source, system.curriculum)
    children = InChildren(samples, patience=0.0)

    def rate(workers: Workers, warm: int) -> float:
        for _ in range(warm):
            next(workers)
        count, clock = 0, time.perf_counter()
        while (spent := time.perf_counter() - clock) < seconds:
            next(workers)
            count += 1
        return count / spent

    gains = []
    both = Workers(
        lambda i: samples(i, 0),
        first=0,
        threads=2,
        ahead=8,
        name="two",
        make_some=lambda indices: children([(i, 0) for i in indices]),
        chunk=children.chunk,
    )
    alone = Workers(lambda i: samples(i, 0), first=0, threads=1, ahead=4, name="one")
    both.start()
    while not children.all_ready(2):
        next(both)
    alone.start()
    for _ in range(repeats):  # who is not read makes `ahead` samples and waits
        gains.append(rate(both, 32) / rate(alone, 4))
    both.close()
    alone.close()
    children.close()
    return statistics.median(gains)


def _ready() -> bool:
    return True


def main(argv: list[str] | None = None) -> None:
    parser = FlagParser("render", "Times the renderers.")
    parser.add_json()
    parser.add_argument("--seconds", type=above_zero, default=2.0, help="processor time for each row")
    parser.add_argument("--repeats", type=at_least_1, default=5)
    parser.add_argument("--backend", choices=("opencv", "device"), default="opencv")
    parser.add_argument("--batch", type=at_least_1, default=9, help="pictures per call, for --backend=device")
    parser.add_argument("--samples", type=int, default=0, help="whole samples instead, this many a block (device)")
    parser.add_argument("--rows", default="", help="with --samples: some rows only, such as room-512,ballistic-64")
    args = parser.parse_args(argv)
    if args.backend == "device":
        from benchmarks import device_samples, raycast

        if args.samples:
            device_samples.run(args.samples, args.rows, args.seconds, args.repeats, args.json)
        else:
            raycast.run(args.batch, args.repeats, args.json)
        return
    with (
        ThreadPoolExecutor(2) as threads,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes,
    ):
        for job in [processes.submit(_ready) for _ in range(8)]:
            job.result()
        pools: dict[str, Executor] = {"two_threads": threads, "two_processes": processes}
        rows = []
        for row in ROWS:
            # Workers' gains only at the two sizes that training uses.
            paired = pools if row[1] in (64, 512) and row[2] == "sample" else {}
            rows.append(dict.fromkeys(COLUMNS) | measure_renderer(row, args.seconds, args.repeats, paired))
    workers = {str(size): two_workers(size, args.seconds, args.repeats) for size in (64, 512)}
    print("two workers over one: " + ", ".join(f"{gain:.2f} at {size} px" for size, gain in workers.items()))
    figure = {(r["scene"], r["size_px"], r["cameras"]): r["per_second_per_core"] for r in rows}
    finish(
        rows,
        COLUMNS,
        args.json,
        room_512_pictures_per_second_per_core=figure["room", 512, "sample"],
        room_64_pictures_per_second_per_core=figure["room", 64, "sample"],
        two_workers=workers,
    )


if __name__ == "__main__":
    main()
