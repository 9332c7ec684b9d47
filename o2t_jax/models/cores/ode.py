"""Cores that are differential equations: a network gives the rate of change, an integrator makes the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.models.cores.inputs import features, joined, sizes
from o2t_jax.models.cores.unroll import expand
from o2t_jax.models.cores.vector import Action, Context, Dt, VectorCore
from o2t_jax.models.layers import MLP
from o2t_jax.physics.environment import Layout
from o2t_jax.physics.ode import euler_step, leapfrog_step, rk4_step, semi_implicit_step

Rate = Callable[[jax.Array], jax.Array]
WHOLE = {"euler": euler_step, "rk4": rk4_step}
PARTITIONED = {"semi_implicit": semi_implicit_step, "leapfrog": leapfrog_step}
INTEGRATORS = (*WHOLE, *PARTITIONED, "dopri5")
_RTOL, _ATOL, _MOST_STEPS = 1e-5, 1e-6, 256  # of dopri5: near float32's own rounding


class OdeCore(VectorCore):
    """dstate/dt = rate(state, action, context), integrated over dt. Subclasses implement `rate`.

    Attributes: `step`, one of `INTEGRATORS` (semi_implicit and leapfrog need positions and momenta; dopri5 is
    adaptive, by diffrax); `substeps`, the integrator's steps in one of dt, a multiple of the number of actions in it.
    Raises: UsageError for an unknown integrator, or one that does not fit the state.
    """

    step: str = "rk4"
    substeps: int = 1

    def rate(
        self, state: Float[jax.Array, "batch size"], action: Action, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """The rate of change per s of `state` under one `action`."""
        raise NotImplementedError

    def __call__(
        self, state: Float[jax.Array, "batch size"], action: Action, dt: Dt, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `Core`."""
        if self.step not in INTEGRATORS:
            raise unknown_choice("step", self.step, INTEGRATORS)
        if self.step in PARTITIONED:
            self.need_split(f"with step={self.step}")
        held = [action] if action is None or action.ndim < 3 else [action[:, i] for i in range(action.shape[1])]
        if self.substeps % len(held):
            raise UsageError(f"substeps={self.substeps} must be a multiple of the {len(held)} actions in a step")
        if self.is_initializing():
            return state + 0.0 * self.rate(state, held[0], context)
        # A pure function: a bound module would leak tracers out of the scans below.
        module, variables = self.unbind()
        h = expand(dt, state) / self.substeps
        for each in held:

            def rate(now: jax.Array, each: Any = each) -> jax.Array:
                return module.apply(variables, now, each, context, method="rate")  # type: ignore[return-value]

            state = _advance(rate, state, h, self.substeps // len(held), self.step, self.layout)
        return state


def _advance(rate: Rate, state: jax.Array, h: Any, steps: int, name: str, layout: Layout) -> jax.Array:
    """`state` after `steps` steps of `h` s under one action."""
    if name == "dopri5":
        return _dopri5(rate, state, h * steps)
    if name in WHOLE:
        one = lambda now: WHOLE[name](rate, now, h)  # noqa: E731
    else:

        def part(index: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
            return lambda q, p: layout.split(rate(layout.join(state, q, p)))[index]

        def one(now: jax.Array) -> jax.Array:
            return layout.join(now, *PARTITIONED[name](part(1), *layout.split(now), h, part(0)))

    if steps == 1:
        return one(state)
    return jax.lax.scan(lambda now, _: (one(now), None), state, None, length=steps)[0]


def _dopri5(rate: Rate, state: jax.Array, duration: Any) -> jax.Array:
    """Adaptive steps of Dormand and Prince's method of order 5; time runs from 0 to 1 for all samples."""
    import diffrax

    return diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: rate(y) * duration),  # type: ignore[arg-type]
        diffrax.Dopri5(),
        t0=0.0,
        t1=1.0,
        dt0=None,
        y0=state,
        stepsize_controller=diffrax.PIDController(rtol=_RTOL, atol=_ATOL),
        max_steps=_MOST_STEPS,
    ).ys[-1]  # type: ignore[index]


class FirstOrderODE(OdeCore):
    """dstate/dt = MLP(state, action, context). Untrained, nothing moves."""

    @nn.compact
    def rate(
        self, state: Float[jax.Array, "batch size"], action: Action, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `OdeCore`."""
        x = joined(state.shape[0], features(self.layout, state, self.scale), action, context)
        return sizes(self.layout, self.scale) * MLP((*self.widths, self.layout.size), nn.initializers.zeros)(x)


class Velocity(OdeCore):
    """dq/dt = MLP(state, action, context), all else constant: a weak model, to compare. Untrained, nothing moves."""

    @nn.compact
    def rate(
        self, state: Float[jax.Array, "batch size"], action: Action, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `OdeCore`. Raises: UsageError where there are no positions."""
        self.need_split("velocity")
        x = joined(state.shape[0], features(self.layout, state, self.scale), action, context)
        q, _ = self.layout.split(sizes(self.layout, self.scale))
        change = q * MLP((*self.widths, len(self.layout.positions)), nn.initializers.zeros)(x)
        return self.layout.join(jnp.zeros_like(state), change, jnp.zeros_like(change))


class Newtonian(OdeCore):
    """q' = v, v' = MLP(q, v, action, context). Untrained, everything moves in straight lines.

    Entries of the state that are neither position nor velocity do not change; the network reads them. There is no
    separate friction: the network sees v, so the two could not be told apart.

    Attributes: `reversible`: the network does not see v, so that motion can be reversed, and energy drifts less under
    a symplectic step; it then cannot learn friction.
    Raises: UsageError for a state without positions and velocities.
    """

    reversible: bool = False

    @nn.compact
    def rate(
        self, state: Float[jax.Array, "batch size"], action: Action, context: Context
    ) -> Float[jax.Array, "batch size"]:
        """See `OdeCore`."""
        self.need_split("newtonian", canonical=False)
        layout = self.layout
        q, v = layout.split(state)
        seen = layout.join(state, q, jnp.zeros_like(v)) if self.reversible else state
        x = joined(state.shape[0], features(layout, seen, self.scale), action, context)
        acceleration = MLP((*self.widths, len(layout.positions)), nn.initializers.zeros)(x)
        return layout.join(jnp.zeros_like(state), v, layout.split(sizes(layout, self.scale))[1] * acceleration)


__all__ = ["INTEGRATORS", "FirstOrderODE", "Newtonian", "OdeCore", "Velocity"]
