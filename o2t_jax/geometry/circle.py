"""A circle through points of the plane."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def fit_circle(points: Float[np.ndarray, "N 2"]) -> tuple[Float[np.ndarray, " 2"], float]:
    """Centre and squared radius by algebraic least squares (Kasa 1976), in the points' unit and its square.

    Noise makes the circle of a short arc too small. The squared radius of points that lie on no circle may be negative.
    """
    design = np.column_stack([points, np.ones(len(points))])
    c = np.linalg.lstsq(design, np.sum(points**2, axis=1), rcond=None)[0]
    centre = c[:2] / 2
    return centre, float(c[2] + centre @ centre)


__all__ = ["fit_circle"]
