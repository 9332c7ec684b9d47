"""Any person's joints, by name, to `OURS`: the directions of bones are kept, their lengths become ours.

From places alone, so a source's rest pose, axes of joints and unit do not matter: the whole is scaled by the length of
the legs. How a bone is turned about itself follows from its neighbours (hips and chest from both sides' joints).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.kinematics import between, locals_of, places_of, times, unit
from o2t_jax.physics.motion.skeleton import OURS

# What files call our joints, best first; {s} is left or l, right or r. Later names serve where no earlier joint has
# taken them: LeftShoulder is a collar bone in some files and the arm's joint in others, LeftFoot an ankle or a toe.
_NAMES = {
    "Hips": ("hips", "pelvis", "root", "hip"),
    "Neck": ("neck", "neck1", "lowerneck", "bln"),
    "Head": ("head", "upperneck", "bun"),
    "{S}Arm": ("{s}arm", "{s}upperarm", "{s}uparm", "{s}humerus", "{s}shoulder"),
    "{S}ForeArm": ("{s}forearm", "{s}lowerarm", "{s}lowarm", "{s}elbow", "{s}radius"),
    "{S}Hand": ("{s}hand", "{s}wrist"),
    "{S}UpLeg": ("{s}upleg", "{s}upperleg", "{s}thigh", "{s}hip", "{s}femur"),
    "{S}Leg": ("{s}leg", "{s}lowerleg", "{s}lowleg", "{s}shin", "{s}calf", "{s}knee", "{s}tibia"),
    "{S}Foot": ("{s}ankle", "{s}foot"),
    "{S}Toe": ("{s}toebase", "{s}toes", "{s}toe", "{s}ball", "{s}foot", "{s}footend"),
    "Spine": ("spine", "spine1", "lowerback", "abdomen", "bp"),
    "Chest": ("chest", "spine2", "spine3", "upperback", "thorax", "torso", "bt", "spine1"),
    "{S}Shoulder": ("{s}collar", "{s}clavicle", "{s}shoulder"),
}
_OPTIONAL = ("Spine", "Chest", "LeftShoulder", "RightShoulder")


def _joints(*names: str) -> np.ndarray:
    return np.array([OURS.index(name) for name in names])


# Both arms and both legs, from the trunk outwards.
_LIMBS = [
    _joints("Left" + arm, "Right" + arm, "Left" + leg, "Right" + leg)
    for arm, leg in zip(("Shoulder", "Arm", "ForeArm", "Hand"), ("UpLeg", "Leg", "Foot", "Toe"), strict=True)
]
_LEGS = 0.39 + 0.41
_LEAST = 4  # frames: the third derivative needs them
_BLOCK = 128  # frames that one call of the compiled program turns


class Pose(NamedTuple):
    """A motion of `OURS`: the root's places m, rotations relative to the parents, all joints' places m, frames/s."""

    root: Float[np.ndarray, "frames 3"]
    rotations: Float[np.ndarray, "frames joints 3 3"]
    positions: Float[np.ndarray, "frames joints 3"]
    rate: float


def plain(name: str) -> str:
    """A joint's name without prefixes, signs and case, its side first: 'mixamorig:Hand_L' -> 'lhand'."""
    bare = name.rsplit(":", 1)[-1]
    if side := re.search(r"[_.\s]([LR])(?=[_.\s]|$)", bare):
        bare = side[1] + bare[: side.start()] + bare[side.end() :]
    return re.sub(r"[^a-z0-9]", "", bare.lower())


def matched(names: Sequence[str], source: str) -> dict[str, int]:
    """Our joints' names -> number of the source's joint. Raises: UsageError that names what is missing."""
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        numbers.setdefault(plain(name), number)
    found: dict[str, int] = {}
    for ours, words in _NAMES.items():
        for side, letters in (("Left", ("left", "l")), ("Right", ("right", "r"))) if "{S}" in ours else (("", ("",)),):
            tried = [word.format(s=letter) for word in words for letter in letters]
            hit = next(
                (numbers[word] for word in tried if word in numbers and numbers[word] not in found.values()), None
            )
            if hit is not None:
                found[ours.format(S=side)] = hit
    missing = [name for name in OURS.names if name not in found and name not in _OPTIONAL]
    if missing:
        raise UsageError(
            f"{source} is of another skeleton: no joint of it is called like {', '.join(missing)}; it has "
            f"{', '.join(list(names)[:8])}{', ...' if len(names) > 8 else ''}"
        )
    return found


