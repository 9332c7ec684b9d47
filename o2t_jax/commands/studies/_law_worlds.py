"""Worlds and data of the studies of the law: those registered, one with v|v|, three with a term outside the library."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.data.simulated import SimulatedSequences
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.evaluation.dynamics.law.terms import nearest_approach
from o2t_jax.physics.environment import Environment, observed, simulate
from o2t_jax.physics.envs import get_environment
from o2t_jax.physics.envs.oscillator import Oscillator, OscillatorState
from o2t_jax.physics.ode import rk4_step
from o2t_jax.types import Array

NOISE = 0.1


class DragParams(NamedTuple):
    """`mass` kg, `stiffness` N/m, `drag` N s^2/m^2."""

    mass: Any = 1.0
    stiffness: Any = 1.0
    drag: Any = 0.3


class DragOscillator(Oscillator):
    """m x'' = F - k x - b x'|x'|."""

    name = "drag_oscillator"
    Params = DragParams
    RANGES = {}  # noqa: RUF012

    def field(self, state: OscillatorState, action: Array, params: Any) -> OscillatorState:
        """Velocity and acceleration."""
        speed = state.velocity
        force = action[0] - params.stiffness * state.position - params.drag * speed * jnp.abs(speed)
        return OscillatorState(speed, force / params.mass)

    def power(self, state: OscillatorState, action: Array, params: Any) -> Array:
        """[1] W: the power of the force, less that of drag."""
        return ((action[0] - params.drag * state.velocity * jnp.abs(state.velocity)) * state.velocity)[None]


class OutsideParams(NamedTuple):
    """`mass` kg, `stiffness` N/m, `damping` N s/m; `outside`, the term's coefficient in the acceleration."""

    mass: Any = 1.0
    stiffness: Any = 1.0
    damping: Any = 0.1
    outside: Any = 1.0


class _Outside(Oscillator):
    Params = OutsideParams
    RANGES = {}  # noqa: RUF012

    def term(self, state: OscillatorState) -> Array:
        """The term that the library lacks."""
        raise NotImplementedError

    def field(self, state: OscillatorState, action: Array, params: Any) -> OscillatorState:
        """Velocity and acceleration."""
        force = action[0] - params.damping * state.velocity - params.stiffness * state.position
        return OscillatorState(state.velocity, force / params.mass + params.outside * self.term(state))


class CosineOscillator(_Outside):
    """An oscillator with cos 3x added to its acceleration."""

    name = "cosine_oscillator"

    def term(self, state: OscillatorState) -> Array:
        """See `_Outside`."""
        return jnp.cos(3.0 * state.position)


class VanDerPol(_Outside):
    """An oscillator with the friction of van der Pol, (1 - x^2) x'."""

    name = "van_der_pol"

    def term(self, state: OscillatorState) -> Array:
        """See `_Outside`."""
        return (1.0 - state.position**2) * state.velocity


class TanhOscillator(_Outside):
    """An oscillator with a saturating restoring force, -tanh 3x."""

    name = "tanh_oscillator"

    def term(self, state: OscillatorState) -> Array:
        """See `_Outside`."""
        return -jnp.tanh(3.0 * state.position)


LOCAL = {world.name: world for world in (DragOscillator, CosineOscillator, VanDerPol, TanhOscillator)}


def world_of(name: str, **given: Any) -> Environment:
    """The study's own world of that name, else the registered one."""
    return LOCAL[name](**given) if name in LOCAL else get_environment(name, **given)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """`sequences` of `steps` steps of `dt` s; those with an observed distance below `nearest` m are left out."""

    sequences: int = 400
    steps: int = 30
    dt: float = 0.1
    nearest: float = 0.0


RECIPES = {
    "spaceship": Recipe(1200, 30, 0.1, 1.0),
    "three_body": Recipe(1500, 8, 0.1, 0.8),
    "gravity_two": Recipe(400, 30, 0.1, 0.8),
    "gravity_three": Recipe(150, 20, 0.1, 0.8),
}


def recipe_of(name: str) -> Recipe:
    """The world's recipe, or the default one."""
    return RECIPES.get(name, Recipe())


