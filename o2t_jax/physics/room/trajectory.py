"""One ball's motion in the room as a list of arcs: plain floats, a few microseconds an arc.

Two arcs are separated by an event: a ball leaves the ramp it rolled on, comes over a ramp, or touches the ramp or the
ground below or beside it. Away from the ramp one arc lasts for ever, since elastic bounces under g(z) are periodic.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

from o2t_jax.physics.gravity import LAWS, Gravity
from o2t_jax.physics.integrators import Acceleration, ConstantGravityMotion, NystromMotion
from o2t_jax.physics.room.ramp import RampFrame

ROLLING = 5.0 / 7.0
ROOM_HALF_M = 100.0

State = tuple[float, float, float, float, float, float]

# Events in one call over a ramp; a ball meets far fewer before it leaves.
_MAX_EVENTS = 1000
_RESTING_SPEED = 1e-9
# A shorter stay over the ramp (s) is a rounding error after the ball has just left it.
_TOUCH_S = 1e-9


class Field(NamedTuple):
    """A gravity law bound to its numbers for scalar use: `constant` is g where it does not depend on z, else None."""

    gravity: Gravity
    g: Acceleration
    constant: float | None

    @classmethod
    def of(cls, gravity: Gravity) -> Field:
        law, params = LAWS[gravity.law], gravity.params
        return cls(gravity, lambda z: law.g(z, params), float(gravity.g(0.0)) if gravity.is_constant else None)

    def flight(self, z: float, v: float) -> ConstantGravityMotion | NystromMotion:
        """Free vertical motion from height `z` m with velocity `v` m/s."""
        if self.constant is not None:
            return ConstantGravityMotion(self.constant, z, v)
        return NystromMotion(self.g, z, v)

    def scaled(self, factor: float) -> Field:
        """The same law times `factor`: the vertical part of motion on an incline. Not for energies."""
        g = self.g
        return Field(self.gravity, lambda z: factor * g(z), None if self.constant is None else factor * self.constant)

    def above_ground(self) -> Field:
        """The same law, continued below the ground by its value there (a law need not be defined underground)."""
        if self.constant is not None:
            return self
        g = self.g
        return Field(self.gravity, lambda z: g(z if z > 0.0 else 0.0), None)


class Bouncing:
    """Vertical motion with elastic contacts at `floor`: a first flight, then one flight repeated for ever."""

    __slots__ = ("first", "floor", "landing", "period", "repeated")

    def __init__(self, field: Field, z: float, v: float, floor: float, horizon: float) -> None:
        self.floor = floor
        self.first = field.flight(z, v)
        self.landing = self.first.time_down(horizon, floor)
        self.repeated, self.period = self.first, math.inf
        if self.landing < horizon:
            # The speed at the ground comes from the energy, not from the flight: no drift, whatever the step.
            square = v * v + 2.0 * (field.gravity.potential(z) - field.gravity.potential(floor))
            self.repeated = field.flight(floor, math.sqrt(max(square, 0.0)))
            self.period = 2.0 * self.repeated.apex(horizon)

    def state(self, t: float) -> tuple[float, float]:
        """(z m, v m/s) at time `t` >= 0 s."""
        if t <= self.landing:
            return self.first.state(t)
        if self.period == 0.0:
            return self.floor, 0.0
        phase = math.fmod(t - self.landing, self.period)
        if phase <= 0.5 * self.period:
            return self.repeated.state(phase)
        z, v = self.repeated.state(self.period - phase)  # the way down mirrors the way up in time
        return z, -v


class Arc(NamedTuple):
    """A stretch of one ball's motion from time `start` s until the next arc's start.

    Horizontally (x + vx tau, y + vy tau) with tau = t - start. Where `tied`, the ball rolls on the ramp and its
    horizontal motion follows its height: (x + vx (z(t) - z), y + vy (z(t) - z)), vx and vy in m per m.
    """

    start: float
    x: float
    y: float
    z: float
    vx: float
    vy: float
    vertical: ConstantGravityMotion | NystromMotion | Bouncing
    tied: bool = False

    def state(self, t: float) -> State:
        """(x, y, z, vx, vy, vz) in m and m/s at time `t` s."""
        tau = t - self.start
        z, vz = self.vertical.state(tau)
        if self.tied:
            rise = z - self.z
            return self.x + self.vx * rise, self.y + self.vy * rise, z, self.vx * vz, self.vy * vz, vz
        return self.x + self.vx * tau, self.y + self.vy * tau, z, self.vx, self.vy, vz


class Trajectory(NamedTuple):
    """One ball's arcs up to a horizon, and the time s at which it vanishes (inf: not before the horizon)."""

    arcs: list[Arc]
    vanishes: float

    def state(self, t: float) -> State:
        """(x, y, z, vx, vy, vz) at time `t` s, also after it has vanished (as if nothing had happened)."""
        arcs = self.arcs
        return arcs[0 if len(arcs) == 1 else bisect_right(arcs, t, key=_start) - 1].state(t)


def _start(arc: Arc) -> float:
    return arc.start


def free_trajectory(field: Field, state: State, side: float | None, horizon: float) -> Trajectory:
    """Motion without ground or ramp; `side` and `horizon` as for `bouncing_trajectory`."""
    x, y, z, vx, vy, vz = state
    arcs = [Arc(0.0, x, y, z, vx, vy, field.above_ground().flight(z, vz))]
    return Trajectory(arcs, math.inf if side is None else _vanishing(arcs, side, horizon))


