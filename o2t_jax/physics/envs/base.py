"""Common parts of worlds: parameters by keyword and by ranges, gravity laws, integrated equations of motion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from o2t_jax.config import did_you_mean
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Actions
from o2t_jax.physics.gravity import LAWS, Gravity
from o2t_jax.physics.ode import rk4_step
from o2t_jax.types import Array

Ranges = Mapping[str, tuple[float, float]]
LawParams = Mapping[str, Any]


class ParametricWorld:
    """A world whose parameters are a named tuple of numbers, `Params`, with its defaults.

    A keyword sets a parameter. `ranges={name: (low, high)}` sets the parameters drawn per sequence, in place of the
    world's own `RANGES`. A parameter set by keyword is drawn only if `ranges` names it.
    Raises: UsageError for an unknown name, a number that is not finite, one of `POSITIVE` not above 0, a bad range.
    """

    name: ClassVar[str]
    Params: ClassVar[Any]
    RANGES: ClassVar[Ranges] = {}
    POSITIVE: ClassVar[tuple[str, ...]] = ()

    def __init__(self, ranges: Ranges | None = None, **given: float) -> None:
        own = {name: limits for name, limits in self.RANGES.items() if name not in given}
        self.ranges = {
            name: _range(self.name, name, limits) for name, limits in (own if ranges is None else ranges).items()
        }
        for name in (*given, *self.ranges):
            if name not in self.Params._fields:
                raise UsageError(f"{self.name} has no parameter {name!r}: {_suggestion(name, self.Params._fields)}")
        self._nominal = self.Params(**given)
        for name, value in self._nominal._asdict().items():
            low = min(value, self.ranges.get(name, (value,))[0])
            if not math.isfinite(value) or (name in self.POSITIVE and low <= 0.0):
                wanted = "above 0" if name in self.POSITIVE else "a finite number"
                raise UsageError(f"{self.name}: {name}={low:g} must be {wanted}")

    @property
    def params(self) -> Any:
        """The default parameters, arrays []."""
        return jax.tree.map(lambda value: jnp.asarray(value, jnp.zeros(()).dtype), self._nominal)

    def draw_params(self, key: jax.Array) -> Any:
        """See `Environment.draw_params`."""
        return self.params._replace(**_draw(key, self.ranges))

    def events(self, state: Any, params: Any) -> Mapping[str, Array]:
        """No events."""
        return {}


class IntegratedWorld(ParametricWorld):
    """Equations of motion integrated by classical Runge-Kutta steps, together with the work done.

    A step is `SUBSTEPS` of them, its action held. Subclasses implement `field` and `power`.
    """

    SUBSTEPS: ClassVar[int] = 8
    order = 4
    energy_jumps: tuple[str, ...] = ()

    def field(self, state: Any, action: Array, params: Any) -> Any:
        """The state's rate of change, in the state's structure."""
        raise NotImplementedError

    def power(self, state: Any, action: Array, params: Any) -> Array:
        """Energy [K] per second that the bodies gain from the action and from friction (a loss, so negative)."""
        raise NotImplementedError

    def _advance(self, state: Any, action: Array, dt: Any, params: Any) -> tuple[Any, Array]:
        h = dt / self.SUBSTEPS

        def rate(now: tuple[Any, Array]) -> tuple[Any, Array]:
            return self.field(now[0], action, params), self.power(now[0], action, params)

        def body(now: tuple[Any, Array], _: None) -> tuple[tuple[Any, Array], None]:
            return rk4_step(rate, now, h), None

        work = jnp.zeros_like(self.power(state, action, params))
        return jax.lax.scan(body, (state, work), None, length=self.SUBSTEPS)[0]

    def step(self, state: Any, action: Array, dt: Any, params: Any) -> Any:
        """See `Environment.step`."""
        return self._advance(state, action, dt, params)[0]

    def work(self, state: Any, action: Array, dt: Any, params: Any) -> Array:
        """See `Environment.work`: the power integrated along the step, to the step's own order."""
        return self._advance(state, action, dt, params)[1]


class GravityWorld:
    """A world under a law of gravity g(z): `law` and its numbers by keyword, e.g. law="hyperbolic", g0=9.5, alpha=8.

    The default is constant gravity of 9.81 m/s^2. The parameters are the law's numbers by name; `ranges` as for
    `ParametricWorld`.
    """

    name: ClassVar[str]

    def __init__(self, law: str = "constant", ranges: Ranges | None = None, **numbers: float) -> None:
        if law == "constant" and not numbers:
            numbers = {"g0": 9.81}
        self.gravity = Gravity.of(law, **numbers)
        self.ranges = {name: _range(self.name, name, limits) for name, limits in (ranges or {}).items()}
        for name in self.ranges:
            if name not in numbers:
                raise UsageError(f"{self.name} has no parameter {name!r}: {_suggestion(name, tuple(numbers))}")

    @property
    def order(self) -> int | None:
        """Steps are exact at constant g."""
        return None if self.gravity.is_constant else 4

    @property
    def params(self) -> dict[str, jax.Array]:
        """The law's numbers [] by name."""
        names = LAWS.get(self.gravity.law).names
        return {name: jnp.asarray(value) for name, value in zip(names, self.gravity.params, strict=True)}

    def draw_params(self, key: jax.Array) -> dict[str, jax.Array]:
        """See `Environment.draw_params`."""
        return self.params | _draw(key, self.ranges)

    def law(self, params: LawParams) -> Gravity:
        """The law with these numbers, which may be traced."""
        return Gravity(self.gravity.law, tuple(params[name] for name in LAWS.get(self.gravity.law).names))


NEAREST = 0.2  # m; where attracting bodies come nearer, steps lose their order


def compass(size: float, unit: str) -> Actions:
    """Nothing, or a vector of `size` in one of eight directions of the plane, held."""
    ways = [0.25 * math.pi * i for i in range(8)]
    return Actions.choice(((0.0, 0.0), *((size * math.cos(way), size * math.sin(way)) for way in ways)), unit)


def _draw(key: jax.Array, ranges: Ranges) -> dict[str, jax.Array]:
    keys = jax.random.split(key, max(len(ranges), 1))
    return {
        name: jax.random.uniform(k, minval=low, maxval=high)
        for k, (name, (low, high)) in zip(keys, ranges.items(), strict=False)
    }


def _range(world: str, name: str, limits: Any) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        raise UsageError(f"{world}: the range of {name} is {limits!r}: give two numbers, (low, high)") from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise UsageError(f"{world}: the range of {name} is {low:g} to {high:g}: give (low, high), low first")
    return low, high


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    return did_you_mean(name, known) or f"it has {', '.join(known)}"


__all__ = ["NEAREST", "GravityWorld", "IntegratedWorld", "LawParams", "ParametricWorld", "Ranges", "compass"]
