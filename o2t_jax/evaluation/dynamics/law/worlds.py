"""The worlds' own equations in terms of the library: which terms, which number stands for which parameter, its
truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.dynamics.law.equations import Equation
from o2t_jax.evaluation.dynamics.law.terms import MOMENTUM_GAIN, kind_of, library_terms
from o2t_jax.physics.environment import Layout


class Reading(NamedTuple):
    """A parameter as it is reported: `sign` times the equation's `parameter`; `truth` from the world's parameters."""

    name: str
    parameter: str
    sign: float
    unit: str
    truth: Callable[[Any], Any] | None = None


class Law(NamedTuple):
    """What a world obeys: `terms` of the library (empty where `whole` is an equation of its own) and its readings."""

    terms: tuple[str, ...]
    readings: tuple[Reading, ...]
    varying: tuple[tuple[str, str], ...] = ()  # (the world's parameter, the library's) of those drawn per sequence
    whole: Equation | None = None


def _double_pendulum(state: Any, action: Any, theta: Any) -> jax.Array:
    a1, a2, p1, p2 = state
    upper, lower, both, pull1, pull2, gain = theta
    cross = both * jnp.cos(a1 - a2)
    size = upper * lower - cross**2
    w1, w2 = (lower * p1 - cross * p2) / size, (upper * p2 - cross * p1) / size
    coupling = both * w1 * w2 * jnp.sin(a1 - a2)
    return jnp.stack([w1, w2, gain * action[0] - coupling - pull1 * jnp.sin(a1), coupling - pull2 * jnp.sin(a2)])


DOUBLE_PENDULUM = Equation(
    "double pendulum: H = p M(a)^-1 p / 2 - W1 cos a1 - W2 cos a2",
    ("inertia1", "inertia2", "coupling", "weight1", "weight2", "torque gain"),
    ("",) * 6,
    (1.5, 1.0, 0.7, 5.0, 2.0, 1.0),
    _double_pendulum,
)
"""In canonical momenta: M11 = (m1 + m2) L1^2, M22 = m2 L2^2, M12 = m2 L1 L2 cos(a1 - a2), W1 = (m1 + m2) g L1,
W2 = m2 g L2. Its rates are no sum of library terms, so it competes as a whole equation."""

_OSCILLATOR = Law(
    ("x", "v", "u"),
    (
        Reading("stiffness_per_mass", "x", -1.0, "1/s^2", lambda p: p.stiffness / p.mass),
        Reading("damping_per_mass", "v", -1.0, "1/s", lambda p: p.damping / p.mass),
        Reading("force_gain", "u", 1.0, "1/kg", lambda p: 1.0 / p.mass),
    ),
    (("damping", "v"),),
)


def _attraction(count: int, mass: Callable[[Any, int], Any]) -> Law:
    pulls = tuple(
        Reading(f"pull{i}", f"1/r_ij^p[{i}]", -1.0, "m^3/s^2", lambda p, i=i: p.gravitation * mass(p, i))
        for i in range(count)
    )
    power = Reading("exponent", "exponent of 1/r_ij^p", 1.0, "", lambda p: 2.0)
    return Law(("1/r_ij^p", "u"), (*pulls, power, Reading("force_gain", "u", 1.0, "1/kg", lambda p: 1.0 / mass(p, 0))))


LAWS: dict[str, Law] = {
    "oscillator": _OSCILLATOR,
    "oscillator_easy": _OSCILLATOR,
    "drag_oscillator": Law(
        ("x", "v|v|", "u"),
        (
            _OSCILLATOR.readings[0],
            Reading("quadratic_drag", "v|v|", -1.0, "1/m", lambda p: p.drag / p.mass),
            _OSCILLATOR.readings[2],
        ),
    ),
    "pendulum": Law(
        ("v", "sin x", "u"),
        (
            Reading("gravity_per_length", "sin x", -1.0, "1/s^2", lambda p: p.gravity / p.length),
            Reading("damping", "v", -1.0, "1/s", lambda p: p.damping),
            Reading("torque_gain", "u", 1.0, "1/(kg m^2)", lambda p: 1.0 / (p.mass * p.length**2)),
        ),
        (("damping", "v"),),
    ),
    "spring": Law(
        ("x", "u"),
        (
            Reading("stiffness", "x", -1.0, "N/m", lambda p: p.stiffness),
            Reading("inverse_mass", MOMENTUM_GAIN, 1.0, "1/kg", lambda p: 1.0 / p.mass),
            Reading("force_gain", "u", 1.0, "", lambda p: 1.0),
        ),
    ),
    "spaceship": Law(
        ("1/r^p", "u"),
        (
            Reading("pull", "1/r^p", -1.0, "m^3/s^2", lambda p: p.pull),
            Reading("exponent", "exponent of 1/r^p", 1.0, "", lambda p: 2.0),
            Reading("thrust_gain", "u", 1.0, "", lambda p: 1.0),
        ),
    ),
    "three_body": _attraction(3, lambda p, i: (p.mass0, p.mass1, p.mass2)[i]),
    "gravity_two": _attraction(2, lambda p, i: p.mass),
    "gravity_three": _attraction(3, lambda p, i: p.mass),
    "double_pendulum": Law(
        (),
        (
            Reading("inertia1", "inertia1", 1.0, "kg m^2", lambda p: (p.mass1 + p.mass2) * p.length1**2),
            Reading("inertia2", "inertia2", 1.0, "kg m^2", lambda p: p.mass2 * p.length2**2),
            Reading("coupling", "coupling", 1.0, "kg m^2", lambda p: p.mass2 * p.length1 * p.length2),
            Reading("weight1", "weight1", 1.0, "N m", lambda p: (p.mass1 + p.mass2) * p.gravity * p.length1),
            Reading("weight2", "weight2", 1.0, "N m", lambda p: p.mass2 * p.gravity * p.length2),
            Reading("torque_gain", "torque gain", 1.0, "", lambda p: 1.0),
        ),
        whole=DOUBLE_PENDULUM,
    ),
}
"""World -> its equation. With an exponent p other than 2 the unit of a pull is m^(p + 1)/s^2."""

GENERAL = {
    "1": ("constant", 1.0),
    "x": ("stiffness_per_mass", -1.0),
    "v": ("damping_per_mass", -1.0),
    "sin x": ("gravity_per_length", -1.0),
    "x^2": ("quadratic_stiffness", -1.0),
    "x^3": ("cubic_stiffness", -1.0),
    "v|v|": ("quadratic_drag", -1.0),
    "1/r^p": ("pull", -1.0),
    "exponent of 1/r^p": ("exponent", 1.0),
    "exponent of 1/r_ij^p": ("exponent", 1.0),
    "u": ("force_gain", 1.0),
}


def truth_of(equation: Equation, law: Law, params: Any) -> np.ndarray:
    """theta [P] of a world's law with these parameters; 0 for what it lacks."""
    theta = np.where(equation.free(law.terms), equation.start, 0.0) if law.terms else np.array(equation.start)
    for reading in law.readings:
        if reading.truth is not None:
            theta[equation.index(reading.parameter)] = reading.sign * float(reading.truth(params))
    return theta