def retarget(
    names: Sequence[str],
    positions: Float[np.ndarray, "frames nodes 3"],
    rate: float,
    source: str,
    new_rate: float | None = RATE,
) -> Pose:
    """The motion of `OURS` at `new_rate` frames/s (None: as it is), places by cubic splines in between.

    Args: `positions` of the named joints, y up, in any unit of length; `source` names the file in errors.
    Raises: UsageError for a foreign skeleton, NaN, too few frames, and legs of no length.
    """
    found = matched(names, source)
    if not np.isfinite(positions).all():
        frame = int(np.flatnonzero(~np.isfinite(positions).all((1, 2)))[0])
        raise UsageError(f"{source}: frame {frame} holds NaN or infinity: repair or cut the clip")
    places = {name: positions[:, number] for name, number in found.items()}
    if new_rate is not None and not np.isclose(rate, new_rate):
        places = _resampled(places, len(positions), rate, new_rate)
    frames = len(places["Hips"])
    if frames < _LEAST:
        raise UsageError(f"{source} has {frames} frames at {new_rate or rate:g}/s: at least {_LEAST} are needed")
    legs = [
        np.median(np.linalg.norm(places[side + upper] - places[side + lower], axis=-1))
        for side in ("Left", "Right")
        for upper, lower in (("UpLeg", "Leg"), ("Leg", "Foot"))
    ]
    if min(legs) < 1e-6 * np.ptp(positions) or max(legs) <= 0:
        raise UsageError(f"{source}: its legs have no length; is it a person?")
    scale = 2.0 * _LEGS / sum(legs)
    full = np.stack([scale * point for point in _completed(places).values()], 1)
    padded = np.concatenate([full, np.repeat(full[-1:], -frames % _BLOCK, 0)]).reshape(-1, _BLOCK, len(OURS), 3)
    solved = [_solve(jnp.asarray(block, jnp.float32)) for block in padded]
    root, rotations, placed = (np.concatenate(parts)[:frames] for parts in zip(*solved, strict=True))
    return Pose(root, rotations, placed, rate if new_rate is None else new_rate)


def _resampled(places: Mapping[str, np.ndarray], frames: int, rate: float, new_rate: float) -> dict[str, np.ndarray]:
    if frames < 2:
        return dict(places)
    times = np.arange(frames) / rate
    new = np.arange(int(times[-1] * new_rate * (1 + 1e-9)) + 1) / new_rate
    return {name: CubicSpline(times, points)(np.minimum(new, times[-1])) for name, points in places.items()}


def _completed(places: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All of our joints in their order: what a file lacks lies on the line between its neighbours."""
    full = dict(places)
    hips, neck = places["Hips"], places["Neck"]
    full.setdefault("Spine", hips + 0.39 * (neck - hips))
    full.setdefault("Chest", full["Spine"] + 0.36 * (neck - full["Spine"]))
    for side in ("Left", "Right"):
        full.setdefault(side + "Shoulder", neck + 0.4 * (places[side + "Arm"] - neck))
    return {name: full[name] for name in OURS.names}


@jax.jit
def _solve(points: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Root [T, 3], rotations [T, 21, 3, 3] and joints [T, 21, 3] of points [T, 21, 3] in m."""

    def frame(left: jax.Array, up: jax.Array) -> jax.Array:
        left = unit(left)
        ahead = unit(jnp.cross(left, up))
        return jnp.stack([left, jnp.cross(ahead, left), ahead], -1)

    def way(first: str, last: str) -> jax.Array:
        return points[:, OURS.index(last)] - points[:, OURS.index(first)]

    def swung(above: jax.Array, joints: np.ndarray, children: np.ndarray) -> jax.Array:
        """Joints [K] that turn with `above` [T, K, 3, 3], by the least rotation that brings their children there."""
        now = jnp.einsum("tkab,kb->tka", above, jnp.asarray(OURS.offsets[children], points.dtype))
        return times(between(now, points[:, children] - points[:, joints]), above)

    hips = frame(way("RightUpLeg", "LeftUpLeg"), way("Hips", "Spine"))
    chest = frame(way("RightArm", "LeftArm"), way("Chest", "Neck"))
    trunk = swung(jnp.stack([hips, chest], 1), _joints("Spine", "Neck"), _joints("Chest", "Head"))
    world = {0: hips, OURS.index("Chest"): chest, OURS.index("Spine"): trunk[:, 0]}
    world |= {OURS.index("Neck"): trunk[:, 1], OURS.index("Head"): trunk[:, 1]}
    limb = jnp.stack([chest, chest, hips, hips], 1)
    for joints, children in itertools.pairwise(_LIMBS):
        limb = swung(limb, joints, children)
        world |= {int(joint): limb[:, place] for place, joint in enumerate(joints)}
    world |= {int(joint): limb[:, place] for place, joint in enumerate(_LIMBS[-1])}  # hands and toes follow
    stacked = jnp.stack([world[number] for number in range(len(OURS))], 1)
    between_legs = OURS.offsets[_joints("LeftUpLeg", "RightUpLeg")].mean(0)
    middle = 0.5 * (points[:, OURS.index("LeftUpLeg")] + points[:, OURS.index("RightUpLeg")])
    root = middle - jnp.einsum("tab,b->ta", hips, jnp.asarray(between_legs, points.dtype))
    return root, locals_of(OURS, stacked), places_of(OURS, root, stacked)


__all__ = ["Pose", "matched", "plain", "retarget"]
