"""Pictures per second of the ray-caster on JAX' default device: python -m benchmarks.render --backend=device

One call makes a batch of pictures, each of a scene and a camera of its own, and leaves them on the device. Scenes are
drawn and put there beforehand. FLOPs and bytes are those of XLA's cost analysis of the program compiled for this
device; another device's compiler fuses differently, so its bytes differ. `bound_h100` is the smaller of the rates at
which an H100 could do this arithmetic (60 TFLOP/s of float32) and move these bytes (3.35 TB/s). It is a prediction, not
a measurement.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import jax
import numpy as np

from benchmarks.common import finish
from o2t_jax.render.raycast.raycaster import cast_pictures
from o2t_jax.render.raycast.renderer import picture_inputs, stack_inputs
from o2t_jax.render.scenes import get_scene

H100_FLOPS, H100_BYTES = 60e12, 3.35e12
ROWS = [("room", 64), ("room", 512), ("ballistic", 64), ("ballistic", 512)]
COLUMNS = {
    "scene": "",
    "size_px": "d",
    "batch": "d",
    "per_second": ",.0f",
    "compile_s": ".1f",
    "flops_per_picture": ",.0f",
    "bytes_per_picture": ",.0f",
    "memory_per_picture": ",.0f",
    "bound_h100": ",.0f",
}


def measure_caster(name: str, size: int, batch: int, repeats: int) -> dict[str, Any]:
    """One row of the table."""
    scene, shots = get_scene(name), []
    for seed in range(batch):
        rng = np.random.default_rng(seed)
        setup = scene.sample(rng)
        position, *angles = scene.view_prior(rng, None)
        seen = np.ones(scene.num_balls, bool)
        shots.append(picture_inputs(setup, setup.position, seen, position, np.array(angles)))
    inputs = jax.device_put(stack_inputs(shots))
    begun = time.perf_counter()
    program: Any = cast_pictures.lower(*inputs, size, size).compile()
    compiled = time.perf_counter() - begun
    cost, memory = program.cost_analysis(), program.memory_analysis()
    program(*inputs).block_until_ready()
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        program(*inputs).block_until_ready()
        rates.append(batch / (time.perf_counter() - begun))
    flops, moved = cost["flops"] / batch, cost["bytes accessed"] / batch
    return {
        "scene": name,
        "size_px": size,
        "batch": batch,
        "per_second": statistics.median(rates),
        "compile_s": compiled,
        "flops_per_picture": flops,
        "bytes_per_picture": moved,
        "memory_per_picture": memory.temp_size_in_bytes / batch,
        "bound_h100": min(H100_FLOPS / flops, H100_BYTES / moved),
    }


def run(batch: int, repeats: int, json_path: str | None) -> None:
    """Measures all rows and prints them."""
    finish([measure_caster(name, size, batch, repeats) for name, size in ROWS], COLUMNS, json_path)
