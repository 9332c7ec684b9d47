"""How a gait is done: what varies from clip to clip. Styles scale it, as recorded actors' manners do."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

STYLES = ("normal", "lively", "tired")
CONSTANTS = ("onset", "tempo", "extent", "turn", "side")
_TEMPO, _EXTENT, _ARMS, _SLOUCH = (1.0, 1.12, 0.86), (1.0, 1.15, 0.85), (1.0, 1.3, 0.6), (0.04, 0.0, 0.25)


class Manner(NamedTuple):
    """One clip's: all [].

    `onset` s, when an event begins; `tempo`, cycles per s of what repeats and the relative speed of an event; `extent`,
    the size of what is done, about 1; `turn` rad/s of the heading; `side`, 0 for left and 1 for right; `phase`, where
    in its cycle the clip begins; `arms`, how much they swing; `slouch` rad.
    """

    onset: Float[jax.Array, ""]
    tempo: Float[jax.Array, ""]
    extent: Float[jax.Array, ""]
    turn: Float[jax.Array, ""]
    side: Float[jax.Array, ""]
    phase: Float[jax.Array, ""]
    arms: Float[jax.Array, ""]
    slouch: Float[jax.Array, ""]

    @property
    def constants(self) -> Float[jax.Array, " constants"]:
        """Those that `CONSTANTS` names."""
        return jnp.stack([getattr(self, name) for name in CONSTANTS])


def draw(key: jax.Array, style: jax.Array, seconds: float) -> Manner:
    """The manner of a clip of that length, of style number `style`."""
    dice = jax.random.uniform(key, (8,))
    late = jnp.minimum(1.5, 0.5 * seconds)
    return Manner(
        onset=0.2 * late + 0.8 * late * dice[0],
        tempo=jnp.asarray(_TEMPO)[style] * (0.92 + 0.16 * dice[1]),
        extent=jnp.asarray(_EXTENT)[style] * (0.85 + 0.3 * dice[2]),
        turn=2.0 * dice[3] - 1.0,  # a share: each class scales it
        side=jnp.round(dice[4]),
        phase=dice[5],
        arms=jnp.asarray(_ARMS)[style] * (0.8 + 0.4 * dice[6]),
        slouch=jnp.asarray(_SLOUCH)[style] + 0.04 * dice[7],
    )


__all__ = ["CONSTANTS", "STYLES", "Manner", "draw"]
