"""Distortion of the lens, by OpenCV's model: coefficients (k1, k2, p1, p2, k3) beside a camera matrix [3, 3]."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.render.sensor import Effect

_STOP = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-10)
FAR = 0.05  # px: where the inverse misses by more, the distortion folds the picture


def matrix_of(size: tuple[int, int], focal: float) -> Float[np.ndarray, "3 3"]:
    """Camera matrix of pictures of `size` (H, W) px that look along their middle; `focal` px."""
    height, width = size
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])


def distorted_points(
    points: Float[np.ndarray, "N 2"], matrix: Float[np.ndarray, "3 3"], coefficients: Sequence[float]
) -> Float[np.ndarray, "N 2"]:
    """Where points of the ideal picture, px, are seen through the lens."""
    ideal = (np.asarray(points, float) - matrix[:2, 2]) / (matrix[0, 0], matrix[1, 1])
    space = np.column_stack([ideal, np.ones(len(ideal))])
    return cv2.projectPoints(space, np.zeros(3), np.zeros(3), matrix, np.asarray(coefficients, float))[0][:, 0]


def ideal_points(
    points: Float[np.ndarray, "N 2"], matrix: Float[np.ndarray, "3 3"], coefficients: Sequence[float]
) -> Float[np.ndarray, "N 2"]:
    """The inverse of `distorted_points`."""
    seen = np.asarray(points, float)[:, None]
    return cv2.undistortImagePoints(seen, matrix, np.asarray(coefficients, float), None, _STOP)[:, 0]


def lens(matrix: Float[np.ndarray, "3 3"], coefficients: Sequence[float]) -> Effect:
    """Pictures of an ideal camera as the lens shows them; `cv2.undistort` with the same numbers takes it back.

    Edges that the ideal picture does not reach repeat its border. Raises: UsageError, at the first picture, for a
    distortion that folds the picture over.
    """

    @functools.lru_cache(maxsize=4)
    def maps(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
        seen = np.column_stack([x.ravel(), y.ravel()])
        ideal = ideal_points(seen, matrix, coefficients)
        if not np.abs(distorted_points(ideal, matrix, coefficients) - seen).max() < FAR:
            raise UsageError(
                f"distortion {tuple(coefficients)} folds a picture of {width} x {height} px over itself: make it weaker"
            )
        across, down = ideal.T.reshape(2, height, width).astype(np.float32)
        return across, down

    def effect(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return cv2.remap(picture, *maps(*picture.shape[:2]), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    return effect


__all__ = ["distorted_points", "ideal_points", "lens", "matrix_of"]
