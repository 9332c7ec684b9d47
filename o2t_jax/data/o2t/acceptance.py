"""Acceptance of samples by their pictures alone, so that nothing about the law or the true states leaks in.

A sample is kept when each of its five pictures shows a moving object, whole and large enough. The moving pixels are
found without knowing the background: each of the three cameras is rendered at three moments (left and right at t1, t2
and a later one; the target's at its own time and two later ones), and a pixel of one moment belongs to the moving mask
when it differs from both others. Differing from one other moment would also mark the empty place where the ball will
be; and if the others were close together in time, so would the place where a slow ball overlaps itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.data.o2t.shots import Shot
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import LEFT_1, LEFT_2, NUM_PICTURES, RIGHT_1, RIGHT_2, TARGET

# Many threads make samples at the same time; OpenCV's own threads would compete with them for the cores.
cv2.setNumThreads(1)

# The later moments, after a sample's last picture: long enough that the ball has moved away, short enough to be cheap
# for a module that simulates up to them.
LATER_S = (1.5, 2.7)

STILL = "nothing moves"
CUT = "cut off by the border"


@dataclass(frozen=True)
class AcceptanceRule:
    """When a picture counts as showing the ball; the field names are those of the flat config.

    `motion_threshold`: a pixel moves when a channel differs by more than this (bytes). `min_pixels`: the smallest
    moving mask; None is 0.1% of the picture, at least 4 px. `require_whole`: the mask may not touch the border.
    """

    motion_threshold: int
    min_pixels: int | None
    require_whole: bool

    def __post_init__(self) -> None:
        if not 1 <= self.motion_threshold <= 254:
            raise UsageError(f"motion_threshold={self.motion_threshold} must be in 1..254 (bytes)")
        if self.min_pixels is not None and self.min_pixels < 1:
            raise UsageError(f"min_pixels={self.min_pixels} must be at least 1, or a picture without a ball would do")

    def smallest(self, height: int, width: int) -> int:
        """The smallest mask that counts, in px, for a picture of this size."""
        return self.min_pixels if self.min_pixels is not None else max(4, round(0.001 * height * width))

    def check_size(self, height: int, width: int) -> None:
        """Raises UsageError when no picture of this size can satisfy the rule."""
        if self.smallest(height, width) > height * width:
            raise UsageError(f"min_pixels={self.min_pixels} exceeds the {height}x{width} px of a picture: lower it")


class RenderPlan(NamedTuple):
    """The pictures to render for one shot, without repeats, and which of them the sample uses.

    `times` [R] s, `angles` [R, 2] deg, `positions` [R, 3] m with R = 9, or 6 where the target camera is camera 1.
    `sample` [5]: which of the R is each of the sample's pictures. `others` [5, 2]: the same camera's other two moments.
    """

    times: np.ndarray
    angles: np.ndarray
    positions: np.ndarray
    sample: tuple[int, ...]
    others: tuple[tuple[int, int], ...]


def render_plan(shot: Shot) -> RenderPlan:
    """Lists the cameras x moments of a shot; the pictures of one camera lie together (renderers cache backgrounds)."""
    first, second = shot.times[LEFT_1], shot.times[LEFT_2]
    last = float(shot.times.max())
    later, latest = (last + delay for delay in LATER_S)
    cameras, moments = [LEFT_1, RIGHT_1], [(first, second, later), (first, second, later)]
    same = (
        shot.n == 0
        and np.array_equal(shot.positions[TARGET], shot.positions[LEFT_1])
        and np.array_equal(shot.angles[TARGET], shot.angles[LEFT_1])
    )
    if not same:
        cameras.append(TARGET)
        moments.append((shot.times[TARGET], later, latest))
    # Camera and moment of each of the sample's five pictures.
    where = {LEFT_1: (0, 0), RIGHT_1: (1, 0), LEFT_2: (0, 1), RIGHT_2: (1, 1), TARGET: (0 if same else 2, 0)}
    sample, others = [], []
    for picture in range(NUM_PICTURES):
        camera, moment = where[picture]
        sample.append(3 * camera + moment)
        one, another = (m for m in range(3) if m != moment)
        others.append((3 * camera + one, 3 * camera + another))
    repeated = np.repeat(cameras, 3)
    times = np.concatenate(moments)
    return RenderPlan(times, shot.angles[repeated], shot.positions[repeated], tuple(sample), tuple(others))


def moving_mask(picture: np.ndarray, other_a: np.ndarray, other_b: np.ndarray, threshold: int) -> np.ndarray:
    """Mask uint8 [H, W] (0 or 255) of the pixels where `picture` [H, W, 3] differs from both others by > threshold."""
    return cv2.bitwise_not(cv2.bitwise_or(_alike(picture, other_a, threshold), _alike(picture, other_b, threshold)))


def rejection(pictures: np.ndarray, plan: RenderPlan, rule: AcceptanceRule) -> str:
    """Why the sample is not kept: "" when it is, else `STILL` or `CUT`. `pictures`: uint8 [R, H, W, 3] of the plan."""
    smallest = rule.smallest(*pictures.shape[1:3])
    # The target first: it fails most often, since its camera and its moment lie furthest from what the prior aims at.
    for picture in (TARGET, LEFT_2, RIGHT_2, LEFT_1, RIGHT_1):
        now, (other_a, other_b) = plan.sample[picture], plan.others[picture]
        mask = moving_mask(pictures[now], pictures[other_a], pictures[other_b], rule.motion_threshold)
        if cv2.countNonZero(mask) < smallest:
            return STILL
        if rule.require_whole and _touches_border(mask):
            return CUT
    return ""


def _alike(a: np.ndarray, b: np.ndarray, threshold: int) -> np.ndarray:
    """Mask uint8 [H, W]: 255 where no channel differs by more than `threshold`."""
    return cv2.inRange(cv2.absdiff(a, b), (0, 0, 0), (threshold, threshold, threshold))


def _touches_border(mask: np.ndarray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
