"""Clips cut to windows of one length in one frame: the hips of the last given frame above the origin, ahead along +z.

Short clips end early: `mask` is 0 from there on, and the last pose is held.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from o2t_jax.physics.motion.skeleton import OURS

_LEFT, _RIGHT = OURS.index("LeftUpLeg"), OURS.index("RightUpLeg")


@dataclasses.dataclass(frozen=True)
class Windows:
    """N windows of T frames of `OURS`.

    Attributes: `positions` [N, T, J, 3] m; `mask` [N, T] 1 where there is a frame; `label`, `style`, `clip` int [N]:
    windows of one clip have the same number.
    """

    positions: Float[np.ndarray, "windows frames joints 3"]
    mask: Float[np.ndarray, "windows frames"]
    label: Int[np.ndarray, " windows"]
    style: Int[np.ndarray, " windows"]
    clip: Int[np.ndarray, " windows"]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> Windows:
        """Some of them."""
        return Windows(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))


def cut(
    clips: Iterable[Float[np.ndarray, "frames joints 3"]],
    label: Sequence[int] | np.ndarray,
    style: Sequence[int] | np.ndarray,
    given: int,
    length: int,
    stride: int,
    least: int,
) -> Windows:
    """Windows of `length` frames that begin at every `stride`-th frame of each clip and have at least `least` frames.

    A clip's first window may be shorter than `length`; the others are whole.
    """
    found, masks, rows = [], [], []
    for number, clip in enumerate(clips):
        if len(clip) < least:
            continue
        for start in range(0, max(len(clip) - length, 0) + 1, stride):
            part = np.asarray(clip[start : start + length], np.float32)
            missing = length - len(part)
            found.append(np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]))
            masks.append(np.arange(length) < length - missing)
            rows.append((label[number], style[number], number))
    about = np.array(rows, np.int32).reshape(-1, 3)
    positions = np.stack(found) if found else np.zeros((0, length, len(OURS), 3), np.float32)
    return Windows(aligned(positions, given - 1), np.array(masks, np.float32).reshape(-1, length), *about.T)


def aligned(
    positions: Float[np.ndarray, "*batch frames joints 3"], frame: int
) -> Float[np.ndarray, "*batch frames joints 3"]:
    """The motions turned about the vertical and moved along the ground: at `frame` the hips are above the origin, and
    the line from the right to the left one is across +z."""
    now = positions[..., frame, :, :]
    left = now[..., _LEFT, :] - now[..., _RIGHT, :]
    angle = np.arctan2(-left[..., 2], left[..., 0])  # heading from +z towards +x
    cos, sin = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
    moved = positions - now[..., None, :1, :] * np.array([1.0, 0.0, 1.0], positions.dtype)
    x, z = moved[..., 0], moved[..., 2]
    return np.stack([cos * x - sin * z, moved[..., 1], sin * x + cos * z], axis=-1).astype(positions.dtype)


__all__ = ["Windows", "aligned", "cut"]
