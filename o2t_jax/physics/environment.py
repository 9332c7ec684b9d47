"""What every simulated world offers: pure functions of arrays, ready for jit, vmap, scan and grad."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from o2t_jax.physics.integrators import rkn4_step
from o2t_jax.physics.invariants import energy as mechanical_energy
from o2t_jax.physics.laws import LAWS, Gravity
from o2t_jax.physics.room_jax import bounce_step, is_inside


class State(NamedTuple):
    """K balls at one time.

    Attributes: `position`, `velocity` [K, 3] (m, m/s), `radius` [K] m, `side` [K] (+1, -1: the sign of x it lives on),
    `alive` [K] bool (seen), `contacts` [K] int32 (steps with a ground contact so far), `time` [] s.
    """

    position: jax.Array
    velocity: jax.Array
    radius: jax.Array
    side: jax.Array
    alive: jax.Array
    contacts: jax.Array
    time: jax.Array


class Environment(Protocol):
    """A world. `law` names the gravity law; its numbers are handed to every call, so they can be traced and learned."""

    law: str

    @property
    def num_balls(self) -> int:
        """K."""
        ...

    def params(self) -> jax.Array:
        """Default numbers [P] of the law."""
        ...

    def reset(self, key: jax.Array) -> State:
        """Initial conditions, drawn without reference to the law."""
        ...

    def step(self, state: State, action: jax.Array | None, dt: Any, params: Any) -> State:
        """The state `dt` s later; `action` is an extra acceleration [K, 3] m/s^2, held over the step, or None."""
        ...

    def energy(self, state: State, params: Any) -> jax.Array:
        """Energy per unit mass [K], m^2/s^2; kept by every step without an action."""
        ...

    def events(self, before: State, after: State) -> dict[str, jax.Array]:
        """What happened between two states: name -> bool [K]."""
        ...

    def observe(self, state: State) -> jax.Array:
        """[K, 5]: x, y, z, radius (m) and 1 or 0 for seen or not; zeros for a ball that is not seen."""
        ...


def first_state(position: Any, velocity: Any, radius: Any, side: Any) -> State:
    """The state of K balls at time 0, all seen."""
    count = radius.shape[0]
    return State(
        position=jnp.asarray(position),
        velocity=jnp.asarray(velocity),
        radius=jnp.asarray(radius),
        side=jnp.asarray(side),
        alive=jnp.ones(count, bool),
        contacts=jnp.zeros(count, jnp.int32),
        time=jnp.zeros((), jnp.asarray(position).dtype),
    )


def step_balls(
    state: State, action: jax.Array | None, dt: Any, law: str, params: Any, *, bounces: bool, vanishes: bool
) -> State:
    """One step of free balls in a law: with an elastic ground, or without one (then unseen from the ground on)."""
    push = jnp.zeros_like(state.position) if action is None else jnp.asarray(action)

    def g(z: Any) -> Any:
        return LAWS[law].g(z, params) - push[..., 2]

    z, v = state.position[..., 2], state.velocity[..., 2]
    if bounces:
        z, v, contact = bounce_step(g, z, v, state.radius, dt)
    else:
        z, v = rkn4_step(g, z, v, dt)
        contact = jnp.zeros_like(state.alive)
    flat = state.position[..., :2] + dt * (state.velocity[..., :2] + 0.5 * dt * push[..., :2])
    position = jnp.concatenate([flat, z[..., None]], axis=-1)
    velocity = jnp.concatenate([state.velocity[..., :2] + dt * push[..., :2], v[..., None]], axis=-1)
    alive = state.alive
    if not bounces:
        alive &= z >= state.radius
    if vanishes:
        alive &= is_inside(position, state.side)
    contacts = state.contacts + contact.astype(state.contacts.dtype)
    return state._replace(position=position, velocity=velocity, alive=alive, contacts=contacts, time=state.time + dt)


class Balls:
    """What worlds of free balls share; a subclass adds `num_balls`, `reset`, `bounces` and `vanishes`."""

    bounces: bool
    vanishes: bool

    def __init__(self, gravity: Gravity | None = None):
        gravity = gravity or Gravity.constant(9.81)
        self.law, self._numbers = gravity.law, gravity.params

    def params(self) -> jax.Array:
        """See `Environment.params`."""
        return jnp.asarray(self._numbers)

    def step(self, state: State, action: jax.Array | None, dt: Any, params: Any) -> State:
        """See `Environment.step`."""
        return step_balls(state, action, dt, self.law, params, bounces=self.bounces, vanishes=self.vanishes)

    def energy(self, state: State, params: Any) -> jax.Array:
        """See `Environment.energy`."""
        return mechanical_energy(state.position, state.velocity, Gravity(self.law, params))

    def events(self, before: State, after: State) -> dict[str, jax.Array]:
        """`contact`: touched the ground; `vanished`: seen before, not seen after."""
        return {"contact": after.contacts > before.contacts, "vanished": before.alive & ~after.alive}

    def observe(self, state: State) -> jax.Array:
        """See `Environment.observe`."""
        seen = state.alive[..., None].astype(state.position.dtype)
        return jnp.concatenate([state.position, state.radius[..., None], jnp.ones_like(seen)], axis=-1) * seen
