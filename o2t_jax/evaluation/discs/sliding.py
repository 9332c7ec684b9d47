"""A disc between two events: straight motion that sliding friction slows, fitted to the longest stretch that it holds.

Coulomb friction of a disc that slides without tumbling is a deceleration of constant size a, against the velocity; the
disc then rests. Real paths curve a little (a table that is not level, a disc that spins, a lens), which a constant
acceleration across the path takes up. Errors of a tracked place are neither of known size nor independent, so both are
read off the residuals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.fft import dct
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

FEWEST = 8  # samples of a stretch
FIRST = 12  # of the shortest that is tried where there are more
GROWTH = 1.25  # a longer stretch is tried with so many times the samples
LEVEL = 0.01  # probability under which a longer stretch is taken to hold more than sliding
REFUSED = 0.001  # probability under which the shortest one is
JUMP = (
    1.6  # growth of the noise in one step that only something new explains, such as a kink, which no polynomial shows
)
RICH = 4  # degree of the polynomials that show what sliding leaves
UNMOVED = 3.0  # a disc that moved by fewer standard deviations of its places is taken to have rested
MOST_MEMORY = 0.95  # of the correlation of neighbours
SLOWEST = 4  # cosines that tell the power of slow errors
LEAST_NOISE = 1e-4  # of the distance at contact: rounding, and steps of whatever made a track without noise
_STEP = 1e-6

Residuals = Callable[[np.ndarray], np.ndarray]
"""Rows of parameters [B, P] -> residuals [B, N]."""


class Stretch(NamedTuple):
    """One disc before (`side` -1) or after (+1) a contact.

    Attributes: `times` [n] since the contact, nearest first, and `places` [n, 2]; `slides`, False where it does not
    move enough for friction to act on it; `motion` [6]: place and velocity at the contact, deceleration, acceleration
    to the left (of x right and y up); `noise`, standard deviation of a coordinate; `memory`, by how much neighbours'
    correlation raises the variance of a mean.
    """

    disc: int
    side: int
    times: np.ndarray
    places: np.ndarray
    slides: bool
    motion: np.ndarray
    noise: float
    memory: float


def displacement(
    velocity: Float[np.ndarray, "*batch 2"],
    deceleration: Float[np.ndarray, "*batch"],
    across: Float[np.ndarray, "*batch"],
    elapsed: np.ndarray,
) -> Float[np.ndarray, "*batch times 2"]:
    """How far a sliding disc is from where it was at time 0 with `velocity`, at `elapsed` [n], which may be negative.

    Forward it stops after |v| / a; backward it was faster. A negative deceleration, which a fit to noise may give,
    never stops it. `across` is an acceleration to the left of the first velocity, small beside the deceleration.
    """
    speed = np.sqrt(np.sum(velocity**2, axis=-1))[..., None] + 1e-12
    a, b = np.asarray(deceleration)[..., None], np.asarray(across)[..., None]
    with np.errstate(divide="ignore"):
        lasting = np.where(a > 0, speed / np.where(a > 0, a, 1.0), np.inf)
    t = np.minimum(elapsed, lasting)
    left = np.stack([-velocity[..., 1], velocity[..., 0]], axis=-1)
    along = (t * (1 - 0.5 * a * t / speed))[..., None]
    return velocity[..., None, :] * along + left[..., None, :] * (0.5 * b * t**2 / speed)[..., None]


def minimise(residuals: Residuals, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares by Levenberg-Marquardt: parameters [P] and residuals [N] there."""
    steps = _STEP * np.eye(len(start))

    def slopes(values: np.ndarray) -> np.ndarray:
        moved = residuals(np.concatenate([values[None], values + steps]))
        return ((moved[1:] - moved[0]) / _STEP).T

    found = least_squares(
        lambda values: residuals(values[None])[0],
        start,
        jac=slopes,  # pyright: ignore[reportArgumentType]
        method="lm",
        ftol=1e-9,
        xtol=1e-9,
        max_nfev=100,
    )
    return found.x, found.fun


