"""The room's simulator in jax.numpy: batched, jittable, differentiable where the motion is smooth.

The rules are those of `exact.py`, and the results agree to 1e-5 m in float64 (see tests). Steps are Nystrom's, fourth
order. A contact is solved inside its step by Newton's method on shorter steps, which preserves the order; one last
Newton step carries the derivative of the time of contact. At constant g every step is exact. Positions are smooth in
initial conditions, times and the law's numbers, except where the sequence of contacts itself changes.

With a force (`forces.FORCES`) a step is free flight in three dimensions, as in `exact.py`: scenes with contacts are
refused, or give NaN where `bounces` is only known inside a compiled program.

One scene has K balls; batch scenes with `jax.vmap` over `RoomState`s that `stack_states` put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from o2t_jax.errors import UsageError
from o2t_jax.physics.forces import FORCES, NONE
from o2t_jax.physics.gravity import LAWS
from o2t_jax.physics.integrators import rkn4_step, rkn4_vector_step
from o2t_jax.physics.room.exact import RAMP, Setup
from o2t_jax.physics.room.ramp import Ramp, ramp_frame
from o2t_jax.physics.room.trajectory import ROLLING, ROOM_HALF_M

MAX_CONTACTS = 3
STEP_S = 0.025
_NEWTON_STEPS = 3
_FAR_BELOW_M = -1e6


class RampArrays(NamedTuple):
    """`ramp.RampFrame` as arrays [], with `present` indicating whether there is a ramp."""

    present: Any
    sin: Any
    cos: Any
    ux: Any
    uy: Any
    x: Any
    y: Any
    run: Any
    half_width: Any


class RoomState(NamedTuple):
    """One scene in motion, K balls.

    Attributes: `position` [K, 3] m, `velocity` [K, 3] m/s; `rolling` [K], on the ramp; `gone` [K], vanished;
    `ground_hits`, `ramp_hits`, `left_ramp` [K] int: events of the last step. Constant: `radius` [K] m, `side`
    [K] +-1, `ramp`, `bounces` and `vanishes` [] bool (see `exact.Setup`).
    """

    position: Any
    velocity: Any
    rolling: Any
    gone: Any
    ground_hits: Any
    ramp_hits: Any
    left_ramp: Any
    radius: Any
    side: Any
    ramp: RampArrays
    bounces: Any
    vanishes: Any


def ramp_arrays(ramp: Ramp | None) -> RampArrays:
    """`ramp` as arrays; None gives one that is not present (and whose numbers are harmless)."""
    f = ramp_frame(ramp if ramp is not None else Ramp(45.0, 1.0, 1.0, (0.0, 0.0), 0.0))
    arrays = {name: np.asarray(getattr(f, name)) for name in RampArrays._fields[1:]}
    return RampArrays(present=np.asarray(ramp is not None), **arrays)


def state_from(setup: Setup) -> RoomState:
    """The state at t = 0 of a numpy `Setup`, as numpy arrays (float64; jax turns them into its default type)."""
    k = len(setup.radius)
    rolling = (setup.kind == RAMP) & setup.bounces
    radius, position = np.asarray(setup.radius, np.float64), np.array(setup.position, np.float64)
    if setup.bounces:
        position[:, 2] = np.maximum(position[:, 2], radius)
    none = np.zeros(k, np.int32)
    return RoomState(
        position=position,
        velocity=np.where(rolling[:, None], 0.0, np.asarray(setup.velocity, np.float64)),
        rolling=rolling,
        gone=np.zeros(k, bool),
        ground_hits=none,
        ramp_hits=none,
        left_ramp=none,
        radius=radius,
        side=np.asarray(setup.side, np.float64),
        ramp=ramp_arrays(setup.ramp if setup.bounces else None),
        bounces=np.asarray(setup.bounces),
        vanishes=np.asarray(setup.vanishes),
    )


def stack_states(states: Sequence[RoomState]) -> RoomState:
    """States of B scenes with equally many balls as one with a leading axis B, for `jax.vmap`."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *states)


class _Ball(NamedTuple):
    """One ball inside a step."""

    x: Any
    y: Any
    z: Any
    vx: Any
    vy: Any
    vz: Any
    rolling: Any


def _drift(ball: _Ball, h: Any, g: Any, ramp: RampArrays) -> _Ball:
    """Motion over `h` s without contact."""
    share = jnp.where(ball.rolling, ROLLING * ramp.sin * ramp.sin, 1.0)
    z, vz = rkn4_step(lambda height: share * g(height), ball.z, ball.vz, h)
    cot = ramp.cos / ramp.sin
    rise = cot * (z - ball.z)
    return ball._replace(
        x=ball.x + jnp.where(ball.rolling, ramp.ux * rise, h * ball.vx),
        y=ball.y + jnp.where(ball.rolling, ramp.uy * rise, h * ball.vy),
        z=z,
        vx=jnp.where(ball.rolling, ramp.ux * cot * vz, ball.vx),
        vy=jnp.where(ball.rolling, ramp.uy * cot * vz, ball.vy),
        vz=vz,
    )


