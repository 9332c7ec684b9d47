"""What the motion models are trained on: places, poses and velocities, what is drawn, and physical penalties."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.motion.model import Moments
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.measures import measures
from o2t_jax.types import Array

Clip = Float[Array, "batch frames joints 3"]
# Of a penalty, where all have the same say as some thousandths of m² of squared error.
UNITS = {"skate": 1.0, "penetration": 100.0, "float": 10.0, "jerk": 1e-3}


@dataclasses.dataclass(frozen=True)
class Weights:
    """`pose`, of squared errors of places from the hips, m²; `velocity`, of joints' velocities, m²/s²; `divergence`, of
    a clip's latent from what its words allow, nats; `lambda_physics`, of all penalties; `skate`, `penetration`,
    `floating`, `jerk`, of each, in `UNITS`."""

    pose: float
    velocity: float
    divergence: float
    lambda_physics: float
    skate: float
    penetration: float
    floating: float
    jerk: float


def errors(weights: Weights, found: Clip, truth: Clip, counted: Float[Array, "batch frames"]) -> dict[str, jax.Array]:
    """Squared errors [B] by name, weighted: means over joints and the frames that are `counted`."""
    found, truth = jnp.asarray(found), jnp.asarray(truth)
    count = jnp.maximum(jnp.sum(counted, axis=1), 1.0)

    def mean(difference: jax.Array, weight: Array) -> jax.Array:
        return jnp.sum(weight * jnp.mean(jnp.sum(jnp.square(difference), axis=-1), axis=-1), axis=1) / count

    miss = found - truth
    speed = RATE * jnp.diff(miss, axis=1)
    return {
        "place": mean(miss, counted),
        "pose": weights.pose * mean(miss - miss[..., :1, :], counted),
        "velocity": weights.velocity * mean(speed, jnp.asarray(counted)[:, 1:]),
    }


def penalties(weights: Weights, found: Clip) -> dict[str, jax.Array]:
    """Penalties [B] by name, weighted, of the feet and joints of predicted clips (`physics.motion.measures`)."""
    own = {"skate": weights.skate, "penetration": weights.penetration, "float": weights.floating, "jerk": weights.jerk}
    measured = measures(found)
    return {name: weights.lambda_physics * own[name] * UNITS[name] * jnp.asarray(x) for name, x in measured.items()}


def divergence(found: Moments, prior: Moments) -> jax.Array:
    """Kullback-Leibler divergence [B] of one Gaussian from another, nats."""
    mean, log_scale = found
    far = jnp.square(mean - prior.mean) * jnp.exp(-2.0 * prior.log_scale)
    ratio = 2.0 * (log_scale - prior.log_scale)
    return 0.5 * jnp.sum(far + jnp.exp(ratio) - 1.0 - ratio, axis=-1)


__all__ = ["UNITS", "Weights", "divergence", "errors", "penalties"]
