"""The fixed held-out set: samples, what the cameras see without the ball, and where the ball is.

The background and the ball's region are found from the pictures alone: besides its five pictures a sample has spare
pictures of two of its cameras at other times. Pixels that differ from the per-pixel median over time have moved. Where
the world is ours, the true places of the balls may be given, and the regions are then exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from o2t_jax.geometry.camera import intrinsics_for, pixel_directions, pixel_grid, world_to_camera
from o2t_jax.geometry.para import LEFT_1, LEFT_2, TARGET

CONTRAST = 12  # of 255: a pixel moved when one of its colour channels differs from the background by more
MAX_REGIONS = 4

SAMPLE_FIELDS = ("pictures", "para", "k", "n", "mode")
REFERENCE_FIELDS = ("reference", "left_reference")


class BallStates(Protocol):
    """The true balls in N samples: the `Truth` of `data.o2t`.

    `position` [N, 5, K, 3] m, in the frame of PARA, and `visible` bool [N, 5, K] in all five pictures;
    `radius` [N, K] m.
    """

    @property
    def position(self) -> np.ndarray: ...

    @property
    def radius(self) -> np.ndarray: ...

    @property
    def visible(self) -> np.ndarray: ...


class Balls(NamedTuple):
    """True balls at the target's time, in the frame of PARA; used to name regions, never shown to a model."""

    position: np.ndarray  # [N, K, 3] m
    radius: np.ndarray  # [N, K] m
    visible: np.ndarray  # [N, K] bool

    @classmethod
    def at_target(cls, truth: BallStates) -> Balls:
        """The balls in the target, from their states in all five pictures."""
        return cls(truth.position[:, TARGET], truth.radius, truth.visible[:, TARGET])


class HeldOut(NamedTuple):
    """N fixed samples; pictures are uint8 RGB."""

    pictures: np.ndarray  # [N, 5, H, W, 3]
    para: np.ndarray  # [N, 5, 6]
    k: np.ndarray  # [N]
    n: np.ndarray  # [N]
    mode: np.ndarray  # [N]
    background: np.ndarray  # [N, H, W, 3], of the target's camera
    left_background: np.ndarray  # [N, H, W, 3], of camera 1
    regions: np.ndarray  # int8 [N, H, W]: 0 none, else the number of a moving thing in the target
    window: np.ndarray | None = None  # [N, 5, 2] top left pixels (u0, v0), of windows of larger pictures

    @property
    def target(self) -> np.ndarray:
        """uint8 [N, H, W, 3]."""
        return self.pictures[:, TARGET]

    def batch(self, index: np.ndarray) -> dict[str, np.ndarray]:
        """The samples `index` [B] as a model's batch; the target is in it, at `pictures[:, 4]`."""
        batch = {field: getattr(self, field)[index] for field in SAMPLE_FIELDS}
        return batch if self.window is None else {**batch, "window": self.window[index]}


