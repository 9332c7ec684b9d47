"""How the plane of a motion is seen by a camera: tilted a little, and row after row."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings.law import Points

TILT = np.radians(5.0)  # standard deviation of the tilt of the plane of motion, about either axis


@dataclasses.dataclass(frozen=True)
class View:
    """How the plane of motion is seen. `middle` px (right, up), the picture's; `focal` px; `tilt` rad, the standard
    deviation of its tilt about either axis; `readout` s, that of the time by which a row of pixels is read after the
    one above it; `down`, the direction in which rows follow each other (right, up).

    A tilted plane is nearer on one side: a point q from the middle is seen at q / (1 + b . q), b = tan(tilt) / focal to
    first order. b is fitted along with every law under this prior. Without it a flight across the picture seems to
    slow down, which looks like drag. That lengths shrink by the tilt's cosine is `quantities.py`'s matter.

    A rolling shutter sees what is lower later: what falls seems faster, what rises slower, and the acceleration of a
    throw larger by (1 - readout v)^-3. The readout is fitted under its prior too; 0: all rows at once.
    """

    middle: tuple[float, float]
    focal: float
    tilt: float = TILT
    readout: float = 0.0
    down: tuple[float, float] = (0.0, -1.0)

    @property
    def size(self) -> int:
        """How many values are fitted for it."""
        return 3 if self.readout else 2

    def late(self, points: Points) -> Float[np.ndarray, " T"]:
        """s by which points are seen after the picture's middle, for a readout of one standard deviation."""
        return self.readout * (points - np.array(self.middle)) @ np.array(self.down)

    def seen(self, points: np.ndarray, tilts: np.ndarray) -> np.ndarray:
        """Points [B, T, 2] of the plane in the picture, for `tilts` [B, 2] in standard deviations.

        Of several places [B, T, 4] each is seen so; what is left over (an angle) is seen as it is.
        """
        count = points.shape[-1]
        if count != 2:
            places = [self.seen(points[..., i : i + 2], tilts) for i in range(0, count - 1, 2)]
            return np.concatenate([*places, points[..., count - count % 2 :]], axis=-1)
        away = points - np.array(self.middle)
        b = tilts * (np.tan(self.tilt) / self.focal)
        near = 1.0 + np.einsum("btk,bk->bt", away, b)
        return np.array(self.middle) + away / np.maximum(near, 0.2)[..., None]


__all__ = ["TILT", "View"]
