"""From px to metres: what is known fixes the scale, and 95 % intervals hold the noise of the track, the scale, the
clock and the tilt of the plane of motion."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recorded.intervals import LEVEL
from o2t_jax.evaluation.recordings.fitting import STEEP, Fit
from o2t_jax.evaluation.recordings.law import Quantity, Stretch
from o2t_jax.evaluation.recordings.naming import Naming
from o2t_jax.evaluation.recordings.plane import TILT

DRAWS = 4000
KNOWABLE = ("g", "length", "rope", "distance")
LAUNCH = 0.005  # relative standard deviation of a launch's speed
AIMED = np.radians(0.5)  # and that of its angle


@dataclasses.dataclass(frozen=True)
class Scale:
    """What is known beside the film.

    Attributes: `metres_per_px` with its relative standard deviation `spread`, from two points or a diameter; `speed`
    m/s of the launch, and `angle` rad above the horizontal (None: not known, the launch is at the first sighting);
    `known`, quantities of the law in SI units (g, a pendulum's length, or its rope alone, to which
    the ball's `radius` px is added); `source`, words. Empty: no metres.
    """

    metres_per_px: float | None = None
    spread: float = 0.0
    speed: float | None = None
    angle: float | None = None
    known: Mapping[str, float] = dataclasses.field(default_factory=dict)
    radius: float = float("nan")
    source: str = "none"

    def pins(self) -> dict[str, tuple[float, float]]:
        """g in px/s^2 where it is known along with two points or a diameter."""
        if self.metres_per_px is None or "g" not in self.known:
            return {}
        value = self.known["g"] / self.metres_per_px
        return {"g": (value, max(self.spread, 1e-4) * value)}

    @property
    def ways(self) -> int:
        """How many things fix the scale."""
        return (self.metres_per_px is not None) + (self.speed is not None) + bool(self.known)


@dataclasses.dataclass(frozen=True)
class Clock:
    """`spread`, relative standard deviation of the film's seconds; `source`, words."""

    spread: float
    source: str


@dataclasses.dataclass(frozen=True)
class Measured:
    """`parameters`, name -> value, low, high, unit; `scale`, the same for px per metre (None without one)."""

    parameters: dict[str, dict[str, Any]]
    scale: dict[str, Any] | None
    refused: tuple[str, ...]


def measure_named(naming: Naming, scale: Scale, clock: Clock, tilt: float = TILT) -> Measured:
    """The quantities of the law that a naming is for; intervals allow for its other candidates. See `measure`."""
    return measure(naming.best, scale, clock, tilt, others=naming.others)


class _Drawn(NamedTuple):
    """Values [1 + DRAWS] of each quantity with its unit, the fit's first; metres a px; what could not be used."""

    quantities: dict[str, tuple[np.ndarray, str]]
    metres: np.ndarray | None
    refused: tuple[str, ...]


def measure(
    found: Fit,
    scale: Scale,
    clock: Clock,
    tilt: float = TILT,
    seed: int = 0,
    others: Sequence[tuple[Fit, float]] = (),
) -> Measured:
    """The quantities of a fit with intervals. The value is that of the fit, seen from the front.

    Args: `tilt` rad, the standard deviation of the plane's tilt about either axis; `others`, fits of laws that are not
    ruled out, with how many times as likely as `found` each is. Intervals of what they have in common are those of the
    mixture of all (Hoeting et al. 1999, Bayesian model averaging): g of a flight is less sure where it may have drag.
    Raises: UsageError where what is known is no quantity of this law.
    """
    own = _drawn(found, scale, clock, tilt, seed)
    beside = [(_drawn(each, scale, clock, tilt, seed).quantities, weight) for each, weight in others]
    parameters = {}
    for name, (values, unit) in own.quantities.items():
        same = [(told[name][0], weight) for told, weight in beside if name in told and told[name][1] == unit]
        parameters[name] = _interval(_mixed(values, same), unit)
    shown = None if own.metres is None else _interval(1 / own.metres, "px/m")
    lost = [name for name, entry in parameters.items() if entry["unit"] == "deg" and _is_open(entry)]
    told = {name: entry for name, entry in parameters.items() if name not in lost}
    refused = tuple(f"{name}: these frames leave more than 90 deg open; what begins at rest has none" for name in lost)
    return Measured(told, shown, own.refused + refused)


def _drawn(found: Fit, scale: Scale, clock: Clock, tilt: float, seed: int) -> _Drawn:
    rng = np.random.default_rng(seed)
    size = len(found.law.names)
    best = found.values[None]
    draws = np.concatenate([best, found.draws(DRAWS, seed)])
    # The plane's tilts that were fitted from perspective say how much lengths shrink; without, the prior does.
    fitted = draws[1:, size : size + 2].clip(-STEEP, STEEP)  # Student's tails know no prior
    tilts = fitted * tilt if draws.shape[1] > size else rng.normal(0, tilt, (DRAWS, 2))
    inverse = np.concatenate([np.ones((1, 2)), 1 / np.cos(tilts)])
    shear = np.concatenate([[0.0], 0.5 * np.prod(np.tan(tilts), axis=1)])
    stretch = Stretch(across=inverse[:, 0], up=inverse[:, 1], shear=shear)
    with np.errstate(all="ignore"):
        quantities = found.law.quantities(draws[:, :size], stretch)
    seconds = np.concatenate([[1.0], 1 + clock.spread * rng.normal(size=DRAWS)])
    metres, refused = _metres(quantities, scale, seconds, rng)
    drawn = {}
    for name, quantity in quantities.items():
        to_metres = 1.0 if metres is None or not quantity.length else metres**quantity.length
        unit = quantity.named_unit("px" if metres is None else "m")
        drawn[name] = quantity.values * to_metres * seconds**quantity.time, unit
    lost = tuple(f"{name} in metres: no scale" for name, q in quantities.items() if q.length and metres is None)
    return _Drawn(drawn, metres, refused + lost)


def _mixed(values: np.ndarray, others: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    """The first of `values`, then draws of all by their weights; that of `values` is 1."""
    parts = [(values, 1.0), *others]
    total = sum(weight for _, weight in parts)
    return np.concatenate([values[:1], *(drawn[1 : 1 + round(DRAWS * weight / total)] for drawn, weight in parts)])


def _metres(
    quantities: Mapping[str, Quantity], scale: Scale, seconds: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Metres a px for each draw, and what could not be used. Two points or a diameter come first."""
    if scale.metres_per_px is not None:
        draws = np.exp(scale.spread * rng.normal(size=len(seconds)))
        draws[0] = 1.0
        return scale.metres_per_px * draws, ()
    if "rope" in scale.known and "length" in quantities:
        noise = rng.normal(size=len(seconds))
        noise[0] = 0.0
        return scale.known["rope"] / (quantities["length"].values - scale.radius - 0.5 * noise), ()
    for name, value in scale.known.items():
        quantity = quantities.get(name)
        if quantity is not None and quantity.length:
            raw = quantity.values * seconds**quantity.time
            with np.errstate(all="ignore"):
                return (value / raw) ** (1 / quantity.length), ()
    refused = tuple(f"known {name}: not a quantity of this motion" for name in scale.known)
    if scale.speed is not None:
        name = "speed" if scale.angle is None else "horizontal_speed"
        if name not in quantities:
            return None, (*refused, "launch speed: this motion has no launch")
        noise = rng.normal(size=(2, len(seconds)))
        noise[:, 0] = 0.0
        level = 1.0 if scale.angle is None else np.cos(scale.angle + AIMED * noise[0])
        value = scale.speed * level * (1 + LAUNCH * noise[1])
        return value / (quantities[name].values / seconds), refused
    return None, refused


def _interval(values: np.ndarray, unit: str) -> dict[str, Any]:
    """The first draw is the value, the quantiles of the others are the ends; a high end that is no number is None.

    A draw that is no number, such as the terminal speed of a flight whose drag may be none, counts as an infinite one.
    """
    value, rest = float(values[0]), np.where(np.isnan(values[1:]), np.inf, values[1:])
    low = float(np.quantile(rest, (1 - LEVEL) / 2, method="lower"))
    high = float(np.quantile(rest, (1 + LEVEL) / 2, method="higher"))
    if not np.isfinite(low):
        finite = rest[np.isfinite(rest)]
        low = float(np.quantile(finite, (1 - LEVEL) / 2)) if len(finite) else np.nan
    if not np.isfinite(value):
        return {"value": None, "low": low, "high": None, "unit": unit}
    open_ = not np.isfinite(high)
    return {"value": value, "low": min(value, low), "high": None if open_ else max(value, high), "unit": unit}


def _is_open(angle: Mapping[str, Any]) -> bool:
    """Whether an interval of a direction leaves a right angle and more."""
    return angle["value"] is None or angle["high"] is None or angle["high"] - angle["low"] > 90


def told_entry(entry: Mapping[str, Any]) -> str:
    """Value, interval and unit of one of the parameters in result.json, as a text."""
    if None not in (entry["value"], entry["high"]) and np.isclose(entry["low"], entry["high"], rtol=1e-9, atol=0):
        return f"{entry['value']:.5g} {entry['unit']} (given)"
    value, low, high = ("-" if entry[key] is None else f"{entry[key]:.5g}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}) {entry['unit']}".rstrip()


def diameter_scale(metres: float, radius: float) -> Scale:
    """From a sphere's diameter and its radius in the picture, px, which blur and thresholds leave open by half a px."""
    if not radius > 1:
        raise UsageError(f"--diameter needs the object's size in the picture, which is {radius:.1f} px: give --scale")
    return Scale(metres / (2 * radius), 0.5 / radius, source=f"diameter {metres:g} m is {2 * radius:.1f} px")


def points_scale(points: tuple[float, float, float, float], metres: float, error: float = 0.0) -> Scale:
    """From two points (x1, y1, x2, y2) that are `metres` apart, each read to 1 px, and a further relative `error`."""
    length = float(np.hypot(points[2] - points[0], points[3] - points[1]))
    if not (length > 2 and metres > 0):
        raise UsageError(f"--scale: two points {length:g} px apart cannot be {metres:g} m: give points farther apart")
    return Scale(metres / length, float(np.hypot(1.0 / length, error)), source=f"{length:.1f} px are {metres:g} m")


__all__ = [
    "DRAWS",
    "KNOWABLE",
    "Clock",
    "Measured",
    "Scale",
    "diameter_scale",
    "measure",
    "measure_named",
    "points_scale",
    "told_entry",
]
