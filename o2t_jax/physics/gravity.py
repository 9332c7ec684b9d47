"""Gravity laws g(z): an open registry, and `Gravity`, one law with its numbers.

g(z) > 0 points down: the vertical acceleration is -g(z), z in m above the ground, g in m/s^2. Every law is plain
arithmetic, so the same function serves Python floats (the renderer's hot path), numpy and jax.numpy. The potential
U(z) per unit mass (m^2/s^2, dU/dz = g) gives the energy v^2/2 + U that elastic motion conserves.

A new law is one more `Law` in `LAWS`. `--config.world.law=NAME` then chooses it; its parameters are fields of `world`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from o2t_jax.physics.families import Param, checked, names_of, values_in
from o2t_jax.registry import Registry

HYPERBOLIC_SHIFT_M = 10.0


class Law(NamedTuple):
    """A family of gravity laws.

    Attributes: `params`, in order; `g(z, values)` m/s^2, arithmetic only; `potential(z, values)` m^2/s^2 with
    dU/dz = g and U(0) = 0; `z_min` m, the height that z must stay above (the law's pole).
    """

    name: str
    params: tuple[Param, ...]
    g: Callable[[Any, Any], Any]
    potential: Callable[[Any, Any], Any]
    z_min: float = -math.inf

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return names_of(self)


def _log1p(x: Any) -> Any:
    # math.log1p is 20 times faster on a float than numpy's; the hot path calls the potential with floats.
    if isinstance(x, float):
        return math.log1p(x)
    from o2t_jax.geometry.camera import namespace  # here: it imports JAX, which a config that names a law does not need

    return namespace(x).log1p(x)


_G0 = Param("g0", 9.81, "m/s^2")
CONSTANT = Law(
    name="constant",
    params=(_G0,),
    g=lambda z, p: p[0] + 0.0 * z,
    potential=lambda z, p: p[0] * z,
)
LINEAR = Law(
    name="linear",
    params=(_G0, Param("slope", 0.0, "g = g0 + slope z, 1/s^2")),
    g=lambda z, p: p[0] + p[1] * z,
    potential=lambda z, p: (p[0] + 0.5 * p[1] * z) * z,
)
HYPERBOLIC = Law(
    name="hyperbolic",
    params=(_G0, Param("alpha", 0.0, "g = g0 + alpha / (z + 10), m^2/s^2")),
    g=lambda z, p: p[0] + p[1] / (z + HYPERBOLIC_SHIFT_M),
    potential=lambda z, p: p[0] * z + p[1] * _log1p(z / HYPERBOLIC_SHIFT_M),
    z_min=-HYPERBOLIC_SHIFT_M,
)
INVERSE_SQUARE = Law(
    name="inverse_square",
    params=(
        Param("g_surface", 9.81, "g at z = 0, m/s^2"),
        Param("planet_radius", 6.371e6, "g = g_surface / (1 + z / planet_radius)^2, m", least=100.0),
    ),
    g=lambda z, p: p[0] / ((1.0 + z / p[1]) * (1.0 + z / p[1])),
    potential=lambda z, p: p[0] * z / (1.0 + z / p[1]),
    z_min=-100.0,  # the pole lies at -planet_radius
)

LAWS: Registry[Law] = Registry("world.law", {law.name: law for law in (CONSTANT, LINEAR, HYPERBOLIC, INVERSE_SQUARE)})


class Gravity(NamedTuple):
    """A law with its numbers, e.g. `Gravity.hyperbolic(9.5, 8.0)`: hashable, picklable, the world's hidden truth."""

    law: str
    params: tuple[float, ...]

    @classmethod
    def of(cls, law: str, **params: float) -> Gravity:
        """`Gravity.of("hyperbolic", g0=9.5, alpha=8.0)`. Raises UsageError for unknown names or non-finite numbers."""
        return cls(law, checked("gravity law", LAWS.get(law), params))

    @classmethod
    def constant(cls, g0: float) -> Gravity:
        """g = g0 (m/s^2) everywhere."""
        return cls.of("constant", g0=g0)

    @classmethod
    def hyperbolic(cls, g0: float, alpha: float) -> Gravity:
        """g = g0 + alpha / (z + 10): g0 in m/s^2, alpha in m^2/s^2."""
        return cls.of("hyperbolic", g0=g0, alpha=alpha)

    def g(self, z: Any) -> Any:
        """Acceleration downwards, m/s^2, at heights `z` [...] m."""
        return LAWS[self.law].g(z, self.params)

    def potential(self, z: Any) -> Any:
        """Potential energy per unit mass, m^2/s^2, at heights `z` [...] m; zero at z = 0."""
        return LAWS[self.law].potential(z, self.params)

    @property
    def is_constant(self) -> bool:
        """Whether g is the same at every height, so that closed forms hold."""
        return self.law == CONSTANT.name


def law_for(g0: float, alpha: float) -> Gravity:
    """Constant when alpha is 0, else hyperbolic."""
    return Gravity.constant(g0) if alpha == 0 else Gravity.hyperbolic(g0, alpha)


def gravity_of(world: Any) -> Gravity:
    """The gravity of a config's `world`, or of a run's truth.json: {law, its parameters}; hyperbolic without a law.

    Raises:
        UsageError: an unknown law, an invalid value, or a parameter that is set but belongs to another law.
    """
    law = LAWS.get(world.get("law", HYPERBOLIC.name))
    gravity = Gravity.of(law.name, **values_in(world, law, LAWS))
    # A law that is constant at these numbers becomes `constant`, so that closed forms are used.
    flat = law in (LINEAR, HYPERBOLIC) and gravity.params[1] == 0.0
    return Gravity.constant(gravity.params[0]) if flat else gravity


def truth_of(world: Any) -> dict[str, Any]:
    """A config's `world` in the form of truth.json: the law and its own parameters."""
    law = LAWS.get(world["law"])
    return {"law": law.name, **{name: world[name] for name in law.names}}


__all__ = [
    "CONSTANT",
    "HYPERBOLIC",
    "INVERSE_SQUARE",
    "LAWS",
    "LINEAR",
    "Gravity",
    "Law",
    "gravity_of",
    "law_for",
    "truth_of",
]
