"""Worlds and data of the studies of the law: those registered, one with v|v|, three with a term outside the library."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from o2t_jax.data.simulated import SimulatedSequences
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.physics.environment import Environment
from o2t_jax.physics.envs import get_environment
from o2t_jax.physics.envs.oscillator import Oscillator, OscillatorState
from o2t_jax.types import Array

NOISE = 0.1
NAMED = (
    "oscillator",
    "oscillator_easy",
    "pendulum",
    "spaceship",
    "three_body",
    "spring",
    "double_pendulum",
    "gravity_two",
    "gravity_three",
    "drag_oscillator",
)
OUTSIDE = ("cosine_oscillator", "van_der_pol", "tanh_oscillator")


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
    "three_body": Recipe(3000, 8, 0.1, 0.8),
    "gravity_two": Recipe(400, 30, 0.1, 0.8),
    "gravity_three": Recipe(400, 20, 0.1, 0.8),
}


def recipe_of(name: str) -> Recipe:
    """The world's recipe, or the default one."""
    return RECIPES.get(name, Recipe())


def distances(states: np.ndarray) -> np.ndarray:
    """Smallest observed distance [S] of each planar sequence: between bodies, or of one body to the origin."""
    bodies = states.shape[-1] // 4
    place = states[..., : 2 * bodies].reshape(*states.shape[:-1], bodies, 2)
    if bodies == 1:
        return np.linalg.norm(place[..., 0, :], axis=-1).min(1)
    first, second = np.triu_indices(bodies, 1)
    return np.linalg.norm(place[..., first, :] - place[..., second, :], axis=-1).min((1, 2))


def noisy_data(
    env: Environment, seed: int, recipe: Recipe, noise: float = NOISE
) -> tuple[Observed, np.ndarray, dict[str, np.ndarray]]:
    """The data, its states without noise, and the parameters of each sequence.

    Raises: UsageError where `nearest` leaves no sequence.
    """
    batch = SimulatedSequences(env, recipe.steps, (recipe.dt,), seed).batch("train", np.arange(recipe.sequences))
    clean = np.asarray(batch["states"], np.float64)
    states = clean + noise * np.random.default_rng((seed, 7)).standard_normal(clean.shape)
    keep = np.arange(len(states)) if not recipe.nearest else np.flatnonzero(distances(states) >= recipe.nearest)
    if len(keep) < 4:
        raise UsageError(f"{env.name}: {len(keep)} sequences stay {recipe.nearest:g} m away: take more sequences")
    params = {name: np.asarray(value)[keep] for name, value in batch["params"]._asdict().items()}
    actions = np.asarray(batch["actions"], np.float64)[keep]
    return Observed.of(states[keep], actions, recipe.dt), clean[keep], params


__all__ = ["NAMED", "NOISE", "OUTSIDE", "Recipe", "distances", "noisy_data", "recipe_of", "world_of"]
