"""Our step and PyTorch's, interleaved in one run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.worker import LAYOUTS, serve
from o2t_jax.commands._cpu import default_malloc

FIELDS = ("base_ch", "render_size", "latent_dim", "dt", "train_steps", "lr", "weight_decay", "clip")
COLUMNS = {
    "row": "",
    "size_px": "d",
    "base_ch": "d",
    "batch": "d",
    "ours_s": ".3f",
    "ours_spread_s": ".3f",
    **{f"{layout}_{x}": ".3f" for layout in LAYOUTS for x in ("s", "spread_s")},
    "ratio_to_pytorch": ".2f",
    "ratio_of_fastest": ".2f",
    "ours_mb": ".0f",
    **{f"{layout}_mb": ".0f" for layout in LAYOUTS},
    "loss_difference": ".1e",
}
# Relative; float32 sums in another order.
LOSS_TOLERANCE = 1e-4
# Steps of a turn, the first of which is not counted. During the others' turns a virtual machine may reclaim the memory
# that our step frees (PyTorch's keeps its memory), and getting it again takes up to two seconds. A run never pauses.
STEPS = 4


def random_params(shapes: Any) -> Any:
    """Weights of `shapes`, drawn as by Flax but none zero, so that an error anywhere reaches the loss."""
    rng = np.random.default_rng(0)

    def fill(path: Any, x: Any) -> np.ndarray:
        fan_in = np.prod(x.shape[:-1]) if len(x.shape) > 1 else 100.0
        drawn = rng.normal(size=x.shape) / np.sqrt(fan_in)
        return (drawn + (path[-1].key == "scale")).astype(np.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def compare(
    name: str, config: Any, step: Any, state: Any, params: Any, batch: Any, repeats: int, own_malloc: bool = False
) -> dict[str, Any]:
    """One row: medians and spreads of our compiled `step` and of PyTorch in both layouts, `repeats` turns each.

    PyTorch uses our program's settings for malloc, or glibc's default settings with `own_malloc`.

    `params` are those of `state`. Our memory is the compiler's figure, without arguments. PyTorch's is the peak of its
    process minus the memory before the first step (so it includes gradients and Adam's moments). Raises RuntimeError if
    the losses of the first two steps differ: two networks that do not agree are not compared.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    fields = {field: config[field] for field in FIELDS} | {"threads": cores}
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    try:
        for layout in LAYOUTS:
            pipes[layout], theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, layout, fields, params, batch), daemon=True)
            with default_malloc() if own_malloc else contextlib.nullcontext():
                process.start()
            theirs.close()
            processes.append(process)
            assert pipes[layout].recv() == "ready"
        placed = jax.device_put(batch)
        times: dict[str, list[float]] = {"ours": [], **{layout: [] for layout in LAYOUTS}}
        losses: dict[str, list[float]] = {who: [] for who in times}
        memory = {}
        for _ in range(repeats):
            for i in range(STEPS):
                begun = time.perf_counter()
                state, metrics = jax.block_until_ready(step(state, placed))
                if i > 0:
                    times["ours"].append(time.perf_counter() - begun)
                losses["ours"].append(float(jnp.asarray(metrics["loss"])))
            for layout, pipe in pipes.items():
                pipe.send(STEPS)
                seconds, their_losses, memory[layout] = pipe.recv()
                times[layout] += seconds[1:]
                losses[layout] += their_losses
    finally:
        for process in processes:
            process.terminate()
            process.join()
    # Only of the first two steps: later ones drift apart, since Adam divides by numbers that start near zero.
    ours = np.asarray(losses["ours"][:2])
    difference = float(max(np.max(np.abs(losses[layout][:2] - ours) / np.abs(ours)) for layout in LAYOUTS))
    if not difference <= LOSS_TOLERANCE:
        raise RuntimeError(f"{name}: PyTorch's loss differs from ours by {difference:.1e} of it")
    kept = {who: np.asarray(values) for who, values in times.items()}
    analysis = step.memory_analysis()
    row = {
        "row": name,
        "size_px": config.render_size,
        "base_ch": config.base_ch,
        "batch": config.batch,
        "ratio_to_pytorch": float(min(np.median(kept[layout]) for layout in LAYOUTS) / np.median(kept["ours"])),
        # Other load on the machine only adds time: the fastest steps are the least disturbed.
        "ratio_of_fastest": float(min(kept[layout].min() for layout in LAYOUTS) / kept["ours"].min()),
        "loss": losses["ours"][0],
        "ours_mb": (analysis.temp_size_in_bytes if analysis else float("nan")) / 1e6,
        "loss_difference": difference,
    }
    for who, values in kept.items():
        row |= {f"{who}_s": float(np.median(values)), f"{who}_spread_s": float(np.max(values) - np.min(values))}
    return row | {f"{layout}_mb": memory[layout] for layout in LAYOUTS}