def readings_of(equation: Equation, terms: Sequence[str], law: Law | None = None) -> tuple[Reading, ...]:
    """How to report the parameters that a form has: the world's own names, with its truth, else the terms' names.

    A parameter that the form has and the world's law has not is reported without a truth, never left out.
    """
    own = {reading.parameter: reading for reading in (law.readings if law else ())}
    out = []
    for name, term in zip(equation.names, equation.terms, strict=True):
        if term and term not in terms:
            continue
        label, sign = GENERAL.get(name, (name, 1.0))
        out.append(own.get(name) or Reading(label, name, sign, ""))
    return tuple(out)


def text_of(layout: Layout, actions: int, terms: Sequence[str]) -> str:
    """The form as a line of text, such as "x'' = -a x - b x' + d u": a letter a term, in the library's order."""
    left, parts = ("q''" if kind_of(layout) == "planar" else "x''"), []
    letters = iter("abcdefghijk")
    for term in library_terms(layout, actions):
        letter = next(letters)
        if term.name in terms:
            sign = "+" if term.name.startswith(("u", "1")) and "r" not in term.name else "-"
            parts.append((sign, f"{letter} {term.text}".strip()))
    if not parts:
        return f"{left} = 0"
    first, rest = parts[0], parts[1:]
    return f"{left} = {'-' if first[0] == '-' else ''}{first[1]}" + "".join(f" {sign} {text}" for sign, text in rest)


__all__ = ["DOUBLE_PENDULUM", "GENERAL", "LAWS", "Law", "Reading", "readings_of", "text_of", "truth_of"]
