"""Guesses of how a motion goes on that learn nothing: from its first frames, or from training clips that look like it.

All motions are in the frame of their own last given frame (hips over the origin, looking along +z).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int

Clips = Float[np.ndarray, "clips frames joints 3"]
_SPEED_FRAMES = 3  # over which velocities are taken
FROM_FRAMES = ("mean pose", "hold last", "root velocity kept", "constant velocity")
FROM_CLIPS = (
    "mean clip of class",
    "mean clip of class and style",
    "nearest clip",
    "nearest of class",
    "mean of 5 nearest",
)
ROWS = (*FROM_FRAMES, *FROM_CLIPS)
NEIGHBOURS = 5


@dataclasses.dataclass(frozen=True)
class Known:
    """Training windows that rows look into: `clips` [N, T, J, 3], their `label`, `style` and `clip` int [N]."""

    clips: Clips
    label: Int[np.ndarray, " clips"]
    style: Int[np.ndarray, " clips"]
    clip: Int[np.ndarray, " clips"]


def from_frames(given: Clips, steps: int, mean_pose: Float[np.ndarray, "joints 3"]) -> dict[str, Clips]:
    """The rows of `FROM_FRAMES` for `steps` frames after `given` [N, G, J, 3].

    Args: `mean_pose`, places from the hips in training clips (the hips' own is its height).
    """
    last = given[:, -1:]
    ahead = np.arange(1, steps + 1, dtype=given.dtype)[:, None, None]
    span = min(_SPEED_FRAMES, given.shape[1] - 1)
    velocity = (last - given[:, -1 - span : given.shape[1] - span]) / span
    along = velocity[:, :, :1] * np.array([1.0, 0.0, 1.0], given.dtype)
    return {
        "mean pose": np.broadcast_to(mean_pose, (len(given), steps, *mean_pose.shape)),
        "hold last": np.broadcast_to(last, (len(given), steps, *last.shape[2:])),
        "root velocity kept": last + ahead * along,
        "constant velocity": last + ahead * velocity,
    }


def mean_pose_of(clips: Clips, frame: int) -> Float[np.ndarray, "joints 3"]:
    """The mean pose at a frame in which all clips are aligned."""
    return np.mean(clips[:, frame], axis=0)


def from_clips(
    given: Clips, label: Int[np.ndarray, " clips"], style: Int[np.ndarray, " clips"], known: Known
) -> dict[str, Clips]:
    """The rows of `FROM_CLIPS`."""
    after = known.clips[:, given.shape[1] :]
    anywhere = nearest(given, np.zeros_like(label), dataclasses.replace(known, label=np.zeros_like(known.label)), 1)
    found = nearest(given, label, known, NEIGHBOURS)
    return {
        "mean clip of class": mean_of_cell(label, None, known)[:, given.shape[1] :],
        "mean clip of class and style": mean_of_cell(label, style, known)[:, given.shape[1] :],
        "nearest clip": after[anywhere[:, 0]],
        "nearest of class": after[found[:, 0]],
        "mean of 5 nearest": np.mean(after[found], axis=1),
    }


def mean_of_cell(
    label: Int[np.ndarray, " clips"],
    style: Int[np.ndarray, " clips"] | None,
    known: Known,
    own: Int[np.ndarray, " clips"] | None = None,
) -> Clips:
    """The mean [N, T, J, 3] of all windows of the class, and of the style unless it is None, without those of clip
    `own`. Where there is none left, the mean of what is next wider: the class, all."""
    everywhere, of = np.mean(known.clips, axis=0), {}
    found = np.empty((len(label), *everywhere.shape), everywhere.dtype)
    for n in range(len(label)):
        cell = (label[n], None if style is None else style[n], None if own is None else own[n])
        if cell not in of:
            left = np.ones(len(known.clip), bool) if own is None else known.clip != own[n]
            of_class = left & (known.label == label[n])
            narrow = of_class if style is None else of_class & (known.style == style[n])
            chosen = next((x for x in (narrow, of_class) if np.any(x)), None)
            of[cell] = everywhere if chosen is None else np.mean(known.clips[chosen], axis=0)
        found[n] = of[cell]
    return found


def nearest(
    given: Clips,
    label: Int[np.ndarray, " clips"],
    known: Known,
    count: int,
    own: Int[np.ndarray, " clips"] | None = None,
) -> Int[np.ndarray, "clips count"]:
    """Numbers of the `count` windows of other clips of the same class whose first frames are nearest, best first.

    The distance is that of all joints in all given frames. Each clip counts once, by its nearest window. `own`: the
    clip's own number, which is never taken. Where a class has fewer clips, the last one is repeated; a class that
    `known` lacks takes from all.
    """
    found = np.zeros((len(given), count), np.int64)
    frames = given.shape[1]
    for i in np.unique(label):
        rows = np.flatnonzero(label == i)
        of_class = np.flatnonzero(known.label == i) if np.any(known.label == i) else np.arange(len(known.label))
        of_class = of_class[np.argsort(known.clip[of_class], kind="stable")]
        clips, first = np.unique(known.clip[of_class], return_index=True)
        theirs = known.clips[of_class, :frames].reshape(len(of_class), -1)
        ours = given[rows].reshape(len(rows), -1)
        far = np.sum(ours**2, 1)[:, None] - 2.0 * ours @ theirs.T + np.sum(theirs**2, 1)
        best = np.minimum.reduceat(far, first, axis=1)
        if own is not None and len(clips) > 1:
            best[own[rows][:, None] == clips] = np.inf
        order = np.argsort(best, axis=1, kind="stable")[:, :count]
        usable = np.isfinite(np.take_along_axis(best, order, axis=1))
        order = np.where(usable, order, order[:, :1])
        order = np.pad(order, ((0, 0), (0, count - order.shape[1])), mode="edge")
        last = np.append(first[1:], len(of_class))
        for n, row in enumerate(rows):
            found[row] = [of_class[first[k] + np.argmin(far[n, first[k] : last[k]])] for k in order[n]]
    return found


__all__ = [
    "FROM_CLIPS",
    "FROM_FRAMES",
    "NEIGHBOURS",
    "ROWS",
    "Known",
    "from_clips",
    "from_frames",
    "mean_of_cell",
    "mean_pose_of",
    "nearest",
]