def _fall(ball: _Ball, normal: Any, offset: Any, h: Any, g: Any, ramp: RampArrays) -> tuple[Any, Any, _Ball]:
    """Motion until the ball falls through the plane normal [3] . (x, y, z) = offset, for at most `h` s.

    Returns: the time it took, whether it met the plane, the ball then.
    """
    nx, ny, nz = normal

    def gap_and_rate(b: _Ball) -> tuple[Any, Any]:
        return nx * b.x + ny * b.y + nz * b.z - offset, nx * b.vx + ny * b.vy + nz * b.vz

    below = gap_and_rate(_drift(ball, h, g, ramp))[0] < 0.0
    # The local parabola distinguishes a fall through the plane from a motion that stays below it, and gives a guess.
    gap, rate = gap_and_rate(ball)
    pull = nz * g(ball.z) * jnp.where(ball.rolling, ROLLING * ramp.sin * ramp.sin, 1.0)
    square = rate * rate + 2.0 * pull * gap
    falling = rate < 0.0
    hits = below & (square >= 0.0) & (falling | (pull > 0.0))
    root = jnp.sqrt(jnp.maximum(square, 0.0))
    down = 2.0 * gap / jnp.where(falling, root - rate, 1.0)
    tau = jnp.where(falling, down, (rate + root) / jnp.where(pull > 0.0, pull, 1.0))
    hits &= tau >= 0.0

    def newton(tau: Any, _: None) -> tuple[Any, None]:
        # Only the last step is differentiated. By the implicit function theorem it carries the whole derivative.
        tau = jax.lax.stop_gradient(jnp.clip(tau, 0.0, h))
        gap, rate = gap_and_rate(_drift(ball, tau, g, ramp))
        return tau - jnp.where(rate < 0.0, gap / jnp.where(rate < 0.0, rate, -1.0), 0.0), None

    tau, _ = jax.lax.scan(newton, jax.lax.stop_gradient(tau), None, length=_NEWTON_STEPS)
    tau = jnp.where(hits, jnp.clip(tau, 0.0, h), h)
    return tau, hits, _drift(ball, tau, g, ramp)


def _ball_step(ball: _Ball, h: Any, radius: Any, bounces: Any, g: Any, ramp: RampArrays) -> tuple[_Ball, Any]:
    nx, ny, nz = -ramp.sin * ramp.ux, -ramp.sin * ramp.uy, ramp.cos
    normals = jnp.stack([jnp.zeros(3, ball.z.dtype).at[2].set(1.0), jnp.stack([nx, ny, nz]).astype(ball.z.dtype)])
    level = nx * ramp.x + ny * ramp.y + radius
    lead = radius * ramp.sin

    def contact(carry: tuple[_Ball, Any, Any], _: None) -> tuple[tuple[_Ball, Any, Any], None]:
        ball, left, counts = carry
        floor = jnp.where(bounces, jnp.where(ball.rolling, radius * ramp.cos, radius), _FAR_BELOW_M)
        # Both planes together: half the program to compile.
        tau, met, moved = jax.vmap(lambda normal, offset: _fall(ball, normal, offset, left, g, ramp))(
            normals, jnp.stack([floor, level])
        )
        dx, dy = moved.x[1] - ramp.x, moved.y[1] - ramp.y
        up, across = ramp.ux * dx + ramp.uy * dy, ramp.ux * dy - ramp.uy * dx
        inside = (up >= -lead) & (up <= ramp.run - lead) & (jnp.abs(across) <= ramp.half_width)
        sloped = met[1] & inside & ramp.present & bounces & ~ball.rolling & ~(met[0] & (tau[0] < tau[1]))
        floored = met[0] & ~sloped
        tau, moved = jax.tree.map(lambda leaf: jnp.where(sloped, leaf[1], leaf[0]), (tau, moved))
        push = jnp.where(sloped, 2.0 * jnp.minimum(nx * moved.vx + ny * moved.vy + nz * moved.vz, 0.0), 0.0)
        moved = moved._replace(
            z=jnp.where(floored, radius, moved.z),
            vx=moved.vx - push * nx,
            vy=moved.vy - push * ny,
            vz=jnp.where(floored, jnp.abs(moved.vz), moved.vz - push * nz),
            rolling=ball.rolling & ~floored,
        )
        counts = counts + jnp.stack([floored & ~ball.rolling, sloped, floored & ball.rolling]).astype(counts.dtype)
        return (moved, left - tau, counts), None

    # One more round than contacts: the last drifts to the step's end (or to the next contact, after too many).
    start = (ball, jnp.asarray(h, ball.z.dtype), jnp.zeros(3, jnp.int32))
    (ball, _, counts), _ = jax.lax.scan(contact, start, None, length=MAX_CONTACTS + 1)
    return ball, counts


