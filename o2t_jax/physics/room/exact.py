"""Balls in a room, in numpy: thrown, dropped or on a ramp; the renderer's simulator.

The world is that of the public RoomPhys benchmark (Obs2Law-Arena), as far as its rules and pictures specify it:

- Each ball moves alone; balls do not touch one another.
- Ground: a ball's centre stays at least its radius above it; a contact reverses the vertical velocity (elastic).
- Ramp: a contact with its upper surface, inside the surface's rectangle, reverses the normal velocity. The wedge's
  sides, back and edges are no obstacle: a ball may pass through them, and then does not feel the surface above it.
- A ball of kind `RAMP` starts from rest on the surface and rolls without slipping: 5/7 g(z) sin(slope), g taken at the
  centre's height, until its point of contact reaches the foot. There it is put on the ground (its centre was
  r (1 - cos(slope)) lower than its radius), keeps the velocity of its centre with the vertical part turned upwards,
  and hops on like any other ball, no longer rolling. Pictures of the benchmark show this, to a pixel; a ball that
  stopped rolling where it first touches the ground, as a real one would, is 2% too slow for them.
- With `vanishes`, a ball is gone for good once its centre crosses x = 0, or |x| or |y| exceeds 100 m.

`integrator='exact'` is the closed form at constant g. At g(z) one flight is integrated by a fourth-order method
(`integrators.NystromMotion`) and then repeated, since elastic bounces of one-dimensional conservative motion are
periodic: the energy does not drift over bounces. `integrator='benchmark'` is semi-implicit Euler, 0.5 ms, velocity
first: between contacts this equals the exact motion at constant g with v0 - g h/2 in place of v0.

With a `forces.Force` a flight is integrated in three dimensions by a fourth-order method (`integrators.ForcedFlight`).
Only flights without contacts have forces: bounces under a force are not periodic, and rolling has no rule for one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.forces import NO_FORCE, Force
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.integrators import ForcedFlight, Vector
from o2t_jax.physics.room.euler import euler_states
from o2t_jax.physics.room.ramp import Ramp, ramp_frame
from o2t_jax.physics.room.trajectory import Field, State, bouncing_trajectory, free_trajectory

PROJECTILE, FALL, RAMP = range(3)
KINDS = ("projectile", "fall", "ramp")
INTEGRATORS = ("exact", "benchmark")

# Events are searched slightly beyond the last requested time, so that an event at exactly that time is found.
_PAST_LAST_S = 1e-6


class Setup(NamedTuple):
    """Initial conditions of one scene, K balls. They do not depend on the law.

    Attributes: `radius` [K] m; `colour` [K, 3] in 0..1; `position` [K, 3] m and `velocity` [K, 3] m/s of the centres
    at t = 0 (the velocity of a ball of kind `RAMP` is taken as zero; a centre lower than its radius is lifted to it);
    `kind` [K] int (`PROJECTILE`, `FALL`, `RAMP`); `side` [K], +1 or -1, the sign of x in a ball's half; `ramp` or None;
    `bounces`: whether contacts are simulated (if not, a ball becomes invisible where it would touch the ground);
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


def simulate(
    setup: Setup, times: np.ndarray, gravity: Gravity, integrator: str = "exact", force: Force = NO_FORCE
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and visibility of the balls at all `times`.

    Args: `times` [T] s, in any order, not negative. Returns: position [T, K, 3] m, visible [T, K] bool (the
    position of an invisible ball is finite, but meaningless). Raises: see `simulate_states`.
    """
    states, visible = simulate_states(setup, times, gravity, integrator, force)
    return states[..., :3], visible


def simulate_states(
    setup: Setup, times: np.ndarray, gravity: Gravity, integrator: str = "exact", force: Force = NO_FORCE
) -> tuple[np.ndarray, np.ndarray]:
    """As `simulate`, with velocities: states [T, K, 6] (x, y, z, vx, vy, vz), visible [T, K].

    Raises: UsageError for a time that is negative or not finite, an unknown integrator, a ball of kind `RAMP` without a
    ramp, a ramp that cannot be built, or a `force` where it is not simulated (`check_force`).
    """
    clock = np.asarray(times, np.float64).tolist()
    for t in clock:
        if not 0.0 <= t < math.inf:
            raise UsageError(f"time {t} s is not a number from 0 on: a scene starts at 0 s")
    if integrator not in INTEGRATORS:
        raise UsageError(f"integrator {integrator!r} does not exist: choose one of {', '.join(INTEGRATORS)}")
    if force.acts:
        check_force(force, "this setup", setup.bounces or setup.vanishes, integrator)
    radii = setup.radius.tolist()
    starts = np.concatenate([setup.position, setup.velocity], axis=1).tolist()
    kinds, sides = setup.kind.tolist(), setup.side.tolist()
    frame = ramp_frame(setup.ramp) if setup.ramp is not None and setup.bounces else None
    if frame is None and setup.bounces and RAMP in kinds:
        raise UsageError("a ball of kind RAMP needs a ramp: set Setup.ramp or choose another kind")
    field = Field.of(gravity)
    horizon = max(clock, default=0.0) + _PAST_LAST_S
    states = np.empty((len(clock), len(radii), 6))
    visible = np.empty((len(clock), len(radii)), bool)
    for k, radius in enumerate(radii):
        side = float(sides[k]) if setup.vanishes else None
        start, rolls = tuple(starts[k]), kinds[k] == RAMP
        if force.acts:
            flight = _forced_flight(field, force, start)
            rows, last = [flight.state(t) for t in clock], math.inf
        elif integrator == "benchmark":
            rows, last = euler_states(field.g, start, radius, frame, rolls, side, clock, setup.bounces)
        else:
            if setup.bounces:
                motion = bouncing_trajectory(field, start, radius, frame, rolls, side, horizon)
            else:
                motion = free_trajectory(field, start, side, horizon)
            rows, last = [motion.state(t) for t in clock], motion.vanishes
        states[:, k] = rows
        visible[:, k] = [t < last for t in clock]
    if not setup.bounces:
        visible &= states[:, :, 2] >= setup.radius
    return states, visible


def check_force(force: Force, what: str, contacts: bool, integrator: str) -> None:
    """Refuses a force where it is not simulated: `what` (a scene, for the message) with contacts, RoomPhys' integrator.

    Raises: UsageError.
    """
    if not force.acts:
        return
    if contacts:
        raise UsageError(
            f"world.force={force.form}: {what} has contacts, and a force is simulated in free flight only: "
            "choose scene ballistic or fall, or set --config.world.force=none"
        )
    if integrator != "exact":
        raise UsageError(
            f"world.force={force.form}: integrator={integrator} has no forces: set --config.integrator=exact"
        )


def _forced_flight(field: Field, force: Force, start: State) -> ForcedFlight:
    g = field.above_ground().g

    def pull(x: Vector, v: Vector) -> Vector:
        ax, ay, az = force.acceleration(v)
        return ax, ay, az - g(x[2])

    return ForcedFlight(pull, start[:3], start[3:])


__all__ = [
    "FALL",
    "INTEGRATORS",
    "KINDS",
    "PROJECTILE",
    "RAMP",
    "Ramp",
    "Setup",
    "check_force",
    "simulate",
    "simulate_states",
]
