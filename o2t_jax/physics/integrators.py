"""Motion in a gravity law: one-dimensional, exact at constant g and fourth order otherwise; with a force, in three.

`rkn4_step` is pure arithmetic and serves floats, numpy and jax.numpy. The flights are the renderer's hot path. They use
plain floats, a few microseconds each; an array of two balls would cost ten times as much in call overhead.
Source: Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, 2nd ed., II.14 (Nystrom's method).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

Acceleration = Callable[[Any], Any]
Vector = tuple[Any, Any, Any]
Pull = Callable[[Vector, Vector], Vector]
"""(position, velocity) -> acceleration m/s^2, z up."""

FLIGHT_STEP_S = 0.05  # an error of 1e-7 m after 3 s in a law of scale 10 m
_NEWTON_STEPS = 3


def rkn4_step(g: Acceleration, z: Any, v: Any, h: Any) -> tuple[Any, Any]:
    """One step of z'' = -g(z) by Nystrom's fourth-order method; exact when g is constant.

    Args: height `z` m, velocity `v` m/s (upwards), step `h` s. Returns the new (z, v).
    """
    half = 0.5 * h
    k1 = g(z)
    k2 = g(z + half * v - 0.125 * h * h * k1)
    k3 = g(z + h * v - half * h * k2)
    return z + h * v - h * h * (k1 + 2.0 * k2) / 6.0, v - h * (k1 + 4.0 * k2 + k3) / 6.0


def rkn4_vector_step(pull: Pull, x: Vector, v: Vector, h: Any) -> tuple[Vector, Vector]:
    """One step of x'' = pull(x, x') in three dimensions by Nystrom's fourth-order method (II.14, with x' in the force).

    Args: position `x` m, velocity `v` m/s, step `h` s. Returns the new (x, v).
    """
    half, quarter, sixth = 0.5 * h, 0.25 * h * h, h / 6.0
    k1 = pull(x, v)
    middle = tuple(a + half * b for a, b in zip(x, v, strict=True))
    k2 = pull(middle, tuple(b + half * c for b, c in zip(v, k1, strict=True)))
    k3 = pull(
        tuple(a + quarter * c for a, c in zip(middle, k1, strict=True)),
        tuple(b + half * c for b, c in zip(v, k2, strict=True)),
    )
    k4 = pull(
        tuple(a + h * b + 2.0 * quarter * c for a, b, c in zip(x, v, k2, strict=True)),
        tuple(b + h * c for b, c in zip(v, k3, strict=True)),
    )
    moved = tuple(a + h * b + h * sixth * (c1 + c2 + c3) for a, b, c1, c2, c3 in zip(x, v, k1, k2, k3, strict=True))
    faster = tuple(b + sixth * (c1 + 2.0 * (c2 + c3) + c4) for b, c1, c2, c3, c4 in zip(v, k1, k2, k3, k4, strict=True))
    return moved, faster


def semi_implicit_euler_step(g: Acceleration, z: Any, v: Any, h: Any) -> tuple[Any, Any]:
    """One step of z'' = -g(z), velocity first: first order, symplectic. The public benchmark's integrator."""
    v = v - h * g(z)
    return z + h * v, v


class VerticalMotion(Protocol):
    """Vertical motion without contact from t = 0 on."""

    def state(self, t: float) -> tuple[float, float]:
        """(z m, v m/s) at time `t` >= 0 s."""
        ...

    def time_down(self, until: float, level: float, scale: float = 1.0, drift: float = 0.0) -> float:
        """First time s at which scale * z(t) + drift * t falls through `level`; inf if not before `until`.

        With scale = cos(slope) and drift from the horizontal motion this is the contact with an inclined plane.
        """
        ...

    def apex(self, until: float) -> float:
        """Time s at which v falls through zero: 0 when it starts downwards, inf when not before `until`."""
        ...


class ConstantGravityMotion:
    """A parabola."""

    __slots__ = ("g", "v", "z")

    def __init__(self, g: float, z: float, v: float):
        self.g, self.z, self.v = g, z, v

    def state(self, t: float) -> tuple[float, float]:
        return self.z + t * (self.v - 0.5 * self.g * t), self.v - self.g * t

    def time_down(self, until: float, level: float, scale: float = 1.0, drift: float = 0.0) -> float:
        g, v, gap = scale * self.g, scale * self.v + drift, scale * self.z - level
        discriminant = v * v + 2.0 * g * gap
        if discriminant < 0.0:
            return math.inf
        root = math.sqrt(discriminant)
        # Each branch adds numbers of one sign: no cancellation.
        if v < 0.0:
            time = 2.0 * gap / (root - v)
        elif g > 0.0:
            time = (v + root) / g
        else:
            return math.inf
        return time if 0.0 <= time < until else math.inf

    def apex(self, until: float) -> float:
        if self.v <= 0.0:
            return 0.0
        time = self.v / self.g if self.g > 0.0 else math.inf
        return time if time < until else math.inf


class NystromMotion:
    """Motion in g(z) on a fixed grid that grows when later times are requested; one shorter step between grid points.

    Global error O(h^4) at all times; contacts are solved to rounding by Newton's method on that dense output.
    """

    __slots__ = ("g", "h", "v", "z")

    def __init__(self, g: Acceleration, z: float, v: float, h: float = FLIGHT_STEP_S):
        self.g, self.h = g, h
        self.z, self.v = [z], [v]

    def _grow(self, size: int) -> None:
        g, h, zs, vs = self.g, self.h, self.z, self.v
        z, v = zs[-1], vs[-1]
        for _ in range(size - len(zs)):
            z, v = rkn4_step(g, z, v, h)
            zs.append(z)
            vs.append(v)

    def state(self, t: float) -> tuple[float, float]:
        i = int(t / self.h)
        if i >= len(self.z):
            self._grow(i + 1)
        return rkn4_step(self.g, self.z[i], self.v[i], t - i * self.h)

    def time_down(self, until: float, level: float, scale: float = 1.0, drift: float = 0.0) -> float:
        h, zs = self.h, self.z
        gap, i = scale * zs[0] - level, 0
        while i * h < until:
            if i + 1 >= len(zs):
                self._grow(i + 2)
            after = scale * zs[i + 1] + drift * (i + 1) * h - level
            if after < 0.0:
                # The parabola at the grid point distinguishes a fall through the level from a motion below it.
                speed = scale * self.v[i] + drift
                tau = ConstantGravityMotion(scale * self.g(zs[i]), gap, speed).time_down(math.inf, 0.0)
                if tau <= 2.0 * h:
                    time = self._solve(i, tau, level, scale, drift)
                    return time if time < until else math.inf
            gap, i = after, i + 1
        return math.inf

    def _solve(self, i: int, tau: float, level: float, scale: float, drift: float) -> float:
        for _ in range(_NEWTON_STEPS):
            z, v = rkn4_step(self.g, self.z[i], self.v[i], tau)
            rate = scale * v + drift
            if rate >= 0.0:  # touches without falling: keep the guess
                break
            tau -= (scale * z + drift * (i * self.h + tau) - level) / rate
        return i * self.h + max(tau, 0.0)

    def apex(self, until: float) -> float:
        if self.v[0] <= 0.0:
            return 0.0
        i = 0
        while i * self.h < until:
            if i + 1 >= len(self.v):
                self._grow(i + 2)
            if self.v[i + 1] <= 0.0:
                tau = self.v[i] / self.g(self.z[i])
                for _ in range(_NEWTON_STEPS):
                    z, v = rkn4_step(self.g, self.z[i], self.v[i], tau)
                    tau += v / self.g(z)
                return i * self.h + tau
            i += 1
        return math.inf


class ForcedFlight:
    """Motion under `pull` on a fixed grid that grows when later times are requested; one shorter step between points.

    Global error O(h^4) at all times, for position and velocity.
    """

    __slots__ = ("h", "pull", "v", "x")

    def __init__(self, pull: Pull, x: Vector, v: Vector, h: float = FLIGHT_STEP_S):
        self.pull, self.h = pull, h
        self.x, self.v = [x], [v]

    def state(self, t: float) -> tuple[float, float, float, float, float, float]:
        """(x, y, z, vx, vy, vz) in m and m/s at time `t` >= 0 s."""
        i = int(t / self.h)
        while len(self.x) <= i:
            x, v = rkn4_vector_step(self.pull, self.x[-1], self.v[-1], self.h)
            self.x.append(x)
            self.v.append(v)
        x, v = rkn4_vector_step(self.pull, self.x[i], self.v[i], t - i * self.h)
        return *x, *v
