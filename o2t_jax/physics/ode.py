"""Single steps of ordinary differential equations on pytrees, for simulated worlds and for learned dynamics alike.

`field(state) -> rate` has the state's structure. Forces held over the step and parameters are captured by its closure.
Source: Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., II.1; Hairer, Lubich &
Wanner, Geometric Numerical Integration, 2nd ed., I.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from o2t_jax.types import PyTree

Field = Callable[[Any], Any]
Acceleration = Callable[[Any, Any], Any]
"""(positions, velocities or momenta) -> the rate of one of the two."""


def _moved(state: PyTree, rate: PyTree, h: Any) -> PyTree:
    return jax.tree.map(lambda x, slope: x + h * slope, state, rate)


def euler_step(field: Field, state: PyTree, h: Any) -> PyTree:
    """One step of `h` s, first order."""
    return _moved(state, field(state), h)


def rk4_step(field: Field, state: PyTree, h: Any) -> PyTree:
    """One step of `h` s of the classical Runge-Kutta method, fourth order."""
    k1 = field(state)
    k2 = field(_moved(state, k1, 0.5 * h))
    k3 = field(_moved(state, k2, 0.5 * h))
    k4 = field(_moved(state, k3, h))
    return jax.tree.map(lambda x, a, b, c, d: x + h / 6.0 * (a + 2.0 * (b + c) + d), state, k1, k2, k3, k4)


def velocity_is(q: Any, v: Any) -> Any:
    """q' = v: the default of the partitioned steps below."""
    return v


def semi_implicit_step(
    acceleration: Acceleration, q: Any, v: Any, h: Any, velocity: Acceleration = velocity_is
) -> tuple[Any, Any]:
    """One step of `h` s of q' = velocity(q, v), v' = acceleration(q, v), v first: first order.

    Symplectic where the two are the slopes of a separable Hamiltonian (no friction).
    """
    v = v + h * acceleration(q, v)
    return q + h * velocity(q, v), v


def leapfrog_step(
    acceleration: Acceleration, q: Any, v: Any, h: Any, velocity: Acceleration = velocity_is
) -> tuple[Any, Any]:
    """One step of `h` s of q' = velocity(q, v), v' = acceleration(q, v), kick-drift-kick.

    Second order where q' depends on v alone, else first.
    Symplectic where the two are the slopes of a separable Hamiltonian (no friction). Where the acceleration depends on
    v, the second kick takes the v that Euler's step predicts, which keeps the order.
    """
    before = acceleration(q, v)
    half = v + 0.5 * h * before
    q = q + h * velocity(q, half)
    return q, half + 0.5 * h * acceleration(q, v + h * before)


__all__ = ["Acceleration", "Field", "euler_step", "leapfrog_step", "rk4_step", "semi_implicit_step", "velocity_is"]
