"""The template of a system: copy this file and `toy_config.py`, and adapt them (docs/new_system.md).

It learns the motion of a pushed oscillator from vectors (position, velocity) and pushes, and computes the spring's
stiffness from the learned model. Every part of a system appears here once, in its smallest form.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.linalg import logm

from o2t_jax.config import Config
from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.models.cores import Unrolled, as_core, make_core, unroll
from o2t_jax.physics.environment import state_of
from o2t_jax.physics.envs import get_environment
from o2t_jax.render.planar import draw, to_bytes
from o2t_jax.results import Film, Result, Score, ScoreCurve
from o2t_jax.systems import base_config, toy_config
from o2t_jax.systems.base import Best, System, TrainState
from o2t_jax.types import Array, Batch, PyTree

TEST_SEQUENCES = 100
TEST_STEPS = 50
_ROWS = {"hold the first state": False, "constant velocity": True}


def build(config: Config) -> System:
    """The toy of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, toy_config.FIELDS)
    return Toy(config)


class Toy(System):
    """See `o2t_jax.training.contract.System`."""

    name = "toy"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("test/error", "min")
    agreement = {"spring/stiffness_per_mass": 0.1}  # noqa: RUF012 (typed in the base)

    def __init__(self, config: Config) -> None:
        self.config = config
        # Its parameters are the same in every sequence: `ranges={}`.
        self.env = get_environment("oscillator", ranges={}, **config.env.to_dict())
        self.data = SimulatedSequences(self.env, config.horizon, (config.dt,), config.seed)
        self.sample_sources = (SequenceSource(self.data),)
        self.core = make_core(config.core, self.env.layout, widths=(config.width, config.width))
        self.tx = optax.adam(optax.cosine_decay_schedule(config.lr, config.train_steps))
        self.evaluators = {"test": self.test}
        self.readouts = {"spring": self.spring}
        self.sample_spec = {
            "states": jax.ShapeDtypeStruct((config.horizon + 1, self.env.layout.size), jnp.float32),
            "actions": jax.ShapeDtypeStruct((config.horizon, self.env.actions.size), jnp.float32),
        }

    def make_batch(self, seed: Array, step: Array) -> Batch:
        """The batch of a step: new sequences every time."""
        indices = jnp.asarray(step * self.config.batch, jnp.uint32) + jnp.arange(self.config.batch, dtype=jnp.uint32)
        made = self.data.sequences("train", indices, seed)
        return {"states": made["states"], "actions": made["actions"]}

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of the core, and no `extra`."""
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        model = Unrolled(self.core)
        return model.init(jnp.asarray(key), one["states"][:, 0], one["actions"], self.config.dt)["params"]["core"], {}

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """States [B, T, 2] after each step, from the first state and the pushes."""
        core = as_core(self.core, {"params": params})
        return unroll(core, jnp.asarray(batch["states"])[:, 0], batch["actions"], self.config.dt)[1]

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """All states but the first."""
        mask = np.zeros(np.shape(batch["states"]), bool)
        mask[:, 1:] = True
        return {"states": mask}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """Mean squared error over the steps and both numbers, for each sample separately."""
        error = jnp.mean(jnp.square(self.predict(params, extra, batch) - batch["states"][:, 1:]), axis=(1, 2))
        return jnp.mean(error), ({}, {})

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Squared error over the variance, on sequences that training never draws, with baselines that do not learn."""
        batch = self._test_batch
        truth = np.asarray(batch["states"])
        predicted = np.asarray(jax.jit(self.predict)(state.params, state.extra, batch))
        variance = np.var(truth, axis=(0, 1))

        def errors(states: np.ndarray) -> np.ndarray:
            return np.mean(np.square(states - truth[:, 1:]) / variance, axis=(0, 2))

        time = self.config.dt * np.arange(1, TEST_STEPS + 1)
        rows = {name: errors(_guess(truth[:, 0], time, moving)) for name, moving in _ROWS.items()}
        ours = errors(predicted)
        means = {name: float(np.mean(row)) for name, row in rows.items()}
        yield "error", Score(float(np.mean(ours)), baselines=means, better="lower")
        axes = ("horizon", "squared error / variance", "s", "")
        yield (
            "error_over_horizon",
            ScoreCurve(time, ours, None, None, *axes, baselines=rows, better="lower", method="toy"),
        )
        yield "film", Film(self._film(truth[0, 1:], predicted[0]), 1.0 / self.config.dt, "truth, prediction")

    def spring(self, state: TrainState) -> dict[str, Any] | None:
        """k/m (1/s^2) and c/m (1/s): the step without a push, as a matrix exp(A dt) with A = [[0, 1], [-k/m, -c/m]].

        The matrix is the least-squares fit to the learned step over the states that the test visits. None where that
        step is not finite: the training will say so at its next one.
        """
        states = np.asarray(self._test_batch["states"]).reshape(-1, self.env.layout.size)
        pushes = np.zeros((len(states), self.env.actions.size), np.float32)
        after = np.asarray(self.core.apply({"params": state.params}, states, pushes, self.config.dt, None))
        if not np.all(np.isfinite(after)):
            return None
        matrix = np.linalg.lstsq(states.astype(np.float64), after.astype(np.float64), rcond=None)[0].T
        rate = np.real(logm(matrix)) / self.config.dt
        return {"stiffness_per_mass": float(-rate[1, 0]), "damping_per_mass": float(-rate[1, 1])}

    def truth(self) -> dict[str, Any]:
        """The true values of the read-out `spring`."""
        mass, stiffness, damping = (float(x) for x in self.env.params)
        return {"stiffness_per_mass": stiffness / mass, "damping_per_mass": damping / mass}

    def headline(self, readouts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The spring's stiffness and the true one."""
        if "spring" not in readouts:
            return []
        found, truth = np.mean(readouts["spring"]["stiffness_per_mass"]), self.truth()["stiffness_per_mass"]
        return [f"stiffness / mass {found:.4g} 1/s^2 (true: {truth:.4g})"]

    @functools.cached_property
    def _test_batch(self) -> Batch:
        """The same sequences for every seed."""
        sequences = SimulatedSequences(self.env, TEST_STEPS, (self.config.dt,), 0)
        return sequences.batch("test", np.arange(TEST_SEQUENCES))

    def _film(self, *tracks: np.ndarray) -> np.ndarray:
        """uint8 [T, 64, 64 n, 3]: tracks [T, 2] side by side."""
        world = self.env

        def picture(vector: Array) -> jax.Array:
            return to_bytes(draw(world.draw(state_of(world, vector, world.params), world.params), 64, 64))

        return np.concatenate([np.asarray(jax.vmap(picture)(jnp.asarray(track))) for track in tracks], axis=2)


def _guess(first: np.ndarray, time: np.ndarray, moving: bool) -> np.ndarray:
    """States [B, T, 2] of a ball that rests at its first position, or moves on with its first velocity."""
    states = np.repeat(first[:, None], len(time), axis=1)
    if moving:
        states[..., 0] += first[:, None, 1] * time
    return states
