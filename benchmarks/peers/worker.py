"""The PyTorch network in a separate process that makes steps on demand, so that its time and memory are separate."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

LAYOUTS = ("contiguous", "channels_last")


def resident_mb(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (peak) of this process, MB; without /proc the peak for both."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return float(line.split()[1]) * 1024 / 1e6


def serve(
    pipe: Connection, layout: str, fields: Mapping[str, Any], params: Any, batch: Mapping[str, np.ndarray]
) -> None:
    """Builds the network of config `fields`, then for each number received makes as many steps.

    Replies (seconds of each, loss before each, MB that the steps so far needed beyond network and batch).
    """
    import torch

    from benchmarks.peers.o2t_torch import O2TTorch, Trainer
    from benchmarks.peers.transfer import load

    torch.set_num_threads(fields["threads"])
    model = O2TTorch(fields["base_ch"], fields["render_size"], fields["latent_dim"], fields["dt"])
    load(model, params)
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(model, fields["train_steps"], fields["lr"], fields["weight_decay"], fields["clip"])
    pictures, para, n = (torch.tensor(np.asarray(batch[name])) for name in ("pictures", "para", "n"))
    before = resident_mb("VmRSS")
    pipe.send("ready")
    while True:
        seconds, losses = [], []
        for _ in range(pipe.recv()):
            begun = time.perf_counter()
            losses.append(trainer.step(pictures, para, n))
            seconds.append(time.perf_counter() - begun)
        pipe.send((seconds, losses, resident_mb("VmHWM") - before))
