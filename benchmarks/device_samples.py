"""Training samples a second made on JAX' default device: python -m benchmarks.render --backend=device --samples=64

One call makes a block: shots drawn, nine pictures of each cast, accepted or rejected, written into a ring on the device
(`o2t_jax.data.o2t.on_device`). The mix is that of the default curriculum at 60% of a run. `samples` are accepted ones a
second; `pictures` nine for each shot cast, rejected ones included; `on_host` samples a second of one thread by
OpenCV, made for comparison in the same minutes. With --repeats=0 nothing is run, and only the last columns are there.

FLOPs and bytes a picture are XLA's, for one round of casting, judging and unpacking as compiled for this device;
`bound_h100` as in `benchmarks.raycast`, in pictures a second. `least_bytes`: each packed picture written once and read
once for its masks, five of nine read again and written as bytes, twice (a round's, the ring's).
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import jax
import numpy as np

from benchmarks.common import finish
from benchmarks.raycast import H100_BYTES, H100_FLOPS
from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.on_device.block import BlockMaker
from o2t_jax.data.o2t.on_device.cast import NUM_CAST, inputs
from o2t_jax.data.o2t.on_device.ring import empty_ring
from o2t_jax.data.o2t.on_device.scenes import SCENES
from o2t_jax.data.o2t.on_device.shots import mixes
from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.geometry.para import NUM_PICTURES
from o2t_jax.physics.gravity import gravity_of
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.raycast.raycaster import cast_packed
from o2t_jax.render.scenes import get_scene
from o2t_jax.systems import o2t, o2t_config

ROWS = [("ballistic", 64), ("room", 64), ("ballistic", 512), ("room", 512)]
COLUMNS = {
    "scene": "",
    "size_px": "d",
    "block": "d",
    "samples": ",.1f",
    "pictures": ",.0f",
    "on_host": ",.1f",
    "acceptance": ".2f",
    "invalid": ".3f",
    "compile_s": ".1f",
    "flops_per_picture": ",.0f",
    "bytes_per_picture": ",.0f",
    "least_bytes": ",.0f",
    "bound_h100": ",.0f",
}


def measure_samples(scene: str, size: int, block: int, seconds: float, repeats: int) -> dict[str, Any]:
    """One row of the table; with no repeats its costs alone."""
    config = o2t_config.default()
    config.update({"scene": scene, "render_size": size})
    views, rule, law = o2t.make_views(config), o2t.make_visibility(config), gravity_of(config.world)
    mix = Curriculum.scaled(1000, config.n_max).at(600)
    maker = BlockMaker(scene, law, views, rule, (size, size), 0, config.candidates, block)
    row = {"scene": scene, "size_px": size, "block": block, **_cost_of_a_round(maker, mixes([mix] * block))}
    if repeats:
        row |= _rates(maker, jax.device_put(mixes([mix] * block)), repeats)
        here = get_scene(scene)
        options: Any = {"image_size": (size, size), "visibility": rule, "max_attempts": config.max_attempts}
        row["on_host"] = _on_host(PairSource(SceneRenderer(here, law), here, views, 0, **options), mix, seconds)
    return dict.fromkeys(COLUMNS) | row


def _rates(maker: BlockMaker, mix: Any, repeats: int) -> dict[str, float]:
    block, ring = maker.size, empty_ring(2 * maker.size, maker.image_size)
    begun = time.perf_counter()
    make: Any = jax.jit(maker.make, donate_argnums=0).lower(ring, np.int32(0), mix).compile()
    compiled = time.perf_counter() - begun
    ring, _ = make(ring, np.int32(0), mix)
    rates, reports = [], []
    for i in range(1, repeats + 1):
        jax.block_until_ready(ring)
        begun = time.perf_counter()
        ring, report = make(ring, np.int32(i * block), mix)
        reports.append(jax.device_get(report))
        rates.append((time.perf_counter() - begun, int((reports[-1].chosen >= 0).sum()), int(reports[-1].cast)))
    cast, kept = sum(int(r.cast) for r in reports), sum(int((r.chosen >= 0).sum()) for r in reports)
    return {
        "samples": statistics.median(samples / spent for spent, samples, _ in rates),
        "pictures": statistics.median(NUM_CAST * shots / spent for spent, _, shots in rates),
        "acceptance": kept / cast,
        "invalid": 1.0 - kept / (repeats * block),
        "compile_s": compiled,
    }


def _cost_of_a_round(maker: BlockMaker, mix: Any) -> dict[str, float]:
    candidates = jax.eval_shape(maker.draw_block, np.int32(0), mix)
    lanes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((maker.lanes, *x.shape[2:]), x.dtype), candidates)
    # XLA counts a loop's body once: casting a ninth of the round's pictures.
    scenes, cameras = jax.eval_shape(
        jax.vmap(lambda c: inputs(c.start.state, c.start.colour, c.position, c.visible, c.shot)), lanes
    )
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct((maker.lanes, *x.shape[2:]), x.dtype), (scenes, cameras))
    solid = SCENES[maker.scene].solid
    cast: Any = (
        jax.jit(lambda scene, camera: cast_packed(scene, camera, *maker.image_size, solid=solid)).lower(*one).compile()
    )
    whole: Any = jax.jit(maker.cast_round).lower(lanes).compile()
    flops, moved = (
        (whole.cost_analysis()[key] + (NUM_CAST - 1) * cast.cost_analysis()[key]) / (NUM_CAST * maker.lanes)
        for key in ("flops", "bytes accessed")
    )
    pixels = maker.image_size[0] * maker.image_size[1]
    return {
        "flops_per_picture": flops,
        "bytes_per_picture": moved,
        "least_bytes": pixels * (4.0 + 4.0 + (4.0 + 3.0 + 3.0 + 3.0) * NUM_PICTURES / NUM_CAST),
        "bound_h100": min(H100_FLOPS / flops, H100_BYTES / moved),
    }


def _on_host(source: PairSource, mix: Any, seconds: float) -> float:
    source("train", 0, mix)
    count, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        count += 1
        source("train", count, mix)
    return count / spent


def run(block: int, only: str, seconds: float, repeats: int, json_path: str | None) -> None:
    """Measures all rows, or those named in `only` (SCENE-SIZE, commas between them), and prints them."""
    wanted = only.split(",") if only else [f"{name}-{size}" for name, size in ROWS]
    rows = [(name, size) for name, size in ROWS if f"{name}-{size}" in wanted]
    finish([measure_samples(*row, block, seconds, repeats) for row in rows], COLUMNS, json_path)
