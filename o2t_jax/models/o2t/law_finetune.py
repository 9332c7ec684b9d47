"""The law phase: training only the law of a trained network further, on flights seen in close-ups.

In training a step processes a few samples of five pictures with the whole network. Once the mask tower finds the ball,
the law's own loss suffices (`loss.py`: the predicted point must lie on the ray to the ball that the tower sees). It
needs no pictures in the step, so one step uses all flights. g0, alpha and the height term's weights continue from their
trained values, by gradient descent through shooting and the physics branch; tower, encoder, decoder and W_ROT do not
change. The only inputs are sightings, camera poses and times.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.errors import UsageError
from o2t_jax.models.cores import unroll
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.models.o2t.loss import huber, ray_distance
from o2t_jax.models.o2t.stereo import height_first, height_last
from o2t_jax.types import PyTree

LAW = ("g0", "alpha", "gravity_mlp")
HUBER_M = 3e-4  # of the distances from the rays; close-ups locate a ball's centre to a tenth of it
# Relative to a loss in units of HUBER_M squared: it only decides between curves that fit equally well.
ALPHA_L2 = 1e-4
ITERATIONS = 100
_SHOOT_ROUNDS = 3


class FlightRays(NamedTuple):
    """F flights, each seen at its beginning, its end and M moments between; the moments are seen by C cameras.

    `start`, `end` [F, 3] m; `dt` [F] s, a `steps`-th of the time between them; `moments` [M] in steps; `origin` and
    unit `direction` [F, M, C, 3] of the rays; `weight` [F, M, C], 0 where there is no ray.
    """

    start: np.ndarray
    end: np.ndarray
    dt: np.ndarray
    steps: int
    moments: tuple[int, ...]
    origin: np.ndarray
    direction: np.ndarray
    weight: np.ndarray


def flight_loss(law: phys.LawParams, visited: jax.Array, flights: FlightRays) -> jax.Array:
    """Mean Huber loss of the rays, in units of `HUBER_M` squared."""
    # Horizontally only differences matter: near zero float32 resolves micrometres.
    shift = flights.start * np.array([1.0, 1.0, 0.0])
    start, end = (height_first(jnp.asarray(x - shift, jnp.float32))[:, None] for x in (flights.start, flights.end))
    origin = jnp.asarray(flights.origin - shift[:, None, None], jnp.float32)
    direction, weight = (jnp.asarray(x, jnp.float32) for x in (flights.direction, flights.weight))
    dt = jnp.asarray(flights.dt, jnp.float32)[:, None, None]
    gravity = phys.gravity_curve(law, visited)
    count = jnp.full(len(flights.dt), flights.steps)
    velocity = phys.shoot(start, end, count, flights.steps, gravity, dt, _SHOOT_ROUNDS)
    _, path = unroll(phys.falling(gravity), phys.Particle(start, velocity), None, dt, steps=flights.steps)
    between = height_last(path.position[:, jnp.asarray(flights.moments) - 1, 0])  # [F, M, 3]
    distance = ray_distance(between[:, :, None], origin, direction)
    return jnp.sum(weight * huber(distance, HUBER_M)) / jnp.maximum(jnp.sum(weight), 1.0) / HUBER_M**2


def train_law(layer: PyTree, visited: jax.Array, flights: FlightRays) -> tuple[PyTree, np.ndarray]:
    """The PhysLayer's parameters `layer` with a law trained on all flights by L-BFGS, and the loss [ITERATIONS].

    Args: `visited` [bins], the state's height histogram, not changed. Raises: UsageError if the law is not finite.
    """
    visited = jnp.asarray(visited)

    def loss(params: PyTree) -> jax.Array:
        law = phys.LawParams(params["g0"], params["alpha"], params["gravity_mlp"])
        return flight_loss(law, visited, flights) + ALPHA_L2 * jnp.sum(jnp.square(params["alpha"]))

    optimiser = optax.lbfgs(memory_size=20)
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], Any]:
        params, opt_state = carry
        value, grads = value_and_grad(params, state=opt_state)
        updates, opt_state = optimiser.update(grads, opt_state, params, value=value, grad=grads, value_fn=loss)
        return (optax.apply_updates(params, updates), opt_state), value

    params = jax.tree.map(jnp.asarray, {name: layer[name] for name in LAW})
    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=ITERATIONS))
    (trained, _), losses = run((params, optimiser.init(params)))
    found = {**layer, **jax.device_get(trained)}
    if not all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found)):
        raise UsageError("the law phase diverged: its flights do not fit one law; give more setups")
    return found, np.asarray(losses)


__all__ = ["ALPHA_L2", "HUBER_M", "FlightRays", "flight_loss", "train_law"]
