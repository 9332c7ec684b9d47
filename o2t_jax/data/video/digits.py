"""`moving_digits`: two handwritten digits that move straight and are reflected at the border.

The digits come from a file of the user's, or from scikit-learn (1,797 of 8 x 8 px, enlarged): nothing is downloaded.
Source of the set: Srivastava, Mansimov & Salakhutdinov, 2015.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from o2t_jax.errors import UsageError
from o2t_jax.parsing import UNPACKING_ERRORS, gunzipped, npy_of, unzipped
from o2t_jax.physics.video.base import SIDE, Motion, uniform, varied
from o2t_jax.types import Array

EDGE = 28  # px of a digit's picture
_COUNT = 2
_IDX_PICTURES = 2051


class DigitParams(NamedTuple):
    """`speed` px/frame; of both digits `which` [2], numbers in the file, `start` [2, 2] px of the lower left corner,
    `way` [2] rad."""

    speed: Array
    which: Array
    start: Array
    way: Array


class MovingDigits:
    """See the module's docstring. Args: `pictures` uint8 [N, 28, 28]."""

    name = "moving_digits"
    clips = 10_000
    constant = "speed"
    nominal = 3.0
    entries = ("x0", "y0", "x1", "y1", "vx0", "vy0", "vx1", "vy1")

    def __init__(self, pictures: np.ndarray) -> None:
        self.pictures = np.asarray(pictures, np.float32) / 255.0

    def draw(self, key: jax.Array) -> DigitParams:
        """See `VideoSet`."""
        of_speed, of_which, of_start, of_way = jax.random.split(key, 4)
        free = SIDE - EDGE
        return DigitParams(
            varied(of_speed, self.nominal),
            jax.random.randint(of_which, (_COUNT,), 0, len(self.pictures)),
            uniform(of_start, jnp.zeros((_COUNT, 2)), jnp.full((_COUNT, 2), free)),
            uniform(of_way, jnp.zeros(_COUNT), jnp.full(_COUNT, 2.0 * jnp.pi)),
        )

    def move(self, params: DigitParams, frames: int) -> Motion:
        """See `VideoSet`; places are those of the middles."""
        free = SIDE - EDGE
        velocity = params.speed * jnp.stack([jnp.cos(params.way), jnp.sin(params.way)], axis=-1)
        far = params.start + velocity * jnp.arange(frames, dtype=jnp.float32)[:, None, None]
        turns = jnp.mod(far, 2.0 * free)
        corner = jnp.minimum(turns, 2.0 * free - turns)
        now = jnp.where(turns < free, velocity, -velocity)
        place = corner + 0.5 * EDGE
        state = jnp.concatenate([place.reshape(frames, -1), now.reshape(frames, -1)], axis=1)
        return Motion(state, place, jnp.ones(_COUNT, bool))

    def show(self, motion: Motion, params: DigitParams) -> Array:
        """The larger of the two at each pixel, between pixels interpolated."""
        rows, columns = jnp.meshgrid(jnp.arange(SIDE) + 0.5, jnp.arange(SIDE) + 0.5, indexing="ij")

        def one(which: Array, place: Array) -> Array:
            digit = jnp.asarray(self.pictures)[which]
            left, top = place[0] - 0.5 * EDGE, SIDE - place[1] - 0.5 * EDGE
            at = [rows - top - 0.5, columns - left - 0.5]
            return map_coordinates(digit, at, order=1, mode="constant", cval=0.0)

        return jnp.max(jax.vmap(one)(params.which, motion.place), axis=0)


def load_digits(path: str = "") -> np.ndarray:
    """Pictures uint8 [N, 28, 28] of `path`: an .npz with an array of them, or MNIST's own IDX (.gz too); scikit-learn's
    where it is empty.

    Raises: UsageError for a file that is not there or holds something else, or where scikit-learn is missing.
    """
    if not path:
        return _of_scikit_learn()
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"digits={path} is no file: give an .npz of pictures [N, {EDGE}, {EDGE}], or MNIST's IDX")
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                arrays = [npy_of(unzipped(archive, name)) for name in archive.namelist() if name.endswith(".npy")]
        else:
            arrays = [_idx(file)]
    except (*UNPACKING_ERRORS, struct.error) as error:
        raise UsageError(f"digits={path} cannot be read ({error}): give an .npz, or MNIST's IDX") from None
    fitting = [array for array in arrays if array.shape[1:] == (EDGE, EDGE) and array.dtype == np.uint8 and len(array)]
    if not fitting:
        found = ", ".join(f"{array.dtype}{list(array.shape)}" for array in arrays) or "nothing"
        raise UsageError(f"digits={path} holds {found}: it needs pictures, uint8[N, {EDGE}, {EDGE}]")
    return fitting[0]


def _idx(file: Path) -> np.ndarray:
    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gunzipped(data)
    magic, count, height, width = struct.unpack(">4I", data[:16])
    if magic != _IDX_PICTURES or len(data) - 16 != count * height * width:
        raise ValueError("no IDX file of pictures, or not all of it")
    return np.frombuffer(data, np.uint8, offset=16).reshape(count, height, width)


def _of_scikit_learn() -> np.ndarray:
    try:
        from sklearn.datasets import load_digits as load  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError(
            "moving_digits needs digits: set --config.digits=FILE (an .npz, or MNIST's IDX), or install the extra bench"
        ) from None
    small = (load()["images"] * (255.0 / 16.0)).astype(np.float32)  # pyright: ignore[reportArgumentType, reportCallIssue]
    inner = EDGE - 8
    enlarged = [cv2.resize(picture, (inner, inner), interpolation=cv2.INTER_CUBIC) for picture in small]
    return np.pad(np.clip(enlarged, 0, 255).round().astype(np.uint8), ((0, 0), (4, 4), (4, 4)))


__all__ = ["EDGE", "DigitParams", "MovingDigits", "load_digits"]