def bouncing_trajectory(
    field: Field, state: State, radius: float, frame: RampFrame | None, rolls: bool, side: float | None, horizon: float
) -> Trajectory:
    """Motion with elastic contacts on the ground and on the ramp.

    Args: `field` the law; `state` at t = 0; `radius` m; `frame` of the ramp or None; `rolls`: the ball starts from rest
    on the ramp; `side`, the sign of x in the ball's half, or None when nothing vanishes; `horizon` s, the latest time.
    """
    x, y, z, vx, vy, vz = state
    state = x, y, max(z, radius), vx, vy, vz
    arcs: list[Arc] = []
    start = 0.0
    if rolls and frame is not None:
        start, state = _roll(arcs, field, state, radius, frame, horizon)
    if start < horizon:
        _bounce(arcs, field, start, state, radius, frame, horizon)
    return Trajectory(arcs, math.inf if side is None else _vanishing(arcs, side, horizon))


def _roll(
    arcs: list[Arc], field: Field, state: State, radius: float, frame: RampFrame, horizon: float
) -> tuple[float, State]:
    x, y, z, *_ = state
    flight = field.scaled(ROLLING * frame.sin * frame.sin).flight(z, 0.0)
    cot = frame.cos / frame.sin
    arc = Arc(0.0, x, y, z, cot * frame.ux, cot * frame.uy, flight, tied=True)
    arcs.append(arc)
    end = flight.time_down(horizon, radius * frame.cos)
    if end >= horizon:
        return math.inf, state
    x, y, _, vx, vy, vz = arc.state(end)
    return end, (x, y, radius, vx, vy, abs(vz))  # put on the ground, where it bounces immediately


def _bounce(
    arcs: list[Arc], field: Field, t: float, state: State, radius: float, frame: RampFrame | None, horizon: float
) -> None:
    x, y, z, vx, vy, vz = state
    for _ in range(_MAX_EVENTS):
        enter, leave = (math.inf, math.inf) if frame is None else _over_ramp(frame, radius, x, y, vx, vy)
        if frame is None or t + enter >= horizon:
            arcs.append(Arc(t, x, y, z, vx, vy, Bouncing(field, z, vz, radius, horizon - t)))
            return
        if enter > 0.0:
            arc = Arc(t, x, y, z, vx, vy, Bouncing(field, z, vz, radius, enter))
            arcs.append(arc)
            t, leave = t + enter, leave - enter
            x, y, z, vx, vy, vz = arc.state(t)
        resting = z <= radius and abs(vz) < _RESTING_SPEED
        flight = ConstantGravityMotion(0.0, radius, 0.0) if resting else field.flight(z, vz)
        arc = Arc(t, x, y, z, vx, vy, flight)
        arcs.append(arc)
        ground = flight.time_down(min(leave, horizon - t), radius)
        nx, ny, nz = frame.normal
        level = radius - nx * (x - frame.x) - ny * (y - frame.y)
        slope = flight.time_down(min(leave, horizon - t, ground), level, nz, nx * vx + ny * vy)
        end = min(ground, slope, leave)
        if t + end >= horizon:
            return
        t += end
        x, y, z, vx, vy, vz = arc.state(t)
        if slope <= end:
            normal = min(nx * vx + ny * vy + nz * vz, 0.0)
            vx, vy, vz = vx - 2.0 * normal * nx, vy - 2.0 * normal * ny, vz - 2.0 * normal * nz
        elif ground <= end:
            z, vz = radius, abs(vz)


def _over_ramp(frame: RampFrame, radius: float, x: float, y: float, vx: float, vy: float) -> tuple[float, float]:
    """Times (s from now) between which a ball's point of contact would lie inside the surface; (inf, inf): never."""
    dx, dy = x - frame.x, y - frame.y
    enter, leave = 0.0, math.inf
    lead = radius * frame.sin  # the centre of a touching ball is this far downhill of the point of contact
    for place, speed, low, high in (
        (frame.ux * dx + frame.uy * dy, frame.ux * vx + frame.uy * vy, -lead, frame.run - lead),
        (frame.ux * dy - frame.uy * dx, frame.ux * vy - frame.uy * vx, -frame.half_width, frame.half_width),
    ):
        if speed == 0.0:
            if not low <= place <= high:
                return math.inf, math.inf
            continue
        first, second = (low - place) / speed, (high - place) / speed
        enter, leave = max(enter, min(first, second)), min(leave, max(first, second))
    return (enter, leave) if leave - enter > _TOUCH_S else (math.inf, math.inf)


def _vanishing(arcs: list[Arc], side: float, horizon: float) -> float:
    for i, arc in enumerate(arcs):
        end = arcs[i + 1].start if i + 1 < len(arcs) else horizon
        if side * arc.x <= 0.0:
            return arc.start
        time = math.inf
        if arc.tied:
            # Rolling goes straight down: if the ball is past the plane at the end, it crossed it on the way.
            x = arc.state(end)[0]
            if side * x <= 0.0:
                time = arc.vertical.time_down(end, arc.z - arc.x / arc.vx)  # type: ignore[union-attr]
        else:
            if side * arc.vx < 0.0:
                time = arc.start - arc.x / arc.vx
            for place, speed in ((arc.x, arc.vx), (arc.y, arc.vy)):
                if speed != 0.0:
                    time = min(time, arc.start + (math.copysign(ROOM_HALF_M, speed) - place) / speed)
        if time <= end:
            return max(time, arc.start)
    return math.inf


__all__ = ["ROLLING", "ROOM_HALF_M", "Arc", "Bouncing", "Field", "Trajectory", "bouncing_trajectory", "free_trajectory"]
