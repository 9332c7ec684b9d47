"""The law of a collision: from frames before and after single hits, J = (1 + e) m_r^a v_n^b, with intervals.

m_r is the reduced mass, v_n the speed at which two discs close at their contact, J the impulse along the line of
centres there. Rigid discs without friction have a = b = 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_DRAWS = 400
_LEAST = 0.02  # of the speed limit: slower contacts are lost in a model's error


class Hits(NamedTuple):
    """H single hits of two discs. Attributes: `impulse`, `reduced` mass and `closing` speed at contact, all [H]."""

    impulse: np.ndarray
    reduced: np.ndarray
    closing: np.ndarray


def contacts(
    position: Float[np.ndarray, "hits 2 2"],
    velocity: Float[np.ndarray, "hits 2 2"],
    radius: Float[np.ndarray, "hits 2"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time [H] s of the contact of two discs that move straight, unit line of centres [H, 2] then, closing speed [H].

    The first root of |apart + moving t| = reach; NaN where there is none.
    """
    apart, moving = position[:, 1] - position[:, 0], velocity[:, 1] - velocity[:, 0]
    reach = radius.sum(axis=1)
    a, b = np.sum(moving**2, axis=1), np.sum(apart * moving, axis=1)
    c = np.sum(apart**2, axis=1) - reach**2
    root = b**2 - a * c
    time = (-b - np.sqrt(np.where(root >= 0, root, np.nan))) / np.maximum(a, 1e-12)
    normal = apart + moving * time[:, None]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return time, normal, -np.sum(moving * normal, axis=1)


def hits_of(
    position: Float[np.ndarray, "hits 2 2"],
    before: Float[np.ndarray, "hits 2 2"],
    after: Float[np.ndarray, "hits 2 2"],
    mass: Float[np.ndarray, "hits 2"],
    radius: Float[np.ndarray, "hits 2"],
    speed: float,
) -> Hits:
    """Hits from the frame before and the velocities after: J is the mean of both discs' along the line of centres."""
    _, normal, closing = contacts(position, before, radius)
    change = np.sum((after - before) * normal[:, None], axis=-1) * mass
    reduced = 1.0 / np.sum(1.0 / mass, axis=1)
    kept = closing > _LEAST * speed
    return Hits(0.5 * (change[:, 1] - change[:, 0])[kept], reduced[kept], closing[kept])


def single_hits(scenes: Mapping[str, np.ndarray], after: Float[np.ndarray, "windows discs 2"], speed: float) -> Hits:
    """Hits of two discs in windows in which neither meets anything else.

    Args: `scenes`, arrays [N, ...] of stored scenes of T frames; `after`, velocities in the third frame of each of
    their N (T - 2) windows, true or predicted.
    """
    count, frames = len(scenes["position"]), scenes["position"].shape[1] - 2
    moves = np.repeat(scenes["present"] & np.isfinite(scenes["mass"]), frames, axis=0)
    hits = scenes["hits"][:, 1:].reshape(count * frames, *scenes["hits"].shape[2:]).astype(int)
    single = (hits.sum(axis=-1) == 1) & moves
    window, first, second = np.nonzero(np.triu(hits[:, :, :-1], 1))
    kept = single[window, first] & single[window, second]
    window, pair = window[kept], np.stack([first[kept], second[kept]], axis=1)
    scene, time = np.divmod(window, frames)
    row = scene[:, None], time[:, None] + 1, pair
    return hits_of(
        scenes["position"][row].astype(float),
        scenes["velocity"][row].astype(float),
        after[window[:, None], pair].astype(float),
        scenes["mass"][scene[:, None], pair].astype(float),
        scenes["radius"][scene[:, None], pair].astype(float),
        speed,
    )


def fit(hits: Hits, seed: int = 0) -> dict[str, dict[str, float]]:
    """Restitution e, and the exponents a and b: value, low and high (95 %, bootstrap over hits).

    e is least squares of J on m_r v_n; the exponents are of log J. The mass exponent is left out where all masses are
    equal. Hits without an impulse above 0 have no logarithm: their share is given as `missed`.
    """
    pushed = hits.impulse > 0
    varied = np.ptp(hits.reduced) > 1e-6 * np.mean(hits.reduced)
    rng = np.random.default_rng(seed)
    rows = [np.arange(len(pushed)), *(rng.integers(len(pushed), size=len(pushed)) for _ in range(_DRAWS))]
    found = [_once(Hits(*(x[row] for x in hits)), bool(varied)) for row in rows]
    numbers = {
        name: {"value": found[0][name], "low": low, "high": high}
        for name in found[0]
        for low, high in [np.quantile([each[name] for each in found[1:]], [0.025, 0.975]).tolist()]
    }
    share = float(np.mean(~pushed))
    return numbers | {"missed": {"value": share, "low": share, "high": share}}


def _once(hits: Hits, varied: bool) -> dict[str, float]:
    product = hits.reduced * hits.closing
    # Relative errors are alike, whatever the mass: weight by 1 / m_r^2.
    weight = 1.0 / hits.reduced**2
    restitution = np.sum(weight * hits.impulse * product) / np.sum(weight * product**2) - 1.0
    pushed = hits.impulse > 0
    if not pushed.any():
        return {"restitution": float(restitution)}
    columns = [np.ones(pushed.sum()), np.log(hits.closing[pushed])]
    if varied:
        columns.append(np.log(hits.reduced[pushed]))
    solution = np.linalg.lstsq(np.stack(columns, axis=1), np.log(hits.impulse[pushed]), rcond=None)[0]
    names = ("exponent of speed", "exponent of mass")[: len(columns) - 1]
    return {"restitution": float(restitution)} | dict(zip(names, map(float, solution[1:]), strict=True))


__all__ = ["Hits", "contacts", "fit", "hits_of", "single_hits"]
