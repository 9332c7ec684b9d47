"""What a set of clips is: constants and a start drawn for each clip, the motion that follows, what there is to see.

Units: px of a picture of 64 x 64, x to the right, y up, (0, 0) at the lower left; frames of time; masses in any unit. A
set is drawn at any size, so 64 px is the width of what is seen and not of the picture.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Key

from o2t_jax.physics.primitives import Drawing, Primitives, View
from o2t_jax.types import Array, PyTree

SIDE = 64.0  # px
WHITE, GREY = (1.0,), (0.5,)
SPREAD = 2.0


class Motion(NamedTuple):
    """T frames of a clip.

    Attributes: `state` [T, D], all that the law needs, in the order of the set's `entries`; `place` [T, K, 2] px of the
    centres of the things that move; `seen` [K], False for a row that only fills the shape; `more`, arrays [T, ...] for
    the picture that follow from the state.
    """

    state: Float[Array, "frames entries"]
    place: Float[Array, "frames things 2"]
    seen: Bool[Array, " things"]
    more: PyTree = ()


class VideoSet(Protocol):
    """A set of clips. A new one is one class and one line in the registry.

    Attributes: `name`; `clips`, how many the original has; `constant`, the parameter that differs from clip to clip by
    a factor of 1/2 to 2 ("": none), and its `nominal` value; `entries`, names of the state's numbers.
    """

    @property
    def name(self) -> str: ...

    @property
    def clips(self) -> int: ...

    @property
    def constant(self) -> str: ...

    @property
    def nominal(self) -> float: ...

    @property
    def entries(self) -> tuple[str, ...]: ...

    def draw(self, key: Key[jax.Array, ""]) -> Any:
        """The constants and the start of one clip, a named tuple of arrays."""
        ...

    def move(self, params: Any, frames: int) -> Motion:
        """The motion, the start included."""
        ...

    def show(self, motion: Motion, params: Any) -> Drawing | Float[Array, "rows columns"]:
        """One frame (`motion` without its first axis): shapes, or the picture itself, 0 to 1, row 0 at the top."""
        ...


@runtime_checkable
class Acted(Protocol):
    """A set in which something is pushed and rewarded."""

    def acted(self, motion: Motion, params: Any) -> dict[str, jax.Array]:
        """`actions` [T - 1, 2], each between two frames; of being at a frame `rewards` [T]; `continues` [T], 0 where an
        episode ends, else 1."""
        ...


def varied(key: Key[jax.Array, ""], nominal: float) -> Float[jax.Array, ""]:
    """A constant of a clip: `nominal` times a factor of 1/2 to 2, log-uniform."""
    return nominal * SPREAD ** jax.random.uniform(key, minval=-1.0, maxval=1.0)


def uniform(key: Key[jax.Array, ""], low: Any, high: Any) -> jax.Array:
    """Uniform numbers, of the shape of the limits."""
    low, high = jnp.broadcast_arrays(jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32))
    return low + (high - low) * jax.random.uniform(key, low.shape)


def on_black(shapes: Primitives) -> Drawing:
    """The shapes as all of a clip of grey pictures."""
    return Drawing(shapes, View(jnp.full(2, 0.5 * SIDE), 0.5 * SIDE, jnp.zeros(1)))


__all__ = ["GREY", "SIDE", "SPREAD", "WHITE", "Acted", "Motion", "VideoSet", "on_black", "uniform", "varied"]
