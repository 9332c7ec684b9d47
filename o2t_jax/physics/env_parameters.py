"""The worlds' parameters, ranges and observed entries as plain data, for configs: importing it imports no JAX.

It repeats what the worlds of `physics/envs/` say; `tests/physics/test_env_parameters.py` holds the two equal.
`ballistic` and `room` are not here: their parameters are those of a law of gravity (`physics/gravity.py`), which the
user chooses.
"""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    """A constant of a world: `default` in SI units, `unit`, `meaning`."""

    default: float
    unit: str
    meaning: str


_GRAVITATION = Parameter(1.0, "m^3/(kg s^2)", "constant of gravitation G")
_STIFFNESS = "stiffness k of the spring"
_FRICTION = "friction c: a force -c v"

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "double_pendulum": {
        "mass1": Parameter(1.0, "kg", "mass of the upper bob"),
        "mass2": Parameter(1.0, "kg", "mass of the lower bob"),
        "length1": Parameter(1.0, "m", "length of the upper rod"),
        "length2": Parameter(1.0, "m", "length of the lower rod"),
        "gravity": Parameter(3.0, "m/s^2", "acceleration of gravity g"),
    },
    "gravity_three": {"gravitation": _GRAVITATION, "mass": Parameter(1.0, "kg", "mass of each body")},
    "gravity_two": {"gravitation": _GRAVITATION, "mass": Parameter(1.0, "kg", "mass of each body")},
    "oscillator": {
        "mass": Parameter(0.5, "kg", "mass m"),
        "stiffness": Parameter(2.0, "N/m", _STIFFNESS),
        "damping": Parameter(0.1, "N s/m", _FRICTION),
    },
    "oscillator_easy": {
        "mass": Parameter(1.0, "kg", "mass m"),
        "stiffness": Parameter(1.0, "N/m", _STIFFNESS),
        "damping": Parameter(0.1, "N s/m", _FRICTION),
    },
    "pendulum": {
        "mass": Parameter(1.0, "kg", "mass m of the bob"),
        "length": Parameter(1.0, "m", "length L of the rod"),
        "gravity": Parameter(9.81, "m/s^2", "acceleration of gravity g"),
        "damping": Parameter(0.1, "1/s", "friction c: an angular acceleration -c angle'"),
    },
    "spaceship": {"pull": Parameter(10.0, "m^3/s^2", "the star's mass times the constant of gravitation, GM")},
    "spring": {
        "mass": Parameter(0.5, "kg", "mass m"),
        "stiffness": Parameter(2.0, "N/m", _STIFFNESS),
        "damping": Parameter(0.0, "N s/m", _FRICTION),
    },
    "three_body": {
        "gravitation": _GRAVITATION,
        "mass0": Parameter(1.0, "kg", "mass of body 0, the one that is pushed"),
        "mass1": Parameter(1.0, "kg", "mass of body 1"),
        "mass2": Parameter(1.0, "kg", "mass of body 2"),
    },
}
"""World -> parameter -> default, unit, meaning."""

RANGES: dict[str, dict[str, tuple[float, float]]] = {
    **{world: {} for world in PARAMETERS},
    "oscillator": {"damping": (0.1, 1.0)},
    "pendulum": {"damping": (0.05, 0.5)},
}
"""World -> the parameters drawn for every sequence -> (low, high)."""


def _bodies(count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"{of}{axis}", unit) for of, unit in (("", "m"), ("v", "m/s")) for axis in _axes(count))


def _axes(count: int) -> list[str]:
    return [f"{axis}{body}" for body in range(count) for axis in "xy"]


_LINE = (("position", "m"), ("velocity", "m/s"))
STATES: dict[str, tuple[tuple[str, str], ...]] = {
    "double_pendulum": (("angle1", "rad"), ("angle2", "rad"), ("momentum1", "kg m^2/s"), ("momentum2", "kg m^2/s")),
    "gravity_three": _bodies(3),
    "gravity_two": _bodies(2),
    "oscillator": _LINE,
    "oscillator_easy": _LINE,
    "pendulum": (("angle", "rad"), ("velocity", "rad/s")),
    "spaceship": (("x", "m"), ("y", "m"), ("vx", "m/s"), ("vy", "m/s")),
    "spring": (("position", "m"), ("momentum", "kg m/s")),
    "three_body": _bodies(3),
}
"""World -> name and unit of every entry of an observed vector, in order."""

__all__ = ["PARAMETERS", "RANGES", "STATES", "Parameter"]
