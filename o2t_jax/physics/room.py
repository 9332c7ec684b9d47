"""Balls in a room, in numpy and plain floats: thrown, dropped or on a ramp; the renderer's simulator.

World (that of the public RoomPhys benchmark, as far as its rules and pictures tell):

- Each ball moves alone; balls do not touch one another.
- Ground: a ball's centre stays at least its radius above it; a contact reverses the vertical velocity (elastic).
- Ramp: a contact with its upper surface, inside the surface's rectangle, reverses the normal velocity. The wedge's
  sides, back and edges are no obstacle: a ball may pass through them, and is then not held up by the surface above it.
- A ball of kind `RAMP` starts from rest on the surface and rolls without slipping, 5/7 g(z) sin(slope), down to where
  it touches the ground as well; FOOT
- With `vanishes`, a ball is gone for good once its centre crosses x = 0 or |x| or |y| exceeds 100 m.

`integrator='exact'`: closed form at constant g; else one flight is integrated with a fourth-order method
(`integrators.NystromFlight`) and then repeated, since elastic bounces of one-dimensional conservative motion are
periodic: the energy does not drift over bounces. `integrator='benchmark'`: semi-implicit Euler, h = 0.5 ms, velocity first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.integrators import Acceleration, ConstantFlight, Flight, NystromFlight
from o2t_jax.physics.laws import Gravity
from o2t_jax.physics.ramp import Ramp, RampFrame, ball_on_ramp, over_ramp, ramp_frame, surface_height

PROJECTILE, FALL, RAMP = range(3)
KINDS = ("projectile", "fall", "ramp")
ROLLING = 5.0 / 7.0
ROOM_HALF_M = 100.0
INTEGRATORS = ("exact", "benchmark")

# Contacts with the ramp in one call: reached only by a ball wedged between surface and ground.
_MAX_CONTACTS = 1000


class Setup(NamedTuple):
    """Initial conditions of one scene; law-free. K balls.

    Attributes: `radius` [K] m; `colour` [K, 3] in 0..1; `position` [K, 3] m and `velocity` [K, 3] m/s of the centres
    at t = 0 (the velocity of a ball of kind `RAMP` is taken as zero, a centre below its radius is lifted to it);
    `kind` [K] int (`PROJECTILE`, `FALL`, `RAMP`); `side` [K], +1 or -1, the sign of x the ball lives on; `ramp` or None;
    `bounces`: whether ground and ramp are felt (without, a ball is invisible from where it would touch the ground);
    `vanishes`: whether x = 0 and the room's walls end a ball.
    """

    radius: np.ndarray
    colour: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    kind: np.ndarray
    side: np.ndarray
    ramp: Ramp | None = None
    bounces: bool = True
    vanishes: bool = True


class Arc(NamedTuple):
    """A stretch of one ball's motion: it starts at time `start` s and lasts until the next arc's start.

    Horizontally x = x0 + vx (t - start), likewise y; vertically `vertical.state(t - start)`. A rolling ball's
    horizontal motion is tied to its height instead: x = x0 + vx (z - z0), with `tied` = True.
    """

    start: float
    x: float
    y: float
    vx: float
    vy: float
    vertical: Any
    tied: bool = False

    def state(self, t: float) -> tuple[float, float, float, float, float, float]:
        """(x, y, z, vx, vy, vz) at time `t` s."""
        z, vz = self.vertical.state(t - self.start)
        if self.tied:
            fall = z - self.vertical.z_start
            return self.x + self.vx * fall, self.y + self.vy * fall, z, self.vx * vz, self.vy * vz, vz
        tau = t - self.start
        return self.x + self.vx * tau, self.y + self.vy * tau, z, self.vx, self.vy, vz


class Bouncing:
    """Vertical motion with elastic contacts at `floor`: a first flight, then one flight repeated for ever."""

    __slots__ = ("first", "floor", "landing", "period", "repeated")

    def __init__(self, gravity: Gravity, g: Acceleration, z: float, v: float, floor: float, horizon: float):
        self.floor = floor
        self.first = _flight(gravity, g, z, v, horizon)
        self.landing = self.first.time_down(floor)
        self.repeated: Flight | None = None
        self.period = math.inf
        if self.landing < horizon:
            # The speed at the ground from the energy, not from the flight: no drift, whatever the step.
            energy = v * v + 2.0 * (gravity.potential(z) - gravity.potential(floor))
            self.repeated = _flight(gravity, g, floor, math.sqrt(max(energy, 0.0)), horizon)
            self.period = 2.0 * self.repeated.apex()

    def state(self, t: float) -> tuple[float, float]:
        if t <= self.landing or self.repeated is None:
            return self.first.state(t)
        if self.period == 0.0:
            return self.floor, 0.0
        phase = (t - self.landing) % self.period
        if phase <= 0.5 * self.period:
            return self.repeated.state(phase)
        z, v = self.repeated.state(self.period - phase)  # the way down mirrors the way up in time
        return z, -v


class Resting:
    """No vertical motion: a ball that rolls along the ground."""

    __slots__ = ("z",)

    def __init__(self, z: float):
        self.z = z

    def state(self, t: float) -> tuple[float, float]:
        return self.z, 0.0
