"""What all models of discs have in common: their fields, and a step from the velocity that a network gives."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.config import unknown_choice
from o2t_jax.models.discs import Frames, Step
from o2t_jax.models.discs.inputs import Seen, cleaned, see
from o2t_jax.models.discs.packing import masked
from o2t_jax.types import Array

POSITIONS = ("new", "old", "mean")


class DiscModel(nn.Module):
    """A network that gives the velocity of each disc in the next frame. Subclasses implement `velocity`.

    Attributes:
        dt: s between frames; size: width and height of the room; speed: the speed limit.
        relative: inputs are relative to the focus, so that the model is translation invariant (with `walls`, which
            move too); walls: walls are seen as objects. See `inputs.see`.
        neighbourhood: context farther than so many radii of the disc does not matter; 0: no limit.
        position: which velocity moves the disc during the step: `new` (as in the document), `old`, or their mean.
        dtype: of computation, e.g. `jnp.bfloat16`; None: float32. Parameters are always float32.
        pack: networks of pairs work on those that matter only. The same results; see `packing.masked`. Not for batches
            that are spread over devices.
    Raises: UsageError for an unknown `position`.
    """

    dt: float
    size: tuple[float, float]
    speed: float
    relative: bool = False
    walls: bool = False
    neighbourhood: float = 3.5
    position: str = "new"
    dtype: Any = None
    pack: bool = True

    def velocity(self, seen: Seen, last: Float[Array, "scenes discs 2"], train: bool) -> Float[Array, "scenes discs 2"]:
        """The next velocity over `speed`, given the last one over `speed`; `train`: with dropout."""
        raise NotImplementedError

    def __call__(self, frames: Frames, *, train: bool = False) -> Step:
        """The step to the next frame. Static discs stay as they are; rows that are not present are 0."""
        if self.position not in POSITIONS:
            raise unknown_choice("position", self.position, POSITIONS)
        clean = cleaned(frames)
        seen = see(
            clean,
            self.size,
            self.speed,
            neighbourhood=self.neighbourhood,
            relative=self.relative,
            walls=self.walls,
        )
        place, old = clean.position[:, 1], clean.velocity[:, 1]
        moves = (frames.present & jnp.isfinite(frames.mass))[..., None]
        new = jnp.where(moves, self.speed * self.velocity(seen, old / self.speed, train), old)
        mover = {"new": new, "old": old, "mean": 0.5 * (old + new)}[self.position]
        return Step(jnp.where(moves, place + self.dt * mover, place), new)

    def sum_of(
        self, encoder: nn.Module, x: Float[Array, "scenes discs context inputs"], seen: Seen, **options: Any
    ) -> Float[Array, "scenes discs width"]:
        """The sum over the context that matters of `encoder(x, **options)`."""
        return jnp.sum(masked(encoder, x, seen.mask, self.pack and self.neighbourhood > 0, **options), axis=2)


__all__ = ["POSITIONS", "DiscModel"]