def room_step(
    state: RoomState, dt: Any, law: str, law_params: Any, force: str = NONE.name, force_params: Any = ()
) -> RoomState:
    """One step of `dt` s (up to about 0.1 s), fourth order in dt; at constant g exact.

    Args: `law` a name in `gravity.LAWS` (static), `law_params` [P] its numbers; `force` one in `forces.FORCES`
    (static), `force_params` its numbers. A ball with more than `MAX_CONTACTS` contacts in one step (a hop lower than
    g dt^2 / 70) loses the rest of that step.
    """
    state = jax.tree.map(jnp.asarray, state)

    def g(z: Any) -> Any:
        # A flight without contacts, or a step before its contact, may go underground, where a law need not be defined.
        return LAWS[law].g(jnp.maximum(z, 0.0), law_params)

    if force != NONE.name:
        return _forced_step(state, dt, g, force, force_params)

    def one(position: Any, velocity: Any, rolling: Any, radius: Any) -> tuple[_Ball, Any]:
        (x, y, z), (vx, vy, vz) = position, velocity
        return _ball_step(_Ball(x, y, z, vx, vy, vz, rolling), dt, radius, state.bounces, g, state.ramp)

    balls, counts = jax.vmap(one)(state.position, state.velocity, state.rolling, state.radius)
    return state._replace(
        position=jnp.stack(balls[:3], axis=-1),
        velocity=jnp.stack(balls[3:6], axis=-1),
        rolling=balls.rolling,
        gone=state.gone | (state.vanishes & _outside(balls.x, balls.y, state.side)),
        ground_hits=counts[:, 0],
        ramp_hits=counts[:, 1],
        left_ramp=counts[:, 2],
    )


def _forced_step(state: RoomState, dt: Any, g: Any, force: str, force_params: Any) -> RoomState:
    contacts = _refuse_contacts(state, force)

    def pull(x: Any, v: Any) -> Any:
        ax, ay, az = FORCES[force].acceleration(v, force_params)
        return ax, ay, az - g(x[2])

    axes = [tuple(jnp.moveaxis(field, -1, 0)) for field in (state.position, state.velocity)]
    position, velocity = (jnp.stack(axis, axis=-1) for axis in rkn4_vector_step(pull, axes[0], axes[1], dt))
    unknown = jnp.where(contacts, jnp.nan, 0.0).astype(position.dtype)
    none = jnp.zeros_like(state.ground_hits)
    moved = state._replace(position=position + unknown, velocity=velocity + unknown)
    return moved._replace(ground_hits=none, ramp_hits=none, left_ramp=none)


def _refuse_contacts(state: RoomState, force: str) -> Any:
    contacts = jnp.asarray(state.bounces) | jnp.asarray(state.vanishes)
    if not isinstance(contacts, Tracer) and bool(jnp.any(contacts)):
        raise UsageError(f"force {force!r} is simulated in free flight only: this scene has contacts")
    return contacts


def _outside(x: Any, y: Any, side: Any) -> Any:
    return (side * x <= 0.0) | (jnp.abs(x) >= ROOM_HALF_M) | (jnp.abs(y) >= ROOM_HALF_M)


def visible(state: RoomState) -> Any:
    """Which balls [K] can be seen: not vanished and, where contacts are not simulated, not yet at the ground."""
    above = jnp.asarray(state.bounces) | (state.position[..., 2] >= state.radius)
    return ~state.gone & above


def simulate(
    state: RoomState,
    times: Any,
    law: str,
    law_params: Any,
    max_time: float,
    step: float = STEP_S,
    force: str = NONE.name,
    force_params: Any = (),
) -> tuple[Any, Any]:
    """The jax.numpy twin of `exact.simulate` for one scene; jit with `law`, `max_time`, `step` and `force` static.

    Args: `state` at t = 0 (`state_from`), `times` [T] s in [0, max_time], any order, `law`, `law_params`, `force` and
    `force_params` as for `room_step`. Returns: position [T, K, 3] m, visible [T, K]; NaN at times outside the range.
    """
    state = jax.tree.map(jnp.asarray, state)
    if force != NONE.name:
        _refuse_contacts(state, force)
    state = state._replace(
        gone=state.gone | (state.vanishes & _outside(state.position[:, 0], state.position[:, 1], state.side))
    )
    times = jnp.asarray(times, state.position.dtype)
    count = int(np.ceil(max_time / step - 1e-9))

    def body(now: RoomState, _: None) -> tuple[RoomState, RoomState]:
        return room_step(now, step, law, law_params, force, force_params), now

    last, grid = jax.lax.scan(body, state, None, length=count)
    grid = jax.tree.map(lambda before, end: jnp.concatenate([before, end[None]]), grid, last)
    index = jnp.clip(jnp.floor(jax.lax.stop_gradient(times) / step), 0, count).astype(jnp.int32)

    def at(i: Any, t: Any) -> tuple[Any, Any]:
        now = jax.tree.map(lambda leaf: leaf[i], grid)
        then = room_step(now, t - i * step, law, law_params, force, force_params)
        known = (t >= 0.0) & (t <= max_time * (1.0 + 1e-6))
        return jnp.where(known, then.position, jnp.nan), visible(then) & known

    return jax.vmap(at)(index, times)


__all__ = [
    "MAX_CONTACTS",
    "RampArrays",
    "RoomState",
    "ramp_arrays",
    "room_step",
    "simulate",
    "stack_states",
    "state_from",
    "visible",
]
