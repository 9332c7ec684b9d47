"""What a law of a recording is: paths from a few values, a start for the fit, and quantities with their dimensions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "B P"]
Times = Float[np.ndarray, " T"]
Points = Float[np.ndarray, "T D"]
GROWS = 0.02  # of w: damping that chance may give below 0; more is an oscillation that grows by 6 % a swing


@dataclasses.dataclass(frozen=True)
class Stretch:
    """By how much lengths in the plane of motion exceed their picture: `across` [B] and `up` [B], 1 without a tilt.
    `shear`: a plane tilted about both axes is also sheared in its picture."""

    across: np.ndarray
    up: np.ndarray
    shear: np.ndarray | float = 0.0


@dataclasses.dataclass(frozen=True)
class Quantity:
    """`values` [B], with the dimension px^`length` s^`time`."""

    values: np.ndarray
    length: int = 0
    time: int = 0
    unit: str = ""  # of a number without a dimension

    def named_unit(self, metre: str) -> str:
        """Such as "m/s²"; `metre` is the unit of length."""
        up = "·".join(_power(unit, n) for unit, n in ((metre, self.length), ("s", self.time)) if n > 0)
        down = "".join(f"/{_power(unit, -n)}" for unit, n in ((metre, self.length), ("s", self.time)) if n < 0)
        return (up or "1") + down if up or down else self.unit


@dataclasses.dataclass(frozen=True)
class Law:
    """One form of motion in the picture's plane (right, up), px and s from the first sighting.

    Attributes:
        name: as it is reported; `equation`, as text.
        names: of the P values that are fitted.
        start: (times, points) -> start values [S, P], S tries; S = 0 where the form makes no sense.
        paths: (values [B, P], times) -> [B, T, 2].
        quantities: (values [B, P], stretch) -> what is reported, by name.
        holds: whether fitted values [P] are physical, and seen for long enough in `span` s to be meant.
        prior: values [B, P] -> further residuals [B, R], in standard deviations.
        contains: forms that are special cases of this one.
        family: forms that differ in a detail (how friction goes with speed) have one; empty: none.
        sees: what of an object: "place" [T, 2], or "place in depth"; "size" [T, 1], radii; "place and turn" [T, 3], the
            angle times the radius last; "two places" [T, 4]. All in px.
    """

    name: str
    equation: str
    names: tuple[str, ...]
    start: Callable[[Times, Points], np.ndarray]
    paths: Callable[[Values, Times], np.ndarray]
    quantities: Callable[[Values, Stretch], Mapping[str, Quantity]]
    holds: Callable[[np.ndarray, float], bool] = lambda values, span: bool(np.isfinite(values).all())
    prior: Callable[[Values], np.ndarray] = lambda values: np.zeros((len(values), 0))
    contains: tuple[str, ...] = ()
    family: str = ""
    sees: str = "place"


def main_axis(points: Points) -> tuple[np.ndarray, float, np.ndarray]:
    """Centre [2], angle of the longest extent, rad, and positions [T] along it."""
    centre = points.mean(axis=0)
    direction = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    return centre, float(np.arctan2(direction[1], direction[0])), (points - centre) @ direction


def best_sine(times: Times, place: np.ndarray, most: float = 40.0) -> tuple[float, float]:
    """Angular frequency, rad/s, of the sine with a constant that fits `place` best, and the share of variance left.

    Frequencies are tried from a third of a swing in the film to four frames a swing.
    """
    span = float(times[-1] - times[0])
    fastest = 0.5 * np.pi / float(np.median(np.diff(times)))
    grid = np.arange(0.7 * np.pi, min(fastest, 2 * np.pi * most) * span, 0.25) / span
    aside = place - place.mean()
    power = float(aside @ aside)
    if not len(grid) or power == 0:
        return np.nan, 1.0
    left = []
    for w in np.array_split(grid, 1 + len(grid) * len(times) // 500_000):
        phase = w[:, None] * times
        design = np.stack([np.cos(phase), np.sin(phase), np.ones_like(phase)], axis=-1)
        right = np.einsum("gtk,t->gk", design, aside)
        matrix = np.einsum("gtk,gtl->gkl", design, design) + 1e-9 * len(times) * np.eye(3)
        left.append(power - np.sum(right * np.linalg.solve(matrix, right[..., None])[..., 0], axis=1))
    shares = np.concatenate(left) / power
    at = int(np.argmin(shares))
    return float(grid[at]), float(shares[at])


def _power(unit: str, n: int) -> str:
    return unit + ("" if n == 1 else {2: "²", 3: "³"}[n])


__all__ = ["GROWS", "Law", "Points", "Quantity", "Stretch", "Times", "Values", "best_sine", "main_axis"]
