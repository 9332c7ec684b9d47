"""What predictors have in common, and the steps of a law with forces q' = velocity(p), p' = force(q, p)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from o2t_jax.models.cores.unroll import expand
from o2t_jax.models.dynamics.nets import Net
from o2t_jax.physics.ode import euler_step, rk4_step, semi_implicit_step

State = dict[str, jax.Array]
Velocity = Callable[[jax.Array], jax.Array]
Force = Callable[[jax.Array, jax.Array], jax.Array]


class Predictor(nn.Module):
    """One step of a law on states `z` [B, ..., channels].

    Attributes: `net`, `MapNet` or `VectorNet`; `channels` of z, even; `hidden` channels of the networks; `integrator`,
    one of `INTEGRATORS` for laws in continuous time.
    """

    net: Net
    channels: int
    hidden: int
    integrator: str = ""

    @nn.nowrap
    def start(self, z: jax.Array) -> State:
        """The predictor's state at the first `z`."""
        return {"z": z}

    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """The state `h` s later ([] or [B]), under `action` [B, A]; `context`, or None, is another input."""
        raise NotImplementedError


def force_step(integrator: str, velocity: Velocity, force: Force, q: jax.Array, p: jax.Array, h: Any) -> Any:
    """One step of `h` s of q' = velocity(p), p' = force(q, p) -> (q, p).

    leapfrog is drift, kick, drift: one evaluation of the force, second order and symplectic where the force depends on
    positions alone (Hairer, Lubich & Wanner, Geometric Numerical Integration, 2nd ed., I.1.4), first order in friction.
    semi_implicit kicks first and then drifts: first order.
    """
    h = expand(h, q)
    if integrator in ("euler", "rk4"):
        step = euler_step if integrator == "euler" else rk4_step
        q, p = step(lambda now: (velocity(now[1]), force(*now)), (q, p), h)
        return q, p
    if integrator == "semi_implicit":
        return semi_implicit_step(force, q, p, h, lambda _, p: velocity(p))
    q = q + 0.5 * h * velocity(p)
    p = p + h * force(q, p)
    return q + 0.5 * h * velocity(p), p


__all__ = ["Force", "Predictor", "State", "Velocity", "force_step"]
