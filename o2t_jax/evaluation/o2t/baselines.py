"""Predictions that need no learning: the rows that a model must beat.

All are given more than a model sees: the background comes from spare pictures of the target's own camera.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.evaluation.o2t.heldout import HeldOut, difference, moving_regions
from o2t_jax.geometry.camera import (
    MIN_DEPTH_M,
    Intrinsics,
    intrinsics_for,
    pixel_directions,
    project,
    triangulate,
    world_to_camera,
)
from o2t_jax.geometry.para import LEFT_1, LEFT_2, RIGHT_1, RIGHT_2, TARGET


def repeat_pic1(held_out: HeldOut) -> np.ndarray:
    """Picture 1 again, float32 [N, H, W, 3] in 0..1: nothing moved, neither ball nor camera."""
    return held_out.pictures[:, LEFT_1].astype(np.float32) / 255.0


def background_only(held_out: HeldOut) -> np.ndarray:
    """The target's camera without the ball, float32 [N, H, W, 3] in 0..1."""
    return held_out.background.astype(np.float32) / 255.0


def constant_velocity(held_out: HeldOut) -> np.ndarray:
    """Each moving region of picture 1, carried on at its speed in the picture, over the target camera's background.

    The speed is the region's shift from picture 1 to picture 3 over k steps; n steps are drawn (none where k = 0). The
    view's shift is not allowed for: in the picture plane a region has no depth.
    Returns: float32 [N, H, W, 3] in 0..1.
    """
    return np.stack([_carry_on(held_out, i) for i in range(len(held_out.n))])


def _carry_on(held_out: HeldOut, i: int) -> np.ndarray:
    first, second, background = held_out.pictures[i, LEFT_1], held_out.pictures[i, LEFT_2], held_out.left_background[i]
    regions = moving_regions(first, background)
    shifts = match_regions(
        region_facts(first, regions, background),
        region_facts(second, moving_regions(second, background), background),
        float(np.hypot(*regions.shape)),
    )
    ahead = held_out.n[i] / held_out.k[i] if held_out.k[i] > 0 else 0.0
    picture = held_out.background[i].astype(np.float32)
    for label, shift in shifts.items():
        move = np.array([[1.0, 0.0, shift[0] * ahead], [0.0, 1.0, shift[1] * ahead]])
        picture = paste(picture, first, region_mask(first, regions == label, background), move)
    return picture / 255.0


def region_mask(picture: np.ndarray, region: np.ndarray, background: np.ndarray) -> np.ndarray:
    """float32 [H, W]: 1 on `region` bool [H, W] and on a rim of one pixel where it differs from the background at all.

    The soft edge of a ball may differ by less than the threshold that found it.
    """
    rim = cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return (rim & (difference(picture, background) > 0)).astype(np.float32)


def paste(canvas: np.ndarray, picture: np.ndarray, mask: np.ndarray, move: np.ndarray) -> np.ndarray:
    """`canvas` float32 [H, W, 3] with the masked part of `picture` on it, moved by the affine map `move` [2, 3]."""
    size = (mask.shape[1], mask.shape[0])
    share = cv2.warpAffine(mask, move, size, flags=cv2.INTER_LINEAR)[..., None]
    moved = cv2.warpAffine(picture.astype(np.float32) * mask[..., None], move, size, flags=cv2.INTER_LINEAR)
    return canvas * (1.0 - share) + moved


class RegionFacts(NamedTuple):
    """A moving region: centroid (u, v) in px, mean colour in 0..1, area in px."""

    centroid: np.ndarray
    colour: np.ndarray
    area: float


def region_facts(picture: np.ndarray, regions: np.ndarray, background: np.ndarray) -> dict[int, RegionFacts]:
    """Label -> facts of the labelled `regions` int [H, W].

    The centroid is weighted by the difference up to half its median: a soft edge counts by its share, and a line of
    the background behind the ball changes nothing.
    """
    weights = difference(picture, background)
    facts = {}
    for label in np.unique(regions[regions > 0]):
        rows, columns = np.nonzero(regions == label)
        weight = weights[rows, columns].astype(np.float64)
        weight = np.minimum(weight, 0.5 * np.median(weight))
        centroid = np.array([weight @ (columns + 0.5), weight @ (rows + 0.5)]) / weight.sum()
        facts[int(label)] = RegionFacts(centroid, picture[rows, columns].mean(axis=0) / 255.0, float(len(rows)))
    return facts


def match_regions(
    first: dict[int, RegionFacts], second: dict[int, RegionFacts], diagonal: float
) -> dict[int, np.ndarray]:
    """Which region of the second picture is which of the first: label in `first` -> shift [2] (u, v) in px.

    Pairs are taken in the order of a cost in colour, size and distance (in picture diagonals, px); a region left
    without a partner stays put.
    """
    costs = sorted(
        (
            float(np.linalg.norm(a.colour - b.colour) + abs(np.log(a.area / b.area)))
            + float(np.linalg.norm(a.centroid - b.centroid)) / diagonal,
            label,
            other,
        )
        for label, a in first.items()
        for other, b in second.items()
    )
    shifts = {label: np.zeros(2) for label in first}
    free, taken = set(first), set()
    for _, label, other in costs:
        if label in free and other not in taken:
            shifts[label] = second[other].centroid - first[label].centroid
            free.discard(label)
            taken.add(other)
    return shifts


