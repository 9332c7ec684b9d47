"""A track refined by registration: the object's own picture, seen against the background, is laid on each frame.

A blob is what differs from the background, so its centre moves where a part of the object looks like the background
behind it. Here the object has an own picture with a matte, learnt from frames in which it stands before different
parts of the background: a frame shows (1 - matte) background + own. Its place (and angle, where its picture tells one)
is that at which this explains the frame best, by Gauss-Newton steps (Lucas and Kanade, 1981) with Huber's weights.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from o2t_jax.data.recordings.background import Background, cleared
from o2t_jax.data.recordings.blobs import EDGE, LEAST_SEED, OPENED
from o2t_jax.data.recordings.tracks import LEAST, Track, noises_of
from o2t_jax.errors import UsageError

SAMPLE = 60  # frames from which the picture is learnt
ROUNDS = 6  # of learning and laying on; the second half with angles
STEPS = 12  # of Gauss and Newton
REACH = 2.2  # of the track's radius: half of the picture's side; a blob may be less than the object
COVERS = 1.5  # and what it may cover
PRIOR = 5.0  # levels: where the background behind varies less, the matte is that of the blobs
MATTE = 0.5  # what belongs to the object
TURN = 0.15  # rad, standard deviation of the turn between two sightings
WORSE = 3.0  # times the usual rms of a frame: something else is seen
OFF = 1.0  # radii from the blob: something else is found
LIKE = 1.2  # logarithm of the area: what else is larger or smaller is not learnt from
STANDING = 5  # sightings elsewhere for one of an object that stands
CLEAR = 3.0  # times what is left of a frame, the own picture's contrast: a mean of turned pictures tells no angle
LEAST_PIXELS = 12  # of the object
PIXELS = 1500  # that are compared, the steepest
CONTRAST = 50.0  # levels: how much steps of the matte count among them
MOST_SIDE = 80  # px, half of the picture's side at most


@dataclasses.dataclass(frozen=True, eq=False)
class Likeness:
    """The object's `own` levels (times matte) and `matte` [H, W], 0 to 1, about its centre, at angle 0."""

    own: Float[np.ndarray, "H W 3"]
    matte: Float[np.ndarray, "H W"]

    @functools.cached_property
    def steep(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The pixels that tell the place, at most `PIXELS`: places [N, 2] from the centre, own [N, 3], matte [N, 1] and
        slopes of both [N, 4, 2]."""
        both = np.concatenate([self.own, self.matte[..., None]], axis=-1).astype(float)
        slopes = np.stack(list(np.gradient(both, axis=(1, 0))), axis=-1)
        near = cv2.dilate((self.matte > 0.1).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        size = np.linalg.norm(slopes * np.array([1, 1, 1, CONTRAST])[:, None], axis=(2, 3)) * near
        least = np.sort(size, axis=None)[-min(PIXELS, int(near.sum()))]
        use = near & (size >= least)
        return _grid(self.half)[use], both[use][:, :3], both[use][:, 3:], slopes[use]

    @property
    def half(self) -> int:
        """px from the centre to the side."""
        return len(self.matte) // 2

    def radius(self) -> float:
        """px of the disc with the matte's area."""
        return float(np.sqrt(np.sum(self.matte[self.matte > 0.5 * MATTE]) / np.pi))


@dataclasses.dataclass(frozen=True, eq=False)
class Registered:
    """The refined `track`; `angles` rad of each sighting (clockwise as seen, from an unknown zero), with `angle_sigma`
    (infinite where the picture does not tell it); its `likeness`."""

    track: Track
    angles: Float[np.ndarray, " T"]
    angle_sigma: Float[np.ndarray, " T"]
    likeness: Likeness


@dataclasses.dataclass
class _Pose:
    place: np.ndarray  # px (right, down)
    angle: float = 0.0
    rms: float = np.inf
    angle_sigma: float = np.inf


def register(
    frames: Callable[[], Iterable[tuple[float, UInt8[np.ndarray, "H W 3"]]]],
    background: Background,
    track: Track,
    tell: Callable[[int], None] = lambda count: None,
) -> Registered:
    """Refines a track by two further passes over the film, which `frames` opens.

    Raises: UsageError where the object has no picture of its own: fewer than 5 sightings agree with one.
    """
    radius = track.radius if np.isfinite(track.radius) else float(np.sqrt(np.median(track.areas) / np.pi))
    half = min(MOST_SIDE, int(np.ceil(REACH * radius)) + 3)
    background = cleared(background, frames(), track.times, track.points, COVERS * radius + 4)
    # Of sightings in which a part is not seen too: the picture is that of the whole object.
    rows = np.flatnonzero(np.abs(np.log(track.areas / np.median(track.areas[track.whole]))) < LIKE)
    rows = _moving(rows, track.points, radius)
    wanted = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(int))]
    at = {float(track.times[i]): i for i in wanted}
    lights, crops, poses = [], [], []
    for time, picture in frames():
        i = at.get(float(time))
        if i is not None:
            poses.append(_Pose(track.points[i].copy()))
            lights.append(_light(picture, background))
            crops.append(_Part(picture, track.points[i], 2 * half))
    likeness = _learn(crops, lights, poses, background, half)
    order = {float(time): i for i, time in enumerate(track.times)}
    found = [_Pose(point.copy()) for point in track.points]
    usual, middle = (float(np.median([getattr(pose, name) for pose in poses])) for name in ("rms", "angle"))
    aside = np.median([pose.place - track.points[i] for pose, i in zip(poses, wanted, strict=True)], axis=0)
    before, turn = poses[0], 0.0
    for time, picture in frames():
        i = order.get(float(time))
        if i is None:
            continue
        part, light = _Part(picture, track.points[i], 2 * half), _light(picture, background)
        place = track.points[i] + aside
        tries = [_lay(likeness, part, light, background, _Pose(place, before.angle + turn))]
        if tries[0].rms > 1.2 * usual:  # the turn may have changed, or the last angle be wrong
            tries += [_lay(likeness, part, light, background, _Pose(place, angle)) for angle in (before.angle, middle)]
        found[i] = min(tries, key=lambda pose: pose.rms)
        told = len(tries) == 1 and np.isfinite(found[i].angle_sigma) and np.isfinite(before.angle_sigma)
        turn = 0.5 * turn + 0.5 * (found[i].angle - before.angle) if told else 0.0
        before = found[i]
        tell(i + 1)
    return _registered(track, likeness, found, radius, background.picture.shape[1::-1])


