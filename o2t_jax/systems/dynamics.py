"""System `dynamics`: a world that is pushed, learned from its noisy states (docs/dynamics.md).

A window of noisy steps gives the start, and where asked the parameters that nobody tells; the model rolls out from
there, and the loss is Huber's, of the rollout's error. Tests start from clean states, at any step dt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.data.stored import open_set
from o2t_jax.data.stored_batches import StoredBatches
from o2t_jax.data.windows import Windows
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics import rollouts
from o2t_jax.models.cores import CORES, VectorCore, make_core, rollout
from o2t_jax.models.cores.fit_context import fit_context
from o2t_jax.models.cores.window import WindowEncoder
from o2t_jax.physics.environment import checked_dt
from o2t_jax.systems import base_config, dynamics_config, dynamics_law
from o2t_jax.systems.base import Best, DataRequest, System, TrainState
from o2t_jax.systems.dynamics_tests import DynamicsTests
from o2t_jax.systems.dynamics_world import make_world
from o2t_jax.types import Array, Batch, BatchIterator, PyTree

_HUBER = 0.3  # in standard deviations of the states; larger errors count linearly
_SCALE_SEQUENCES = 500  # from which typical sizes are computed
_FIT_STEPS = 2  # of the fit of a context in a step of training; tests make more


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, dynamics_config.fields(config))
    dynamics_config.validate(config)
    system = Dynamics(config)
    jax.eval_shape(system.init, jax.random.key(0))  # a model that does not fit the world is refused here
    return system


class Dynamics(System):
    """See `o2t_jax.training.contract.System`. Parameters: "core", and with a window "encoder"."""

    name = "dynamics"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("test/error", "min")
    test_fields = ("test_starts", "test_horizon", "dt_values", "hold", "long_steps")

    def __init__(self, config: Config) -> None:
        self.config = config
        self.env = make_world(config, "experiments/configs/dynamics/{name}.py")
        self.dts = tuple(checked_dt(self.env, dt) for dt in config.dt)
        for dt in config.dt_values:
            checked_dt(self.env, dt)
        self.scale = self._sizes()
        sequences = SimulatedSequences(self.env, config.steps, self.dts, config.seed)
        self.windows = Windows(sequences, config.window + config.horizon, config.n_seqs, config.noise)
        self.source = SequenceSource(self.windows.data)
        self.sample_sources = (self.source,)
        if not config.dataset:
            self.make_batch = self._make_batch
        self.core = self.core_for(max(self.dts))
        # `fit_context` takes forward derivatives: dopri5 has none.
        self.fitting_core = self.core.clone(step="rk4") if getattr(self.core, "step", "") == "dopri5" else self.core
        hidden = (2 * config.width,) * config.depth
        self.encoder = WindowEncoder(self.env.layout, hidden, self.scale)
        self.smoother = WindowEncoder(self.env.layout, hidden, self.scale, place=config.window)
        rate = optax.cosine_decay_schedule(config.lr, config.train_steps)
        self.tx = optax.chain(optax.clip_by_global_norm(config.clip), optax.adam(rate))
        tests = DynamicsTests(self)
        self.evaluators = {"test": tests.rollouts} | ({"long": tests.long} if config.long_steps else {})
        if config.context == "known" and config.noise:
            self.evaluators["fitted"] = tests.fitted
        one = jax.eval_shape(lambda seed, step: self.windows.batch(seed, step, 1), jnp.int32(0), jnp.int32(0))
        self.sample_spec = {name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in one.items()}

    def core_for(self, dt: float, pieces: int = 1) -> VectorCore:
        """The model with inner steps of at most `config.inner` s in a step of `dt` s of `pieces` actions."""
        config, fields = self.config, {}
        made = make_core(config.model, self.env.layout, widths=(config.width,) * config.depth, scale=self.scale)
        if hasattr(made, "substeps"):
            # 1e-6: a dt of exactly n inner steps must not become n + 1 by rounding.
            fields = {"step": config.integrator, "substeps": pieces * math.ceil(dt / pieces / config.inner - 1e-6)}
        if config.reversible:
            fields |= _reversible(config.model)
        return made.clone(**fields)

    def _sizes(self) -> tuple[float, ...]:
        """The standard deviation of each entry over training sequences, angles wrapped."""
        sequences = SimulatedSequences(self.env, max(10, round(3.0 / max(self.dts))), self.dts, 0)
        states = np.asarray(sequences.batch("train", np.arange(_SCALE_SEQUENCES))["states"])
        return tuple(float(x) for x in np.sqrt(rollouts.variance(self.env.layout, states)))

    def _make_batch(self, seed: Array, step: Array) -> Batch:
        """The batch of a step."""
        return self.windows.batch(seed, step, self.config.batch)

    def check(self) -> None:
        """Opens the stored set, verifies its sums and that it is of this world."""
        if self.config.dataset:
            open_set(self.config.dataset, verify=True).require(self.source).close()

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Windows of the stored set, if one is named."""
        if not self.config.dataset:
            return super().train_iterator(request)
        return StoredBatches(
            open_set(self.config.dataset).require(self.source),
            "train",
            self.config.batch,
            seeds=request.seeds,
            position=request.position,
            prepare=self.windows.of_stored,
            place=request.put,
            process_index=request.process_index,
            process_count=request.process_count,
        )

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of the core and of the window's encoder, and no `extra`."""
        of_core, of_encoder, of_smoother = jax.random.split(jnp.asarray(key), 3)
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        w, params = self.config.window, {}
        context = one.get("known") if self.config.context == "known" else None
        if self.config.context == "inferred":
            context = jnp.zeros((1, self.config.context_size))
        if w:
            seen = one["states"][:, : w + 1], one["actions"][:, :w], one["dt"], context
            params["encoder"] = self.encoder.init(of_encoder, *seen)["params"]
        if self.config.smooth:
            seen = one["states"], one["actions"], one["dt"], context
            params["smoother"] = self.smoother.init(of_smoother, *seen)["params"]
        begun = self.core.begin(one["states"][:, 0])
        params["core"] = self.core.init(of_core, begun, one["actions"][:, 0], one["dt"], context)["params"]
        return params, {}

    def read_window(self, params: PyTree, batch: Batch, iterations: int = 12) -> tuple[Array, Any]:
        """The start [B, D] at the window's end and the context [B, C] or None, from the steps before the rollout.

        An inferred context is fitted to the window through the core, in so many steps. No gradient passes through it:
        the core is trained with the contexts that it explains the window best with, as expectation and maximisation
        take turns.
        """
        w, context = self.config.window, None
        states, actions = jnp.asarray(batch["states"]), jnp.asarray(batch["actions"])
        if self.config.context == "known":
            context = batch["known"]
        elif self.config.context == "inferred":
            core, seen = jax.lax.stop_gradient((params["core"], states[:, : w + 1]))
            size, noise = self.config.context_size, self.config.noise
            fit = (self.fitting_core, core, seen, actions[:, :w], batch["dt"], size, noise, iterations)
            context = fit_context(*fit)[1]
        if not w:
            return states[:, 0], context
        seen = states[:, : w + 1], actions[:, :w], batch["dt"], context
        return jnp.asarray(self.encoder.apply({"params": params["encoder"]}, *seen)), context

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """States [B, horizon, D] after the window, from it and the actions."""
        start, context = self.read_window(params, batch)
        actions = jnp.asarray(batch["actions"])[:, self.config.window :]
        return rollout(self.core, params["core"], jnp.asarray(start), actions, batch["dt"], context)

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """The states after the window."""
        mask = np.zeros(np.shape(batch["states"]), bool)
        mask[:, self.config.window + 1 :] = True
        return {"states": mask}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """Huber's loss of the rollout's and its start's error in standard deviations, mean over steps and entries.

        With `smooth` the rollout starts from a state estimated from all its noisy states: maximum likelihood with the
        start as a nuisance parameter. From the window alone the start is less certain, and a model that predicts the
        mean of what may follow learns too much friction. The window's start then follows the smoothed one.
        """
        start, context = self.read_window(params, batch, _FIT_STEPS)
        w, states, actions = self.config.window, jnp.asarray(batch["states"]), jnp.asarray(batch["actions"])
        unit, metrics, loss = jnp.asarray(self.scale), {}, jnp.zeros(())
        if self.config.smooth:
            filtered, seen = start, (states, actions, batch["dt"], context)
            start = jnp.asarray(self.smoother.apply({"params": params["smoother"]}, *seen))
            if w:
                loss = jnp.mean(jnp.square((filtered - jax.lax.stop_gradient(start)) / unit))
                metrics["start"] = loss
        predicted = rollout(self.core, params["core"], jnp.asarray(start), actions[:, w:], batch["dt"], context)
        # Not wrapped: windows are short, and a wrapped error has false minima.
        apart = jnp.concatenate([start[:, None], predicted], axis=1) - states[:, w:]
        metrics["rollout"] = jnp.mean(jnp.square(apart / unit))
        # A few windows close to an unstable point must not outweigh all others: Huber's loss.
        robust = 2.0 * optax.huber_loss(apart / unit, delta=_HUBER)
        return loss + jnp.mean(robust), (metrics, {})

    def law_of(self, state: TrainState, seed: int) -> dict[str, Any]:
        """The law read off a trained state and the data of its seed; see `dynamics_law.law_of`."""
        return dynamics_law.law_of(self, state.params, seed)

    def truth(self) -> dict[str, Any]:
        """The world's parameters and the ranges of those that vary."""
        return {"env": self.config.env.to_dict(), "vary": list(self.config.vary)}

    def notes(self, plan: Any) -> list[str]:
        """The model's size."""
        params = jax.eval_shape(self.init, jax.random.key(0))[0]
        counts = {name: sum(x.size for x in jax.tree.leaves(part)) for name, part in params.items()}
        return [f"model: {self.config.model}, " + ", ".join(f"{n} parameters in {name}" for name, n in counts.items())]


def _reversible(model: str) -> dict[str, bool]:
    """The fields that make a model's motion reversible. Raises: UsageError for a model that has none."""
    fields = {"newtonian": {"reversible": True}, "port_hamiltonian": {"separable": True, "damped": False}}
    if model not in fields:
        CORES.check(model)
        raise UsageError(f"reversible=True with model={model}: only {' and '.join(fields)} have it")
    return fields[model]
