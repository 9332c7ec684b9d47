"""A PyTorch peer of `benchmarks.dynamics`, `discs_peer` or `video` in a process of its own, making steps on demand."""

from __future__ import annotations

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

VECTOR_PEERS = ("torchdiffeq", "loop", "compiled")
PICTURE_PEERS = ("contiguous", "channels_last")
DISC_PEERS = ("discs_eager", "discs_compiled")
VIDEO_PEERS = ("video_contiguous", "video_channels_last")


def make_trainer(name: str, fields: Mapping[str, Any], params: Mapping[str, np.ndarray], batch: Any) -> Any:
    """The peer of that name with our parameters; it has `network`, `matched()` and `step()`."""
    if name in VECTOR_PEERS:
        from benchmarks.peers.vectors_torch import VectorTrainer

        return VectorTrainer(name, fields, params, batch)
    if name in DISC_PEERS:
        from benchmarks.peers.discs_torch import DiscTrainer

        return DiscTrainer(name, fields, params, batch)
    if name in VIDEO_PEERS:
        from benchmarks.peers.video_torch import VideoTrainer

        return VideoTrainer(name, fields, params, batch)
    from benchmarks.peers.pictures_torch import PictureTrainer

    return PictureTrainer(name, fields, params, batch)


def serve(pipe: Connection, name: str, fields: Mapping[str, Any], params: Any, batch: Any) -> None:
    """Sends (loss, gradients by path, numbers of the network) at `params`; then, for each number received, steps.

    Its reply to a number: (seconds by the clock, seconds of processor time) of each step.
    """
    import torch

    torch.set_num_threads(fields["threads"])
    from benchmarks.peers.weights import gradients

    begun = time.perf_counter()
    trainer = make_trainer(name, fields, params, batch)
    loss = trainer.matched()
    size = sum(x.numel() for x in trainer.network.parameters())
    pipe.send((loss, gradients(trainer.network), size, time.perf_counter() - begun))
    while True:
        taken = []
        for _ in range(pipe.recv()):
            clock, cpu = time.perf_counter(), time.process_time()
            trainer.step()
            taken.append((time.perf_counter() - clock, time.process_time() - cpu))
        pipe.send(taken)
