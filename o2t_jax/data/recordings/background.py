"""What stands still in a film: the median of a sample of its frames, its noise, and whether the camera moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.errors import UsageError

SAMPLE = 48  # frames at most
MEMORY = 200e6  # bytes that the sample may take
CELLS = 4  # of each side, in which the picture's motion is looked at
MOVED = 1.5  # px by which most of the picture is off where the camera moved
MOST = 3.0  # times the picture's usual noise
FLOOR = 2.0  # levels, least noise: the steps of grey and of compression


@dataclasses.dataclass(frozen=True)
class Background:
    """`picture` RGB levels; `noise`, the distance in colour (levels) that chance makes at each pixel; `frames` of the
    film, counted; `times` s of all; `still`, share of the sample in which the picture stands where it stood."""

    picture: Float[np.ndarray, "H W 3"]
    noise: Float[np.ndarray, "H W"]
    times: Float[np.ndarray, " T"]
    still: float

    @property
    def frames(self) -> int:
        """How many frames were decoded."""
        return len(self.times)


def find_background(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]], tell: Callable[[int], None] = lambda count: None
) -> Background:
    """One pass over a film. `tell` is called with the count of frames read.

    Raises: UsageError where there are fewer than 5 frames, or the camera moved.
    """
    sample: list[np.ndarray] = []
    times: list[float] = []
    every = 1
    for number, (time, picture) in enumerate(frames):
        times.append(time)
        if number % every == 0:
            sample.append(picture.copy())
            if len(sample) > max(8, min(SAMPLE, int(MEMORY / picture.nbytes))):
                sample, every = sample[::2], 2 * every  # evenly spread, whatever the length
        tell(number + 1)
    if len(times) < 5:
        raise UsageError(f"the film has {len(times)} frames: at least 5 are needed")
    still = _still(sample)
    if still < 0.5:
        raise UsageError(
            f"the camera moves: in {100 * (1 - still):.0f} % of the frames the whole picture is off by more than "
            f"{MOVED} px: use a tripod, or choose --start and --end where it stands"
        )
    stack = np.stack(sample)
    middle = np.empty(stack.shape[1:], np.float32)
    noise = np.empty(stack.shape[1:3], np.float32)
    for row in range(0, len(middle), 32):  # in strips: a float copy of the sample would not fit
        strip = stack[:, row : row + 32].astype(np.float32)
        middle[row : row + 32] = np.median(strip, axis=0)
        away = np.linalg.norm(strip - middle[row : row + 32], axis=-1)
        noise[row : row + 32] = np.median(away, axis=0)
    # Where an object often is, the sample spreads widely: that is not noise.
    noise = cv2.GaussianBlur(np.minimum(noise, MOST * max(FLOOR, float(np.median(noise)))), (0, 0), 2.0)
    return Background(middle, np.maximum(FLOOR, noise), np.array(times), still)


def cleared(
    background: Background,
    frames: Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]],
    times: Float[np.ndarray, " T"],
    points: Float[np.ndarray, "T 2"],
    reach: float,
) -> Background:
    """The background without an object that is often in one place: medians of frames in which it is elsewhere.

    Args: `times` of the sightings of the object, `points` px (right, down), `reach` px around them that it may cover.
    Pixels that a sighting's surroundings never leave keep what they had.
    """
    wanted = set(times[np.unique(np.linspace(0, len(times) - 1, SAMPLE).round().astype(int))].tolist())
    low = np.maximum(0, np.floor(points.min(axis=0) - reach)).astype(int)
    part = np.s_[low[1] : int(points[:, 1].max() + reach) + 2, low[0] : int(points[:, 0].max() + reach) + 2]
    old = background.picture[part]
    rows, columns = np.indices(old.shape[:2])
    sample = []
    for time, picture in frames:
        if time in wanted:
            x, y = points[int(np.argmin(np.abs(times - time)))] - low
            covered = (columns - x) ** 2 + (rows - y) ** 2 < reach**2
            light = np.median((picture[::4, ::4] - background.picture[::4, ::4]).reshape(-1, 3), axis=0)
            sample.append(np.where(covered[..., None], np.nan, picture[part] - light).astype(np.float32))
    stack = np.stack(sample)
    free = np.isfinite(stack[..., 0]).sum(axis=0)
    picture = background.picture.copy()
    for row in range(len(old)):
        seen = free[row] >= 3
        picture[part][row, seen] = np.nanmedian(stack[:, row, seen], axis=0)
    return dataclasses.replace(background, picture=picture)


def _still(sample: list[np.ndarray]) -> float:
    """The share of the sample in which corners all over the picture stand within `MOVED` px; 1 without texture."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in sample]
    corners = cv2.goodFeaturesToTrack(grey[0], 200, 0.02, 8)
    if corners is None:
        return 1.0
    size = np.array(grey[0].shape[::-1])
    found = []
    for later in grey[1:]:
        moved, seen, _ = cv2.calcOpticalFlowPyrLK(grey[0], later, corners, None)  # type: ignore[call-overload]
        seen = seen[:, 0] == 1
        start, shift = corners[seen, 0], (moved - corners)[seen, 0]
        cell = (start * CELLS / size).astype(int) @ (1, CELLS)
        cells = np.array([np.median(shift[cell == c], axis=0) for c in np.unique(cell)])
        # Few places with texture are an object, not the room; places that disagree are objects, or edges without ends.
        middle = np.median(cells, axis=0)
        alike = np.mean(np.linalg.norm(cells - middle, axis=1) < 1 + 0.1 * np.linalg.norm(middle))
        found.append(len(cells) < 5 or alike < 0.7 or np.linalg.norm(middle) <= MOVED)
    return float(np.mean(found)) if found else 1.0


__all__ = ["Background", "cleared", "find_background"]
