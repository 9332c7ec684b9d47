"""The port-Hamiltonian core: an energy is learned, and the motion follows from its slopes."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.cores.ode import OdeCore
from o2t_jax.models.cores.vector import Action, Context
from o2t_jax.models.layers import MLP, Dense

_GAMMA = 0.05  # 1/s, untrained


class PortHamiltonian(OdeCore):
    """q' = dH/dp, p' = -dH/dq - gamma dH/dp + G action, with H(q, p, context) = |p|^2 / 2 + a network.

    Where the layout's momenta are velocities they serve as p: momenta per unit of a constant inertia. gamma > 0 (1/s)
    is one number for each momentum, squareplus of a network of the context where there is one: above 0.05 / s nearly
    that network itself, so that it can be proportional to a friction that the context states. Untrained, everything
    moves in straight lines with the friction gamma = 0.05 / s. Entries of the state that are neither position nor
    momentum do not change; H may depend on them. Source: van der Schaft & Jeltsema, Port-Hamiltonian Systems Theory,
    2014, eq. (6.1); Greydanus et al. 2019; squareplus: Barron 2021.

    Attributes: `separable`: H = T(p) + V(q), as symplectic integrators want; `damped`: with friction.
    Raises: UsageError for a state without positions and momenta.
    """

    separable: bool = False
    damped: bool = True

    def setup(self) -> None:
        zeros = nn.initializers.zeros
        widths, count = (*self.widths, 1), len(self.layout.momenta)
        self.kinetic = MLP(widths, zeros) if self.separable else None
        self.potential = MLP(widths, zeros)
        self.push = Dense(count, use_bias=False, kernel_init=zeros)
        if self.damped:
            self.friction = self.param("friction", zeros, (count,))
            self.friction_of_context = MLP((*self.widths[:1], count), zeros)

    def energy(self, state: Float[jax.Array, "batch size"], context: Context = None) -> Float[jax.Array, " batch"]:
        """H of `state`, per unit of inertia. Its zero and its scale are not those of the world."""
        q, p = self.layout.split(state)
        _, unit = self.layout.split(sizes(self.layout, self.scale))
        own = jnp.sum(p * p, axis=-1) / 2.0

        def net(mlp: Any, at: jax.Array) -> jax.Array:
            x = joined(state.shape[0], features(self.layout, at, self.scale), context)
            return jnp.sum(unit * unit) * mlp(x)[:, 0]

        if not self.separable:
            return own + net(self.potential, state)
        still, centred = (self.layout.join(state, *qp) for qp in ((q, jnp.zeros_like(p)), (jnp.zeros_like(q), p)))
        return own + net(self.potential, still) + net(self.kinetic, centred)

    def gamma(self, batch: int, context: Context) -> Float[jax.Array, "*batch momenta"]:
        """The friction of each momentum, 1/s; the same for all [momenta] without a context."""
        x = self.friction if context is None else self.friction + self.friction_of_context(joined(batch, context))
        return jax.nn.squareplus(x, 4.0 * _GAMMA**2)

    def rate(
        self, state: Float[jax.Array, "batch size"], action: Action, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `OdeCore`."""
        self.need_split("port_hamiltonian")
        if self.is_initializing():
            self.energy(state, context)  # makes the parameters outside of the gradient
        dq, dp = self.layout.split(jax.grad(lambda s: jnp.sum(self.energy(s, context)))(state))
        force = -dq
        if action is not None and action.shape[-1]:
            force = force + self.layout.split(sizes(self.layout, self.scale))[1] * self.push(action)
        if self.damped:
            force = force - self.gamma(state.shape[0], context) * dp
        return self.layout.join(jnp.zeros_like(state), dp, force)


__all__ = ["PortHamiltonian"]
