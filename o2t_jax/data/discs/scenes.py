"""Scenes of discs, made on the device: a pure function of (seed, split, index). `experiments.generate` stores them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.records import named_leaves
from o2t_jax.data.simulated import in_blocks, sequence_key, split_number
from o2t_jax.errors import UsageError
from o2t_jax.physics.discs.world import DiscWorld

STORED = {"train": 8400, "validation": 1800, "test": 1800}  # 12,000 scenes, split as in the document
_BLOCK = 256  # scenes that one call of the compiled program makes


@dataclasses.dataclass(frozen=True)
class DiscScenes:
    """Scenes of `frames` recorded frames each, as samples to store: see `types.SampleSource`.

    A sample has `position` and `velocity` [T, B, 2], `hits` uint8 [T - 1, B, B + 1] (see `Track`), `mass` and `radius`
    [B], `present` [B], `walls/ends` [S, 2, 2], `walls/present` [S], and `redraws` [], scenes that were drawn before
    this one and not used, as too much happened in a frame.
    Raises: UsageError where there are fewer than 3 frames.
    """

    world: DiscWorld
    frames: int
    seed: int

    def __post_init__(self) -> None:
        if self.frames < 3:
            raise UsageError(f"frames={self.frames}: a window has 3 frames: set --config.frames to 3 or more")

    @property
    def name(self) -> str:
        """The folder of stored sets."""
        return "discs"

    @property
    def splits(self) -> Mapping[str, int]:
        """Streams of their own (`sequence_key`): no scene is in two of them."""
        return STORED

    @property
    def description(self) -> dict[str, Any]:
        """The world's fields and the number of frames."""
        fields = dataclasses.asdict(self.world)
        listed = {name: list(x) if isinstance(x, tuple) else x for name, x in fields.items()}
        return {"world": listed, "frames": self.frames}

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """See `types.SampleSource`."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        make = functools.partial(_made, self.world, self.frames)
        made = jax.eval_shape(make, 0, 0, jax.ShapeDtypeStruct((1,), jnp.uint32))
        return {name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in made.items()}

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """Scenes `indices` int [N] of a split: arrays [N, ...] as in `spec`, on the host.

        The bits of a scene do not depend on the others asked for (`in_blocks`).
        Raises: UsageError for an unknown split.
        """
        number = split_number(split)
        make = functools.partial(_many, self.world, self.frames, self.seed, number)
        return in_blocks(make, np.asarray(indices, np.uint32), _BLOCK)


def _made(world: DiscWorld, frames: int, seed: Any, split: Any, indices: Any) -> dict[str, Any]:
    keys = jax.vmap(sequence_key, (None, None, 0))(seed, split, indices)
    scene, track, redraws = world.draw_scene(keys, frames - 1)
    return {
        "position": track.position,
        "velocity": track.velocity,
        "hits": track.hits.astype(jnp.uint8),
        **named_leaves({"mass": scene.mass, "radius": scene.radius, "present": scene.present}),
        **named_leaves({"walls": scene.walls}),
        "redraws": jnp.asarray(redraws, jnp.int32),
    }


_many = jax.jit(_made, static_argnums=(0, 1))  # compiled once for equal worlds


__all__ = ["STORED", "DiscScenes"]