def constant_velocity_3d(held_out: HeldOut) -> np.ndarray:
    """Each moving region of picture 1, carried on at its velocity in space and seen by the target's camera.

    Regions are found again in the right eye (template matching), triangulated at both times, moved straight on for n
    steps, projected, and pasted at the size of their new depth over the target camera's background. It knows all
    that a model may know but gravity. A region that cannot be triangulated is left out.
    Returns: float32 [N, H, W, 3] in 0..1.
    """
    return np.stack([_carry_on_3d(held_out, i) for i in range(len(held_out.n))])


def _carry_on_3d(held_out: HeldOut, i: int) -> np.ndarray:
    pictures, para, background = held_out.pictures[i], held_out.para[i].astype(np.float64), held_out.left_background[i]
    first, second = pictures[LEFT_1], pictures[LEFT_2]
    regions, others = moving_regions(first, background), moving_regions(second, background)
    here, there = region_facts(first, regions, background), region_facts(second, others, background)
    shifts = match_regions(here, there, float(np.hypot(*regions.shape)))
    lens = intrinsics_for(*regions.shape)
    rotation = world_to_camera(para[:, 4], para[:, 5])
    picture = held_out.background[i].astype(np.float32)
    for label, shift in shifts.items():
        mask = region_mask(first, regions == label, background)
        start = _in_space(first, mask, here[label].centroid, pictures[RIGHT_1], para, rotation, LEFT_1, lens)
        end = start
        if held_out.k[i] > 0:
            seen = here[label].centroid + shift
            nearest = min(there, key=lambda other: float(np.linalg.norm(there[other].centroid - seen)), default=None)
            if nearest is None:
                continue
            again = region_mask(second, others == nearest, background)
            end = _in_space(second, again, seen, pictures[RIGHT_2], para, rotation, LEFT_2, lens)
        if start is None or end is None:
            continue
        elapsed = para[LEFT_2, 0] - para[LEFT_1, 0]
        velocity = (end - start) / elapsed if held_out.k[i] > 0 else np.zeros(3)
        place = start + velocity * (para[TARGET, 0] - para[LEFT_1, 0])
        pixel, depth = project(place, para[TARGET, 1:4], rotation[TARGET], lens)
        _, old_depth = project(start, para[LEFT_1, 1:4], rotation[LEFT_1], lens)
        if depth <= MIN_DEPTH_M:
            continue
        scale = float(old_depth / depth)
        # cv2 puts pixel centres on integers, half a pixel off the project's convention.
        offset = (pixel - 0.5) - scale * (here[label].centroid - 0.5)
        picture = paste(picture, first, mask, np.array([[scale, 0.0, offset[0]], [0.0, scale, offset[1]]]))
    return picture / 255.0


def _in_space(
    picture: np.ndarray,
    mask: np.ndarray,
    centroid: np.ndarray,
    other: np.ndarray,
    para: np.ndarray,
    rotation: np.ndarray,
    left: int,
    lens: Intrinsics,
) -> np.ndarray | None:
    """Point [3] m seen at `centroid` by the left eye (picture `left`) and where the region matches by the right one."""
    matched = centroid + find_again(picture, mask, other)
    pixels = np.stack([centroid, matched])
    rays = pixel_directions(pixels, rotation[left : left + 2], lens)
    point, valid = triangulate(para[left, 1:4], rays[0], para[left + 1, 1:4], rays[1])
    return point if valid else None


def find_again(picture: np.ndarray, mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Shift [2] (u, v) in px that carries the masked region of `picture` to where `other` looks most like it.

    Least mean square over whole pixels, then the vertex of a parabola in u and in v.
    """
    rows, columns = np.nonzero(mask)
    top, left = rows.min(), columns.min()
    box = np.s_[top : rows.max() + 1, left : columns.max() + 1]
    weight = np.repeat(mask[box][..., None], 3, axis=-1)
    cost = cv2.matchTemplate(
        other.astype(np.float32), picture[box].astype(np.float32), cv2.TM_SQDIFF, mask=weight.astype(np.float32)
    )
    row, column = divmod(int(np.argmin(cost)), cost.shape[1])
    return np.array([column - left + _vertex(cost[row], column), row - top + _vertex(cost[:, column], row)])


def _vertex(cost: np.ndarray, best: int) -> float:
    """Where between -0.5 and 0.5 the parabola through the best sample and its neighbours is lowest."""
    if not 0 < best < len(cost) - 1:
        return 0.0
    before, here, after = (float(c) for c in cost[best - 1 : best + 2])
    bend = before - 2.0 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend > 0 else 0.0


BASELINES: dict[str, Callable[[HeldOut], np.ndarray]] = {
    "repeat PIC1": repeat_pic1,
    "background only": background_only,
    "constant velocity": constant_velocity,
    "constant velocity 3-D": constant_velocity_3d,
}