def memory_of(residuals: Float[np.ndarray, "times 2"], parameters: int) -> float:
    """How much the errors' correlation raises the variance of a mean, at least 1: the larger of two estimates.

    (1 + r) / (1 - r) at the correlation r of neighbours, and the power of the slowest cosines that a fit with
    `parameters` an axis leaves, over that of all: errors that depend on the place (a marked table, uneven light) change
    slowly under noise that is white. Residuals look less correlated than the errors are, by about parameters / count
    (Marriott & Pope 1954 for the mean); this is added.
    """
    count = len(residuals)
    total = float(np.sum(residuals**2))
    if count <= parameters + 3 or total <= 0:
        return 1.0
    seen = float(np.sum(residuals[1:] * residuals[:-1])) / total
    r = np.clip((seen + parameters / count) / (1 - 3 / count), 0.0, MOST_MEMORY)
    slow = np.asarray(dct(residuals, axis=0, norm="ortho"))[parameters : parameters + max(SLOWEST, count // 6)]
    return max(float((1 + r) / (1 - r)), float(np.mean(slow**2) / (total / (2 * (count - parameters)))))


def fit_stretch(disc: int, side: int, times: np.ndarray, places: np.ndarray) -> Stretch | None:
    """The longest stretch from the contact at time 0 on that straight sliding holds.

    Args: `times` [n] of one sign and `places` [n, 2], at least `FEWEST`; lengths and times of order 1. Longer stretches
    are tried until polynomials of degree `RICH` find more than sliding in the residuals, or these jump up; then one
    step back, as the first samples of something else do not show yet. None where not even `FEWEST` samples are a slide.
    """
    nearest = np.argsort(np.abs(times), kind="stable")
    times, places = times[nearest], places[nearest]
    rest = _longest(disc, side, times, places, slides=False)
    if rest is not None and not _unmoved(rest):
        rest = None
    if rest is not None and side < 0:
        return rest
    slide = _longest(disc, side, times, places, slides=True)
    if rest is not None and (slide is None or len(rest.times) >= len(slide.times)):
        # A slide so short that no sample shows it fits any velocity; the rest does not.
        return rest._replace(slides=True)
    return slide


def _unmoved(rest: Stretch) -> bool:
    """Whether a stretch of constant velocity is one of rest."""
    moved = np.hypot(*rest.motion[2:4]) * np.ptp(rest.times)
    spread = rest.noise * np.sqrt(rest.memory * 12 / len(rest.times))  # of a line's rise over its whole length
    return bool(moved < max(UNMOVED * rest.noise, 4 * spread))


def _longest(disc: int, side: int, times: np.ndarray, places: np.ndarray, slides: bool) -> Stretch | None:
    counts = [min(FIRST, len(times))]
    while counts[-1] < len(times):
        counts.append(min(len(times), int(counts[-1] * GROWTH)))
    kept: list[Stretch] = []
    for count in counts:
        found, probability = _fit(disc, side, times[:count], places[:count], slides, kept[-1].motion if kept else None)
        if probability < LEVEL or (kept and found.noise > JUMP * max(kept[-1].noise, LEAST_NOISE)):
            break
        kept.append(found)
    else:
        return kept[-1]
    if kept:
        return kept[-2] if len(kept) > 1 else kept[0]
    found, probability = _fit(disc, side, times[:FEWEST], places[:FEWEST], slides, None)
    return found if probability >= REFUSED else None


def _fit(
    disc: int, side: int, times: np.ndarray, places: np.ndarray, slides: bool, start: np.ndarray | None
) -> tuple[Stretch, float]:
    """The stretch, and the probability that sliding alone leaves residuals as structured as these."""
    count = len(times)
    basis = np.vander(times / np.abs(times).max(), RICH + 1, increasing=True)
    line, *_ = np.linalg.lstsq(np.vander(times, 2, increasing=True), places, rcond=None)
    motion = np.concatenate([line[0], line[1], [0.0, 0.0]])
    if slides:
        motion = _slide(times, places, motion if start is None else start)
    left = places - motion[:2] - displacement(motion[2:4], motion[4], motion[5], times)
    richer = left - basis @ np.linalg.lstsq(basis, left, rcond=None)[0]
    order = np.argsort(times)
    parameters = 6 if slides else 4
    noise = np.sqrt(np.sum(left**2) / (2 * count - parameters))
    found = Stretch(
        disc,
        side,
        times,
        places,
        slides,
        motion,
        max(float(noise), LEAST_NOISE),
        memory_of(left[order], parameters // 2),
    )
    spare = 2 * (count - RICH - 1)
    if spare < 2:
        return found, 1.0
    extra = 2 * (RICH + 1) - parameters
    gain = (np.sum(left**2) - np.sum(richer**2)) / extra / memory_of(richer[order], RICH + 1)
    return found, float(f_distribution.sf(gain / (np.sum(richer**2) / spare + 1e-18), extra, spare))


def _slide(times: np.ndarray, places: np.ndarray, start: np.ndarray) -> np.ndarray:
    def left(values: np.ndarray) -> np.ndarray:
        path = values[:, None, :2] + displacement(values[:, 2:4], values[:, 4], values[:, 5], times)
        return (path - places).reshape(len(values), -1)

    return minimise(left, start)[0]


__all__ = ["FEWEST", "Stretch", "displacement", "fit_stretch", "memory_of", "minimise"]