def collect(batch: Mapping[str, np.ndarray], balls: Balls | None = None) -> HeldOut:
    """Builds the held-out set.

    Args:
      batch: stacked samples with `pictures` uint8 [N, 5, H, W, 3], `para` [N, 5, 6], `k`, `n`, `mode` [N], and spare
        pictures: `reference` uint8 [N, R, H, W, 3], the target's camera at R >= 2 other times, `left_reference`
        uint8 [N, L, H, W, 3], camera 1 at L >= 1 times other than those of pictures 1 and 3. Choose times
        at which the ball is elsewhere, best long after the flight: a ball that covers a place in half of the pictures
        (a slow one, at times a fraction of a second apart) is taken for background there.
      balls: where they truly are, of a world that knows; None finds regions in the pictures.
    Raises: ValueError where a field is missing or shapes disagree.
    """
    missing = [field for field in SAMPLE_FIELDS + REFERENCE_FIELDS if field not in batch]
    if missing:
        raise ValueError(f"held-out samples lack {', '.join(missing)}")
    fields = {field: np.asarray(batch[field]) for field in SAMPLE_FIELDS + REFERENCE_FIELDS}
    pictures, reference, left = (fields.pop(field) for field in ("pictures", *REFERENCE_FIELDS))
    count, size = len(pictures), pictures.shape[2:4]
    if count == 0:
        raise ValueError("the held-out set is empty")
    for name, spare, least in (("reference", reference, 2), ("left_reference", left, 1)):
        if spare.dtype != np.uint8 or spare.shape[0] != count or spare.shape[2:] != pictures.shape[2:]:
            raise ValueError(f"{name} {spare.dtype}{list(spare.shape)} does not match pictures {list(pictures.shape)}")
        if spare.shape[1] < least:
            raise ValueError(f"{name} holds {spare.shape[1]} pictures a sample, at least {least} are needed")
    background = np.stack([median_picture([*reference[i], pictures[i, TARGET]]) for i in range(count)])
    # With k = 0 pictures 1 and 3 are one moment: counted twice, its ball would outvote the background.
    moments = [[LEFT_1, LEFT_2] if k > 0 else [LEFT_1] for k in fields["k"]]
    left_background = np.stack([median_picture([*left[i], *pictures[i, moments[i]]]) for i in range(count)])
    window = batch.get("window")
    if balls is None or window is not None:  # an outline in a window is not drawn here: what moves is found in it
        regions = [moving_regions(pictures[i, TARGET], background[i]) for i in range(count)]
    else:
        cameras = fields["para"][:, TARGET]
        regions = [
            silhouettes(balls.position[i], balls.radius[i], balls.visible[i], cameras[i], (size[0], size[1]))
            for i in range(count)
        ]
    return HeldOut(
        pictures=pictures,
        **fields,
        background=background,
        left_background=left_background,
        regions=np.stack(regions),
        window=None if window is None else np.asarray(window),
    )


def median_picture(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Per-pixel, per-channel median, uint8 [H, W, 3], of M pictures; the lower of the middle two where M is even."""
    middle = (len(pictures) - 1) // 2
    return np.partition(np.stack(pictures), middle, axis=0)[middle]


def difference(picture: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Largest channel difference [..., H, W], in the units of the (uint8 or float) pictures [..., H, W, 3]."""
    return np.max(np.abs(picture.astype(np.float32) - background.astype(np.float32)), axis=-1)


def least_area(height: int, width: int) -> int:
    """The smallest connected patch, in pixels, that counts as a thing."""
    return max(4, height * width // 8192)


def moving_regions(picture: np.ndarray, background: np.ndarray, contrast: float = CONTRAST) -> np.ndarray:
    """Connected patches where `picture` differs from `background`, both uint8 [H, W, 3]: int8 [H, W], largest first.

    A patch of fewer than `least_area` pixels, or beyond the `MAX_REGIONS` largest, is 0.
    """
    mask = (difference(picture, background) > contrast).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = facts[1:count, cv2.CC_STAT_AREA]
    regions = np.zeros(mask.shape, np.int8)
    for rank, label in enumerate(np.argsort(-areas, kind="stable")[:MAX_REGIONS], start=1):
        if areas[label] >= least_area(*mask.shape):
            regions[labels == label + 1] = rank
    return regions


def silhouettes(
    position: np.ndarray, radius: np.ndarray, visible: np.ndarray, para: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """The spheres' outlines as one camera sees them: int8 [H, W], ball number + 1, the nearer ball in front.

    Args: `position` [K, 3] m, `radius` [K] m, `visible` [K], `para` [6] of the camera, `size` (H, W). What else may
    hide a ball (a ramp) is not known here. An outline of fewer than `least_area` pixels is left out.
    """
    rotation = world_to_camera(para[4], para[5])
    rays = pixel_directions(pixel_grid(intrinsics_for(*size)), rotation, intrinsics_for(*size))
    offset = np.asarray(position, np.float64) - np.asarray(para[1:4], np.float64)
    distance = np.linalg.norm(offset, axis=-1)
    regions = np.zeros(size, np.int8)
    for ball in np.argsort(-distance):
        if not visible[ball] or distance[ball] <= radius[ball]:
            continue
        # A pixel's ray meets the sphere where its angle to the centre is at most asin(r / distance).
        cosine = rays @ (offset[ball] / distance[ball])
        regions[cosine > np.sqrt(1.0 - (radius[ball] / distance[ball]) ** 2)] = ball + 1
    for ball in range(len(radius)):
        if np.count_nonzero(regions == ball + 1) < least_area(*size):
            regions[regions == ball + 1] = 0
    return regions
