"""Gravity laws g(z): an open registry, and `Gravity`, one law with its numbers.

g(z) > 0 points down: the vertical acceleration is -g(z), z in m above the ground, g in m/s^2. Every law is plain
arithmetic, so the same function serves Python floats (the renderer's hot path), numpy and jax.numpy; the potential
U(z) per unit mass (m^2/s^2, dU/dz = g) gives the energy v^2/2 + U that elastic motion keeps.

A new law is one more `Law` in `LAWS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from o2t_jax.errors import UsageError
from o2t_jax.registry import Registry

HYPERBOLIC_SHIFT_M = 10.0


class Law(NamedTuple):
    """A family of gravity laws.

    Attributes: `names`, the parameters in order; `g(z, params)` m/s^2, arithmetic only; `potential(z, params)`
    m^2/s^2 with dU/dz = g and U(0) = 0; `z_min` m, the height that z must stay above (the law's pole).
    """

    name: str
    names: tuple[str, ...]
    g: Callable[[Any, Any], Any]
    potential: Callable[[Any, Any], Any]
    z_min: float = -math.inf


def _log1p(x: Any) -> Any:
    # math.log1p is 20 times faster on a float than numpy's; the hot path calls the potential with floats.
    if isinstance(x, float):
        return math.log1p(x)
    from o2t_jax.geometry.camera import namespace  # it imports JAX, and a config names laws without

    return namespace(x).log1p(x)


CONSTANT = Law(
    name="constant",
    names=("g0",),
    g=lambda z, p: p[0] + 0.0 * z,
    potential=lambda z, p: p[0] * z,
)
LINEAR = Law(
    name="linear",
    names=("g0", "slope"),
    g=lambda z, p: p[0] + p[1] * z,
    potential=lambda z, p: (p[0] + 0.5 * p[1] * z) * z,
)
HYPERBOLIC = Law(
    name="hyperbolic",
    names=("g0", "alpha"),
    g=lambda z, p: p[0] + p[1] / (z + HYPERBOLIC_SHIFT_M),
    potential=lambda z, p: p[0] * z + p[1] * _log1p(z / HYPERBOLIC_SHIFT_M),
    z_min=-HYPERBOLIC_SHIFT_M,
)
INVERSE_SQUARE = Law(
    name="inverse_square",
    names=("g_surface", "planet_radius"),
    g=lambda z, p: p[0] / ((1.0 + z / p[1]) * (1.0 + z / p[1])),
    potential=lambda z, p: p[0] * z / (1.0 + z / p[1]),
    # The pole lies at -planet_radius; a planet smaller than a room is refused by `Gravity.of`.
    z_min=-100.0,
)

LAWS: Registry[Law] = Registry("world.law", {law.name: law for law in (CONSTANT, LINEAR, HYPERBOLIC, INVERSE_SQUARE)})


class Gravity(NamedTuple):
    """A law with its numbers, e.g. `Gravity.hyperbolic(9.5, 8.0)`: hashable, picklable, the world's hidden truth."""

    law: str
    params: tuple[float, ...]

    @classmethod
    def of(cls, law: str, **params: float) -> Gravity:
        """`Gravity.of("hyperbolic", g0=9.5, alpha=8.0)`. Raises UsageError for unknown names or numbers not finite."""
        family = LAWS.get(law)
        if set(params) != set(family.names):
            given = ", ".join(params) or "nothing"
            raise UsageError(f"gravity law {law!r} takes {', '.join(family.names)}; got {given}")
        for name, value in params.items():
            if not math.isfinite(value):
                raise UsageError(f"gravity law {law!r}: {name} = {value} is not a finite number; give one in SI units")
        if law == INVERSE_SQUARE.name and params["planet_radius"] <= -INVERSE_SQUARE.z_min:
            limit = -INVERSE_SQUARE.z_min
            raise UsageError(f"planet_radius = {params['planet_radius']} m is below the limit of {limit} m; raise it")
        return cls(law, tuple(float(params[name]) for name in family.names))

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
    """The world of config `world.g0`, `world.alpha`: constant when alpha is 0, else hyperbolic."""
    return Gravity.constant(g0) if alpha == 0 else Gravity.hyperbolic(g0, alpha)


__all__ = [
    "CONSTANT",
    "HYPERBOLIC",
    "INVERSE_SQUARE",
    "LAWS",
    "LINEAR",
    "Gravity",
    "Law",
    "law_for",
]
