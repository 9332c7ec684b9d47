"""Forces that depend on velocity: an open registry, and `Force`, one of them with its numbers.

A force here is an acceleration (per unit mass) beside gravity's g(z), a function of the velocity (x, y, z; z up) in
still air. Every one is plain arithmetic, so the same function serves Python floats (the renderer's hot path), numpy
and jax.numpy. Without one (`none`) everything runs as if this file did not exist.

A new force is one more `ForceForm` in `FORCES`. With `--config.world.force=NAME` it acts in the world, its parameters
being fields of `world`; with `--config.learn_force=NAME` the network learns its parameters, from zero.
Source: quadratic drag, e.g. Batchelor, An Introduction to Fluid Dynamics, 5.11: a = -(rho c A / 2 m) |v| v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from o2t_jax.physics.families import Param, checked, names_of, values_in
from o2t_jax.registry import Registry

Vector = tuple[Any, Any, Any]
"""(x, y, z), each a float or an array [...]."""

# (m/s)^2. Added under the root, so that the speed has a derivative at rest; changes no speed above 1e-8 m/s.
_AT_REST = 1e-24


class ForceForm(NamedTuple):
    """A family of velocity-dependent forces.

    Attributes: `params`, in order, each zero where the force is absent; `acceleration(velocity, values)` m/s^2 of a
    `Vector` m/s, arithmetic only.
    """

    name: str
    params: tuple[Param, ...]
    acceleration: Callable[[Vector, Any], Vector]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return names_of(self)


def speed_of(velocity: Vector) -> Any:
    """|v| m/s; differentiable also at rest."""
    x, y, z = velocity
    return (x * x + y * y + z * z + _AT_REST) ** 0.5


def _drag(velocity: Vector, values: Any) -> Vector:
    rate = -values[0] * speed_of(velocity)
    return rate * velocity[0], rate * velocity[1], rate * velocity[2]


NONE = ForceForm("none", (), lambda velocity, values: (0.0 * velocity[0], 0.0 * velocity[1], 0.0 * velocity[2]))
QUADRATIC_DRAG = ForceForm(
    "quadratic_drag",
    (Param("drag", 0.0, "a = -drag |v| v, so that a fall ends at sqrt(g / drag) m/s, 1/m", least=0.0),),
    _drag,
)

FORCES: Registry[ForceForm] = Registry("world.force", {form.name: form for form in (NONE, QUADRATIC_DRAG)})


class Force(NamedTuple):
    """A force with its numbers, e.g. `Force.of("quadratic_drag", drag=0.04)`: hashable, picklable."""

    form: str
    params: tuple[float, ...]

    @classmethod
    def of(cls, form: str, **params: float) -> Force:
        """Raises UsageError for an unknown form, names that are not its own, a number that is not finite or too low."""
        return cls(form, checked("force", FORCES.get(form), params))

    def acceleration(self, velocity: Vector) -> Vector:
        """m/s^2 at `velocity` m/s."""
        return FORCES[self.form].acceleration(velocity, self.params)

    @property
    def acts(self) -> bool:
        """Whether there is any force at all."""
        return any(value != 0.0 for value in self.params)


NO_FORCE = Force(NONE.name, ())


def force_of(world: Any) -> Force:
    """The force of a config's `world`, or of a run's truth.json: {force, its parameters}; none without one.

    Raises: UsageError for an unknown force, an invalid value, or a parameter that is set but belongs to another force.
    """
    form = FORCES.get(world.get("force", NONE.name))
    return Force.of(form.name, **values_in(world, form, FORCES))


def force_truth(world: Any) -> dict[str, Any]:
    """The force of a config's `world` in the form of truth.json; empty where there is none."""
    force = force_of(world)
    if force.form == NONE.name:
        return {}
    return {"force": force.form, **dict(zip(FORCES[force.form].names, force.params, strict=True))}


__all__ = [
    "FORCES",
    "NONE",
    "NO_FORCE",
    "QUADRATIC_DRAG",
    "Force",
    "ForceForm",
    "Vector",
    "force_of",
    "force_truth",
    "speed_of",
]
