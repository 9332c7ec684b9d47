"""`spatial_hamiltonian` and `latent_hamiltonian`: a learned separable energy with ports for friction and actions."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.models.dynamics.nets import MapNet, Net, VectorNet, halves
from o2t_jax.models.dynamics.predictors.base import Predictor, State, force_step


class Energy(nn.Module):
    """net(x, context) summed over all entries: an extensive energy [B], so that forces do not shrink with the map.

    A mean over a map of h x w pixels would divide the forces by h w.
    """

    net: Net
    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array, context: Any) -> jax.Array:
        given = () if context is None else (context,)
        parts = self.net(self.hidden, 1, activation=nn.softplus)(x, *given)
        return jnp.sum(parts.reshape(x.shape[0], -1), axis=-1)


class Hamiltonian(Predictor):
    """q' = dH/dp, p' = -dH/dq - friction dH/dp + G(q) action, with H = T(p) + V(q), T = |p|^2 / 2 + net(p), V = net(q).

    A separable port-Hamiltonian system (van der Schaft & Jeltsema 2014). Untrained, everything moves in straight lines
    but for friction. Pictures do not determine H: (q, p) may be any canonical coordinates, and H has no scale.
    """

    def setup(self) -> None:
        self.kinetic = Energy(self.net, self.hidden)
        self.potential = Energy(self.net, self.hidden)
        self.log_friction = self.param("log_friction", nn.initializers.constant(-1.0), ())

    @nn.compact
    def __call__(self, state: State, action: Any, h: Any, context: Any) -> State:
        """See `Predictor`."""
        q, p = halves(state["z"])
        if self.is_initializing():
            self.kinetic(p, context)
            self.potential(q, context)
        actions = action.shape[-1]
        port = self.net(self.hidden, self.channels // 2 * actions, name="port") if actions else None
        friction = jnp.exp(self.log_friction)
        rest, slope = _gradient(self.kinetic, context), _gradient(self.potential, context)

        def velocity(p: jax.Array) -> jax.Array:
            return p + rest(p)

        # The port is taken once a step, at its first positions.
        push = 0.0 if port is None else _pushed(port(q), action)

        def force(q: jax.Array, p: jax.Array) -> jax.Array:
            return push - slope(q) - friction * velocity(p)

        q, p = force_step(self.integrator, velocity, force, q, p, h)
        return {"z": jnp.concatenate([q, p], axis=-1)}

    def energy(self, z: jax.Array, context: Any = None) -> jax.Array:
        """H [B] of states `z`, up to a constant and a scale."""
        q, p = halves(z)
        still = 0.5 * jnp.sum(jnp.square(p).reshape(p.shape[0], -1), axis=-1)
        return still + self.kinetic(p, context) + self.potential(q, context)


def _gradient(energy: nn.Module, context: Any) -> Any:
    """x -> dE/dx, as a pure function of parameters: a bound module must not be called under `jax.grad`."""
    module, variables = energy.unbind()
    return jax.grad(lambda x: jnp.sum(module.apply(variables, x, context)))


def _pushed(port: jax.Array, action: jax.Array) -> jax.Array:
    """G action: `port` [B, ..., C A], `action` [B, A] -> [B, ..., C]."""
    size = action.shape[-1]
    rows = port.reshape(*port.shape[:-1], -1, size)
    return jnp.sum(rows * action.reshape(action.shape[0], *(1,) * (port.ndim - 1), size), axis=-1)


spatial = partial(Hamiltonian, MapNet)
flat = partial(Hamiltonian, VectorNet)
