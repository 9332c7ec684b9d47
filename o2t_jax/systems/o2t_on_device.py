"""O2T's training samples made on the device (`render_backend=device`): which configs have them, and their wiring."""

from __future__ import annotations

import jax

from o2t_jax.config import Config
from o2t_jax.data.o2t.acceptance import AcceptanceRule
from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.on_device.block import BlockMaker
from o2t_jax.data.o2t.on_device.samples import DeviceSamples, block_size
from o2t_jax.data.o2t.on_device.scenes import SCENES
from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.data.ring import BufferConfig
from o2t_jax.errors import UsageError
from o2t_jax.physics.forces import NONE
from o2t_jax.physics.gravity import gravity_of
from o2t_jax.training.contract import DataRequest


def made_on_device(config: Config) -> bool:
    """Whether training samples never leave the device. Elsewhere `render_backend=device` casts single pictures."""
    scene = config.scene or config.default_scene
    pairs = config.sampler == "pairs" and not config.module and config.integrator == "exact"
    pairs = pairs and config.world.force == NONE.name  # the device's draws know no force yet
    return config.render_backend == "device" and pairs and scene in SCENES


def check_machine(config: Config) -> None:
    """Raises UsageError for several devices or processes, and for a buffer that is not repeatable."""
    devices = (config.parallel or jax.local_device_count()) * jax.process_count()
    if devices > 1:
        cure = "--config.parallel=1 or " if jax.process_count() == 1 else ""
        raise UsageError(
            f"render_backend=device keeps its samples on one device, but {devices} are used: "
            f"set {cure}--config.render_backend=opencv"
        )
    if config.buffer == "free":
        raise UsageError(
            "buffer=free lets workers and training not wait for each other, and render_backend=device has no workers: "
            "remove --config.buffer=free"
        )


def device_samples(
    config: Config,
    views: ShotConfig,
    rule: AcceptanceRule,
    curriculum: Curriculum,
    buffer: BufferConfig,
    request: DataRequest,
) -> DeviceSamples:
    """The training iterator of such a config."""
    maker = BlockMaker(
        scene=config.scene or config.default_scene,
        gravity=gravity_of(config.world),
        views=views,
        rule=rule,
        image_size=(config.render_size, config.render_size),
        seed=config.seed,
        candidates=config.candidates,
        size=block_size(buffer),
    )
    return DeviceSamples(maker, curriculum, buffer, progress=request.progress, position=request.position)


def note(config: Config) -> str:
    """A line for the user about where the samples of `render_backend=device` are made."""
    if made_on_device(config):
        return f"samples are drawn, cast and kept on the device; at most {config.candidates} shots for each"
    return (
        "render_backend=device casts single pictures for samples made on the host; all on the device only with "
        f"sampler=pairs, integrator=exact, no force and scene {' or '.join(SCENES)}"
    )


__all__ = ["check_machine", "device_samples", "made_on_device", "note"]