def _moving(rows: Int[np.ndarray, " N"], points: Float[np.ndarray, "T 2"], radius: float) -> Int[np.ndarray, " N"]:
    """Sightings `rows` without most of those where the object stands for half of them: before one part of the
    background nothing tells what is in front and what behind."""
    stands = np.linalg.norm(points[rows] - np.median(points[rows], axis=0), axis=1) < 0.5 * radius
    if np.mean(stands) < 0.5:
        return rows
    standing, others = rows[stands], rows[~stands]
    return np.sort(np.concatenate([others, standing[:: 1 + STANDING * len(standing) // (1 + len(others))]]))


def _registered(
    track: Track, likeness: Likeness, found: list[_Pose], radius: float, sizes: tuple[int, ...]
) -> Registered:
    points = np.array([pose.place for pose in found])
    rms = np.array([pose.rms for pose in found])
    usual = float(np.median(rms[track.whole]))
    size = max(radius, likeness.radius())
    # The whole object may have its centre elsewhere than the blob: off is what is off from the usual way.
    aside = points - track.points
    off = np.linalg.norm(aside - np.median(aside[track.whole], axis=0), axis=1)
    # A blob may be of a part only, so its size says nothing here; what leaves the picture is left out.
    inside = np.all((points > size) & (points < np.array(sizes) - 1 - size), axis=1)
    whole = inside & (rms < WORSE * usual) & (off < OFF * size)
    if whole.sum() < LEAST:
        raise UsageError("the object has no picture of its own that its sightings share")
    near = noises_of(track.times[whole], points[whole])
    sigma = np.interp(track.times, track.times[whole], near) * np.maximum(1.0, rms / usual)
    told = np.array([pose.angle_sigma for pose in found])
    inside = likeness.own[likeness.matte > MATTE]
    if float(np.sqrt(np.mean(np.var(inside, axis=0)))) < CLEAR * usual:
        told = np.full(len(told), np.inf)
    refined = dataclasses.replace(track, points=points, sigma=sigma, whole=whole, radius=likeness.radius())
    return Registered(refined, np.array([pose.angle for pose in found]), told, likeness)


class _Part:
    """A part of a frame around a point, as floats."""

    def __init__(self, picture: np.ndarray, centre: np.ndarray, reach: int) -> None:
        x, y = np.round(centre).astype(int) - reach
        self.corner = np.array([max(0, x), max(0, y)])
        self.size = np.array(picture.shape[1::-1])
        self.levels = picture[max(0, y) : y + 2 * reach + 1, max(0, x) : x + 2 * reach + 1].astype(np.float32)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Levels [..., 3] at px `places` [..., 2] of the picture."""
        maps = (places - self.corner).astype(np.float32)
        return _sampled(self.levels, maps)


def _sampled(levels: np.ndarray, places: np.ndarray) -> np.ndarray:
    shape = places.shape[:-1]
    flat = places.reshape(len(places) if places.ndim > 2 else 1, -1, 2)
    found = cv2.remap(levels, flat[..., 0], flat[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(*shape, 3)


def _inside(places: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.all((places >= 0) & (places <= size - 1), axis=-1)


def _light(picture: np.ndarray, background: Background) -> np.ndarray:
    """By how much the whole picture is lighter, levels [3]."""
    return np.median((picture[::4, ::4] - background.picture[::4, ::4]).reshape(-1, 3), axis=0)


def _grid(half: int) -> np.ndarray:
    axis = np.arange(-half, half + 1, dtype=float)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def _turned(grid: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return grid @ np.array([[cos, sin], [-sin, cos]])


def _learn(
    crops: list[_Part], lights: list[np.ndarray], poses: list[_Pose], background: Background, half: int
) -> Likeness:
    """The likeness by turns: from the poses the picture and matte, by these the poses; then its centre."""
    grid = _grid(half)
    likeness = _composed(crops, lights, poses, background, grid, np.ones(len(poses), bool))
    if not np.sum(likeness.matte > MATTE) > LEAST_PIXELS:
        raise UsageError("the object has no picture of its own that its sightings share")
    for number in range(ROUNDS):
        before = _Pose(poses[0].place)
        for i, (part, light) in enumerate(zip(crops, lights, strict=True)):
            start = _Pose(poses[i].place, poses[i].angle)
            if number == ROUNDS // 2:  # the first round with angles goes from one sighting to the next
                start.angle = before.angle
            poses[i] = _lay(likeness, part, light, background, start, turns=number >= ROUNDS // 2)
            before = poses[i]
        rms = np.array([pose.rms for pose in poses])
        likeness = _composed(crops, lights, poses, background, grid, rms < WORSE * np.median(rms))
        if not np.sum(likeness.matte > MATTE) > LEAST_PIXELS:
            raise UsageError("the object has no picture of its own that its sightings share")
        shift = _centre(likeness)
        for pose in poses:
            pose.place = pose.place + _turned(shift, pose.angle)
        likeness = _composed(crops, lights, poses, background, grid, rms < WORSE * np.median(rms))
    return likeness


def _centre(likeness: Likeness) -> np.ndarray:
    weight = likeness.matte * (likeness.matte > 0.5 * MATTE)
    return np.einsum("hw,hwk->k", weight, _grid(likeness.half)) / max(float(weight.sum()), 1e-9)


def _composed(
    crops: list[_Part],
    lights: list[np.ndarray],
    poses: list[_Pose],
    background: Background,
    grid: np.ndarray,
    good: Bool[np.ndarray, " N"],
) -> Likeness:
    """Picture and matte of every pixel from a line through what is seen against what is behind: its slope is 1 - matte.

    Where what is behind hardly varies, the matte is the share of sightings in which the pixel differs from it, and at
    the edge by how much: a pixel that is covered by a tenth differs too.
    """
    seen, behind, inside = [], [], []
    for part, light, pose in zip(crops, lights, poses, strict=True):
        places = pose.place + _turned(grid, pose.angle)
        seen.append(part.at(places) - light)
        behind.append(_sampled(background.picture, places.astype(np.float32)))
        inside.append(_inside(places, part.size))
    use = (np.array(inside) & good[:, None, None]).astype(np.float32)[..., None]
    seen, behind = np.array(seen, np.float32), np.array(behind, np.float32)
    count = np.maximum(use.sum(axis=0), 1)
    far = np.linalg.norm(seen - behind, axis=-1, keepdims=True)
    blob = ((use * (far > max(EDGE * float(np.median(background.noise)), 0.5 * LEAST_SEED))).sum(axis=0) / count)[
        ..., 0
    ]
    usual = (use * far).sum(axis=0)[..., 0] / count[..., 0]
    if (blob > MATTE).any():
        blob = np.minimum(blob, usual / np.quantile(usual[blob > MATTE], 0.75))
    mean_seen, mean_behind = (use * seen).sum(axis=0) / count, (use * behind).sum(axis=0) / count
    aside = use * (behind - mean_behind)
    power = (aside**2).sum(axis=(0, 3)) / count[..., 0]
    shared = (aside * (seen - mean_seen)).sum(axis=(0, 3)) / count[..., 0]
    through = (shared + PRIOR**2 * (1 - blob)) / (power + PRIOR**2)
    matte = _one_part(1 - through.clip(0, 1))
    return Likeness(mean_seen - (1 - matte)[..., None] * mean_behind, matte)


def _one_part(matte: np.ndarray) -> np.ndarray:
    """Only the part that holds most, less what is thinner than half of it (as of a blob); holes are filled."""
    smooth = cv2.GaussianBlur(matte.astype(np.float32), (0, 0), 0.7)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((smooth > MATTE).astype(np.uint8), connectivity=4)
    if count < 2:
        return matte
    body = (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)
    reach = max(1, round(OPENED * float(cv2.distanceTransform(np.pad(body, 1), cv2.DIST_L2, 5).max())))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    body = cv2.morphologyEx(cv2.morphologyEx(body, cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc)
    edge = cv2.dilate(body, np.ones((5, 5), np.uint8))
    inner = cv2.erode(body, np.ones((5, 5), np.uint8))
    return np.where(inner > 0, 1.0, np.where(edge > 0, smooth, 0.0))


def _lay(
    likeness: Likeness, part: _Part, light: np.ndarray, background: Background, start: _Pose, turns: bool = True
) -> _Pose:
    """The pose at which the likeness explains a frame best."""
    grid, own, matte, slopes = likeness.steep
    place, angle, gain = start.place.copy(), start.angle, np.zeros(1)
    size, noise, matrix = 3 + turns, 1.0, np.eye(4)
    for _ in range(STEPS):
        places = place + _turned(grid, angle)
        behind = _sampled(background.picture, places[None].astype(np.float32))[0]
        left = part.at(places[None])[0] - light - (1 - matte) * behind - np.exp(gain) * own
        left *= _inside(places, part.size)[:, None]
        # By moving the likeness: d own / d place is minus its slope, turned.
        along = slopes[:, 3:] * behind[..., None] - np.exp(gain) * slopes[:, :3]
        along = along @ _turned(np.eye(2), angle)
        around = np.stack([-(places - place)[:, 1], (places - place)[:, 0]], axis=-1)
        columns = [along[..., 0], along[..., 1], np.exp(gain) * own]
        if turns:
            columns.append(np.sum(along * around[:, None], axis=-1))
        design = np.stack(columns, axis=-1).reshape(-1, size)
        left = left.reshape(-1)
        noise = max(1.0, 1.4826 * float(np.median(np.abs(left))))
        weight = 1 / np.maximum(1.0, np.abs(left) / (2 * noise))
        matrix = (design * weight[:, None]).T @ design / noise**2
        side = (design * weight[:, None]).T @ left / noise**2
        matrix[2, 2] += 1 / 0.1**2
        side[2] -= gain[0] / 0.1**2
        if turns:
            # Pixels of a compressed film are not independent: count one in ten.
            matrix[3, 3] += 10 / TURN**2
            side[3] -= 10 * (angle - start.angle) / TURN**2
        try:
            step = np.linalg.solve(matrix + 1e-9 * np.trace(matrix) * np.eye(size), side)
        except np.linalg.LinAlgError:
            break
        move = step[:2] * min(1.0, 3.0 / max(float(np.linalg.norm(step[:2])), 1e-9))
        place, gain = place + move, gain + step[2]
        angle += float(np.clip(step[3], -0.2, 0.2)) if turns else 0.0
        if float(np.linalg.norm(move)) < 2e-3:
            break
    rms = float(np.sqrt(np.mean(np.minimum(np.abs(left), 5 * noise) ** 2)))
    told = np.inf
    if turns:
        variance = float(np.linalg.pinv(matrix)[3, 3]) * 10
        told = float(np.sqrt(variance)) if variance < (0.5 * TURN) ** 2 else np.inf
    return _Pose(place, angle, rms, told)


__all__ = ["Likeness", "Registered", "register"]
