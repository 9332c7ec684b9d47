"""The public benchmark's own integrator, for comparison: semi-implicit Euler, h = 0.5 ms, velocity first.

Contacts are reflections. A centre that is lower than its radius is put as far above it, and its vertical velocity is
turned upwards; likewise along the normal of the ramp's surface. A rolling ball leaves the ramp at its first step past
the foot. Each bounce disturbs the energy by up to about g v h.
"""

from __future__ import annotations

from o2t_jax.physics.integrators import Acceleration, semi_implicit_euler_step
from o2t_jax.physics.room.ramp import RampFrame
from o2t_jax.physics.room.trajectory import ROLLING, ROOM_HALF_M, State

BENCHMARK_STEP_S = 0.0005


def euler_states(
    g: Acceleration,
    state: State,
    radius: float,
    frame: RampFrame | None,
    rolls: bool,
    side: float | None,
    times: list[float],
    bounces: bool,
    step: float = BENCHMARK_STEP_S,
) -> tuple[list[State], float]:
    """One ball's (x, y, z, vx, vy, vz) at `times` s (any order) and the time at which it vanishes (inf: never).

    Each requested time is reached by whole steps and one shorter one. Arguments as for
    `trajectory.bouncing_trajectory`; without `bounces` there are no contacts.
    """
    # A flight without contacts goes underground, where a law need not be defined.
    ball = _Ball(lambda z: g(z if z > 0.0 else 0.0), state, radius, frame, rolls, side, bounces)
    rows: dict[float, State] = {}
    for t in sorted(set(times)):
        whole = int(t / step + 1e-9)
        while ball.steps < whole:
            ball.advance(step)
        rows[t] = ball.peek(t - whole * step)
    return [rows[t] for t in times], ball.vanishes


class _Ball:
    def __init__(
        self,
        g: Acceleration,
        state: State,
        radius: float,
        frame: RampFrame | None,
        rolls: bool,
        side: float | None,
        bounces: bool,
    ) -> None:
        x, y, z, vx, vy, vz = state
        self.state = (x, y, max(z, radius), vx, vy, vz) if bounces else state
        self.g, self.radius, self.frame, self.side, self.bounces = g, radius, frame, side, bounces
        self.speed = 0.0  # of a rolling ball, m/s up the slope
        self.rolls = rolls and frame is not None
        if self.rolls:
            self.state = *self.state[:3], 0.0, 0.0, 0.0
        self.steps, self.time = 0, 0.0
        self.vanishes = float("inf")
        self._check_room()

    def advance(self, h: float) -> None:
        self.state, self.speed, self.rolls = self._next(h)
        self.steps += 1
        self.time = self.steps * h
        self._check_room()

    def peek(self, h: float) -> State:
        """The state after a step of `h` s; the ball itself does not move."""
        return self._next(h)[0] if h > 1e-12 else self.state

    def _check_room(self) -> None:
        x, y = self.state[:2]
        gone = self.side is not None and (self.side * x <= 0.0 or abs(x) > ROOM_HALF_M or abs(y) > ROOM_HALF_M)
        if gone and self.time < self.vanishes:
            self.vanishes = self.time

    def _next(self, h: float) -> tuple[State, float, bool]:
        x, y, z, vx, vy, vz = self.state
        frame, radius = self.frame, self.radius
        if self.rolls and frame is not None:
            speed = self.speed - h * ROLLING * frame.sin * self.g(z)
            vx, vy, vz = speed * frame.cos * frame.ux, speed * frame.cos * frame.uy, speed * frame.sin
            x, y, z = x + h * vx, y + h * vy, z + h * vz
            if z > radius * frame.cos:
                return (x, y, z, vx, vy, vz), speed, True
            return (x, y, radius, vx, vy, abs(vz)), 0.0, False
        before = x, y, z
        z, vz = semi_implicit_euler_step(self.g, z, vz, h)
        x, y = x + h * vx, y + h * vy
        if self.bounces:
            if z < radius:
                z, vz = 2.0 * radius - z, abs(vz)
            if frame is not None:
                x, y, z, vx, vy, vz = _off_ramp(frame, radius, before, (x, y, z, vx, vy, vz))
        return (x, y, z, vx, vy, vz), 0.0, False


def _off_ramp(frame: RampFrame, radius: float, before: tuple[float, float, float], state: State) -> State:
    x, y, z, vx, vy, vz = state
    dx, dy = x - frame.x, y - frame.y
    up, across = frame.ux * dx + frame.uy * dy, frame.ux * dy - frame.uy * dx
    lead = radius * frame.sin
    if not (-lead <= up <= frame.run - lead and abs(across) <= frame.half_width):
        return state
    nx, ny, nz = frame.normal
    depth = nx * dx + ny * dy + nz * z - radius
    above = nx * (before[0] - frame.x) + ny * (before[1] - frame.y) + nz * before[2] - radius
    normal = nx * vx + ny * vy + nz * vz
    if depth >= 0.0 or normal >= 0.0 or above < 0.0:  # last condition: it came in through the wedge's side
        return state
    x, y, z = x - 2.0 * depth * nx, y - 2.0 * depth * ny, z - 2.0 * depth * nz
    return x, y, z, vx - 2.0 * normal * nx, vy - 2.0 * normal * ny, vz - 2.0 * normal * nz


__all__ = ["BENCHMARK_STEP_S", "euler_states"]
