"""Feet that stand are held where they stand, by inverse kinematics afterwards: a rival of penalties and gates."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from o2t_jax.physics.motion.contacts import NEAR, RATE
from o2t_jax.physics.motion.kinematics import knee
from o2t_jax.physics.motion.skeleton import OURS, SOLES

FAST = 0.8  # m/s along the ground, from which a low ankle is one that swings by
BLEND = 3  # frames before and after a stance in which its correction fades
_LEGS = tuple(tuple(OURS.index(side + name) for name in ("UpLeg", "Leg", "Foot", "Toe")) for side in ("Left", "Right"))


def lock_feet(positions: Float[np.ndarray, "clips frames joints 3"]) -> Float[np.ndarray, "clips frames joints 3"]:
    """Motions of `OURS` whose ankles stay at the mean place of each stance; knees are found again, hips stay.

    A stance is a span in which an ankle is low and slow. An ankle never sinks below its place on a flat foot, and one
    that the leg does not reach comes as near as it can.
    """
    found = np.array(positions)
    for hip, bend, ankle, toe in _LEGS:
        thigh, shin = (float(np.linalg.norm(OURS.offsets[i])) for i in (bend, ankle))
        place = found[:, :, ankle]
        wanted = place + _corrections(place)
        wanted[..., 1] = np.maximum(wanted[..., 1], SOLES[0])
        ahead = found[:, :, bend] - 0.5 * (found[:, :, hip] + place)
        at_knee, at_ankle = (np.asarray(x) for x in knee(found[:, :, hip], wanted, ahead, thigh, shin))
        found[:, :, toe] += at_ankle - place
        found[:, :, bend], found[:, :, ankle] = at_knee, at_ankle
    return found


def stances(ankle: Float[np.ndarray, "clips frames 3"]) -> Bool[np.ndarray, "clips frames"]:
    """When an ankle stands: low, and slow from the frame before or to the next."""
    steps = RATE * np.linalg.norm(np.diff(ankle[..., [0, 2]], axis=1), axis=-1)
    after, before = np.concatenate([steps, steps[:, -1:]], 1), np.concatenate([steps[:, :1], steps], 1)
    return (ankle[..., 1] - SOLES[0] < NEAR) & (np.minimum(after, before) < FAST)


def _corrections(ankle: np.ndarray) -> np.ndarray:
    """What brings each stance to its mean place along the ground [N, T, 3]; it fades over `BLEND` frames."""
    found, standing = np.zeros_like(ankle), stances(ankle)
    frames = ankle.shape[1]
    for clip, held in enumerate(standing):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]).astype(int)))
        knots: dict[int, np.ndarray] = {}
        for first, past in zip(edges[::2], edges[1::2], strict=True):
            span = ankle[clip, first:past]
            knots |= dict(zip(range(first, past), np.mean(span, axis=0) - span, strict=True))
        for first, past in zip(edges[::2], edges[1::2], strict=True):
            for away in (first - BLEND, past - 1 + BLEND):
                if not any(
                    t in knots for t in range(min(away, first), max(away, past - 1) + 1) if not first <= t < past
                ):
                    knots[int(away)] = np.zeros(3)
        if knots:
            at = sorted(knots)
            for axis in (0, 2):
                found[clip, :, axis] = np.interp(np.arange(frames), at, [knots[t][axis] for t in at])
    return found


__all__ = ["BLEND", "FAST", "lock_feet", "stances"]