def noisy_data(
    env: Environment, seed: int, recipe: Recipe, noise: float = NOISE
) -> tuple[Observed, np.ndarray, dict[str, np.ndarray]]:
    """The data, its states without noise, and the parameters of each sequence.

    Raises: UsageError where `nearest` leaves no sequence.
    """
    batch = SimulatedSequences(env, recipe.steps, (recipe.dt,), seed).batch("train", np.arange(recipe.sequences))
    clean = np.asarray(batch["states"], np.float64)
    states = clean + noise * np.random.default_rng((seed, 7)).standard_normal(clean.shape)
    keep = np.flatnonzero(nearest_approach(env.layout, states) >= recipe.nearest)
    if len(keep) < 4:
        raise UsageError(f"{env.name}: {len(keep)} sequences stay {recipe.nearest:g} m away: take more sequences")
    params = {name: np.asarray(value)[keep] for name, value in batch["params"]._asdict().items()}
    actions = np.asarray(batch["actions"], np.float64)[keep]
    return Observed.of(states[keep], actions, recipe.dt), clean[keep], params


@functools.partial(jax.jit, static_argnames=("env", "count", "steps"))
def _simulated(env: Environment, params: Any, dt: float, key: Any, *, count: int, steps: int) -> Any:
    def one(key: Any) -> Any:
        of_start, of_actions = jax.random.split(key)
        actions = env.actions.sample(of_actions, (steps,))
        track = simulate(env, env.reset(of_start, params), actions, dt, params)
        return observed(env, track, params), actions

    return jax.vmap(one)(jax.random.split(key, count))


def of_one_world(env: Environment, params: Any, seed: int, recipe: Recipe, take: int, noise: float = NOISE) -> Observed:
    """`take` noisy sequences of a world with these parameters, which need no compilation of their own."""
    states, actions = _simulated(
        env, params, recipe.dt, jax.random.key(seed), count=recipe.sequences, steps=recipe.steps
    )
    states = np.asarray(states, np.float64)
    states = states + noise * np.random.default_rng((seed, 7)).standard_normal(states.shape)
    keep = np.flatnonzero(nearest_approach(env.layout, states) >= recipe.nearest)
    if len(keep) < take:
        raise UsageError(f"{env.name}: {len(keep)} sequences stay {recipe.nearest:g} m away, {take} are needed")
    return Observed.of(states[keep[:take]], np.asarray(actions)[keep[:take]], recipe.dt)


def learned_field(data: Observed, seed: int, steps: int = 1500, width: int = 64, ahead: int = 5) -> Any:
    """A small network's field(states [N, D], actions [N, A]) -> rates [N, D], trained by shooting `ahead` steps.

    Two hidden tanh layers, Adam with a cosine from 3e-3, batches of 64 starts from the noisy states.
    """
    size, acts = data.states.shape[-1], data.actions.shape[-1]
    states, actions = jnp.asarray(data.states, jnp.float32), jnp.asarray(data.actions, jnp.float32)
    scale = jnp.std(states, (0, 1))
    rate = jnp.std(jnp.diff(states, axis=1), (0, 1)) / data.dt
    keys = jax.random.split(jax.random.key(seed), 4)
    shapes = ((size + acts, width), (width, width), (width, size))
    weights = [(jax.random.normal(k, s) / s[0] ** 0.5, jnp.zeros(s[1])) for k, s in zip(keys[:3], shapes, strict=True)]

    def field(weights: Any, state: Any, action: Any) -> Any:
        hidden = jnp.concatenate([state / scale, action], -1)
        for matrix, bias in weights[:-1]:
            hidden = jnp.tanh(hidden @ matrix + bias)
        return rate * (hidden @ weights[-1][0] + weights[-1][1])

    def loss(weights: Any, key: Any) -> Any:
        of_sequence, of_time = jax.random.split(key)
        sequence = jax.random.randint(of_sequence, (64,), 0, len(states))
        time = jax.random.randint(of_time, (64,), 0, states.shape[1] - ahead)
        now, total = states[sequence, time], 0.0
        for k in range(ahead):
            action = actions[sequence, time + k]
            now = rk4_step(lambda state, action=action: field(weights, state, action), now, data.dt)
            total = total + jnp.mean(((now - states[sequence, time + k + 1]) / scale) ** 2)
        return total

    rule = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def body(now: Any, key: Any) -> Any:
        weights, memory = now
        change, memory = rule.update(jax.grad(loss)(weights, key), memory)
        return (optax.apply_updates(weights, change), memory), None

    train = jax.jit(lambda w: jax.lax.scan(body, (w, rule.init(w)), jax.random.split(keys[3], steps))[0][0])
    trained = train(weights)
    return lambda states, actions: np.asarray(
        field(trained, jnp.asarray(states, jnp.float32), jnp.asarray(actions, jnp.float32)), np.float64
    )


__all__ = [
    "NOISE",
    "Recipe",
    "learned_field",
    "noisy_data",
    "of_one_world",
    "recipe_of",
    "world_of",
]
