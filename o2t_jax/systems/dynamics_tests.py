"""The evaluators of system `dynamics`: rollouts from clean held-out starts, inferred parameters, long motion."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.windows import HeldOut, Windows
from o2t_jax.evaluation.dynamics import conservation, rollouts
from o2t_jax.models.cores import VectorCore, rollout
from o2t_jax.models.cores.fit_context import fit_context
from o2t_jax.physics.environment import Environment, idle, observed, simulate, state_of
from o2t_jax.results import Column, Result, Scalar, Score, ScoreCurve, ScoreTable, Table
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.dynamics_config import MOST_WINDOW
from o2t_jax.types import Array, Batch, PyTree

_CALIBRATION = 1000  # windows that calibrate an inferred parameter; as many are then read
_ROWS = ("persistence", "constant velocity", "best linear")
_COLUMNS = {
    "dt": Column("s"),
    "method": Column(),
    "error": Column(spec=".4g"),
    "of persistence": Column(spec=".4g"),
    "of best linear": Column(spec=".4g"),
    "valid time": Column("s", ".2f"),
}
# Truth that stays this close to the lowest point swings, and has a phase.
_SWINGS = 2.5  # rad


class Model(Protocol):
    """What the tests need of the system."""

    config: Config
    env: Environment
    dts: tuple[float, ...]
    windows: Windows
    fitting_core: VectorCore

    @property
    def scale(self) -> tuple[float, ...]: ...

    def core_for(self, dt: float, pieces: int = 1) -> VectorCore: ...

    def read_window(self, params: PyTree, batch: Batch) -> tuple[Array, Any]: ...


class DynamicsTests:
    """The evaluators, and what they keep from call to call: the same sequences and rows for every seed."""

    def __init__(self, system: Model) -> None:
        self.system, self.config, self.env = system, system.config, system.env
        self._runs: dict[float, Any] = {}

    @functools.cached_property
    def held_out(self) -> HeldOut:
        """The test's sequences."""
        config, own = self.config, self.system.dts[0]
        dts = tuple(dict.fromkeys((*config.dt_values, own)))
        return HeldOut(
            self.env, config.test_starts, config.test_horizon, dts, config.hold, config.window, own, config.noise
        )

    @functools.cached_property
    def _read(self) -> Any:
        return jax.jit(self.system.read_window)

    @functools.cached_property
    def _rows(self) -> dict[float, dict[str, np.ndarray]]:
        """Errors [N, T] of the rows that learn little, by dt."""
        held, layout = self.held_out, self.env.layout
        return {
            dt: rollouts.rows(layout, held.training(dt), held.rollouts(dt), self._variance, dt)
            for dt in sorted(held.dts)
        }

    @property
    def _variance(self) -> np.ndarray:
        """Of each entry [D], which errors are measured in."""
        return np.square(np.asarray(self.system.scale))

    def contexts(self, params: PyTree) -> Any:
        """The context [N, C] of each held-out sequence: known, or inferred from its noisy window; or None."""
        if self.config.context == "known":
            return self.held_out.sequences["known"]
        if self.config.context == "none":
            return None
        dt = np.full(self.config.test_starts, self.system.dts[0], np.float32)
        return self._read(params, self.held_out.windows() | {"dt": dt})[1]

    def predict(self, params: PyTree, dt: float) -> np.ndarray:
        """States [N, T, D] predicted from the clean held-out starts at steps of `dt` s."""
        run = self._runs.setdefault(dt, jax.jit(functools.partial(self._rollout, dt)))
        test = self.held_out.rollouts(dt)
        return np.asarray(run(params, test["states"][:, 0], test["actions"], self.contexts(params)))

    def _rollout(self, dt: float, params: PyTree, start: Array, actions: Array, context: Any) -> jax.Array:
        pieces = self.held_out.pieces(dt)
        split = jnp.asarray(actions).reshape(*actions.shape[:2], pieces, self.env.actions.size)
        core = self.system.core_for(dt, pieces)
        return rollout(core, params["core"], jnp.asarray(start), split, dt, context)

    def rollouts(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Rollouts from clean held-out starts beside rows that learn little: at every dt, and over the horizon."""
        lines, model = [], self.config.model
        for dt in sorted(self.held_out.dts):
            truth = self.held_out.rollouts(dt)["states"][:, 1:]
            own = rollouts.errors(self.env.layout, self.predict(state.params, dt), truth, self._variance)
            found = {model: own, **self._rows[dt]}
            lines += [_line(dt, name, each, found) for name, each in found.items()]
            if dt == self.system.dts[0]:
                means = {name: rollouts.state_error(each) for name, each in found.items()}
                yield "error", Score(means.pop(model), baselines=means, better="lower")
                time = dt * np.arange(1, truth.shape[1] + 1)
                curves = {name: np.minimum(np.mean(each, axis=0), 1e6) for name, each in found.items()}
                axes = ("horizon", "squared error / variance", "s", "")
                mine = curves.pop(model)
                curve = ScoreCurve(time, mine, None, None, *axes, baselines=curves, better="lower", method=model)
                yield "error_over_horizon", curve
        baselines = [name for name in _ROWS if any(line["method"] == name for line in lines)]
        how: dict[str, Any] = {"better": "lower", "method": model, "by": ("dt",), "score_column": "error"}
        yield "rollouts", ScoreTable(_COLUMNS, lines, baselines=baselines, **how)
        if self.config.context == "inferred":
            yield from self.inferred(state.params)

    def inferred(self, params: PyTree) -> Iterator[tuple[str, Result]]:
        """How well the inferred context tells the parameters that vary, after calibration. See `_told`."""
        batch = self._calibration_batch
        yield from _told(np.asarray(self._read(params, batch)[1], np.float64), batch["known"], self.env.ranges)

    def fitted(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """The parameters that vary, inferred from 20 noisy steps through a core that was trained knowing them.

        Yields slope and rms error against the truth, the share explained, and the error of rollouts from clean starts
        with the inferred ones.
        """
        core, batch, dt = state.params["core"], self._calibration_batch, self.system.dts[0]
        steps = min(MOST_WINDOW, batch["actions"].shape[1])
        read = np.asarray(self._infer(core, batch["states"][:, : steps + 1], batch["actions"][:, :steps], batch["dt"]))
        for i, (name, (low, high)) in enumerate(self.env.ranges.items()):
            # As it is: a core that was told the parameters infers them in their own units.
            slope, rms = _agreement(read[:, i], batch["known"][:, i])
            yield f"{name}_slope", Scalar(slope)
            yield f"{name}_rms", Scalar(0.5 * (high - low) * rms)
            yield f"{name}_explained", Scalar(_explained(read[:, i], batch["known"][:, i]))
        held, rows = self._fit_set
        window = held.windows()
        context = self._infer(core, window["states"], window["actions"], np.full(len(window["states"]), dt, np.float32))
        found = {
            name: self._errors_of(held, core, each)
            for name, each in (("inferred", context), ("known", held.sequences["known"]), ("middle", 0 * context))
        }
        rows = rows | {"parameters known": found["known"], "middle of their ranges": found["middle"]}
        means = {name: rollouts.state_error(each) for name, each in rows.items()}
        yield "error", Score(rollouts.state_error(found["inferred"]), baselines=means, better="lower")

    @functools.cached_property
    def _fit_set(self) -> tuple[HeldOut, dict[str, np.ndarray]]:
        """Sequences after a window of 20 steps, at the model's own dt, and the errors of the rows that learn little."""
        config, dt = self.config, self.system.dts[0]
        held = HeldOut(self.env, config.test_starts, config.test_horizon, (dt,), dt, MOST_WINDOW, dt, config.noise)
        return held, rollouts.rows(self.env.layout, held.training(dt), held.rollouts(dt), self._variance, dt)

    @functools.cached_property
    def _infer(self) -> Any:
        """(parameters of the core, states, actions, dt) -> contexts; see `fit_context`."""
        fitting = self.system.fitting_core
        size, noise = len(self.env.ranges), self.config.noise

        def infer(params: PyTree, states: Array, actions: Array, dt: Any) -> jax.Array:
            return fit_context(fitting, params, jnp.asarray(states), jnp.asarray(actions), dt, size, noise)[1]

        return jax.jit(infer)

    @functools.cached_property
    def _roll(self) -> Any:
        core, dt = self.system.core_for(max(self.system.dts)), self.system.dts[0]
        return jax.jit(lambda params, start, actions, context: rollout(core, params, start, actions, dt, context))

    def _errors_of(self, held: HeldOut, params: PyTree, context: Any) -> np.ndarray:
        """Errors [N, T] at the model's own dt with these contexts."""
        test = held.rollouts(self.system.dts[0])
        predicted = np.asarray(self._roll(params, test["states"][:, 0], test["actions"], context))
        return rollouts.errors(self.env.layout, predicted, test["states"][:, 1:], self._variance)

    @functools.cached_property
    def _calibration_batch(self) -> dict[str, np.ndarray]:
        """Windows of sequences that no training reaches: 2^32 / 8000 of its batches come before."""
        windows = dataclasses.replace(self.system.windows, count=0)
        make = jax.jit(lambda step: windows.batch(jnp.int32(self.config.seed), step, 2 * _CALIBRATION))
        return {name: np.asarray(x) for name, x in make(jnp.uint32(2**19)).items()}

    def long(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Motion without pushes over `long_steps` steps: drift of the true energy, phase error. See `conservation`."""
        truth, spread = self._long_truth
        predicted = np.asarray(self._long_run(state.params, truth[:, 0], self.contexts(state.params)))
        every = np.concatenate([truth[:, :1], predicted], axis=1)
        drift = conservation.energy_drift(np.asarray(self._energies(every)), spread)
        yield "energy_drift", Scalar(drift)
        row = {"method": self.config.model, "drift": drift}
        if len(self.env.layout.positions) == 1:  # a pendulum that turns over has no phase; a spring always has
            q, p = self.env.layout.positions[0], self.env.layout.momenta[0]
            sizes = self.system.scale[q], self.system.scale[p]
            swings = np.full(len(truth), True)
            if self.env.layout.angles:
                swings = np.max(np.abs(truth[:, :, q]), axis=1) < _SWINGS
            tracks = [conservation.phase(x[swings][:, :, q], x[swings][:, :, p], sizes) for x in (every, truth)]
            row["phase error"] = conservation.phase_error(*tracks)
            yield "phase_error", Scalar(row["phase error"])
        yield "long", Table({"method": Column(), **{name: Column(spec=".4g") for name in [*row][1:]}}, [row])

    @functools.cached_property
    def _long_truth(self) -> tuple[np.ndarray, float]:
        """True states [N, T + 1, D] at the model's own step, and the spread of the energy over starts."""
        made = self.held_out.sequences
        start = self.held_out.rollouts(self.system.dts[0])["states"][:, 0]
        actions = idle(self.env, self.config.long_steps)

        def one(vector: Array, params: Any) -> jax.Array:
            track = simulate(self.env, state_of(self.env, vector, params), actions, self.system.dts[0], params)
            return observed(self.env, track, params)

        truth = np.asarray(jax.jit(jax.vmap(one))(start, made["params"]))
        return truth, float(np.std(self._energies(truth[:, :1])))

    @functools.cached_property
    def _energies(self) -> Any:
        """States [N, T, D] -> the world's energy [N, T], summed over its bodies."""

        def one(vector: Array, params: Any) -> jax.Array:
            return jnp.sum(jnp.asarray(self.env.energy(state_of(self.env, vector, params), params)))

        each = jax.jit(jax.vmap(jax.vmap(one, (0, None))))
        return lambda states: each(states, self.held_out.sequences["params"])

    @functools.cached_property
    def _long_run(self) -> Any:
        dt, steps = self.system.dts[0], self.config.long_steps

        def run(params: PyTree, start: Array, context: Any) -> jax.Array:
            actions = jnp.zeros((len(start), steps, self.env.actions.size))
            return rollout(self.system.core_for(dt), params["core"], jnp.asarray(start), actions, dt, context)

        return jax.jit(run)


def _told(
    context: np.ndarray, known: np.ndarray, ranges: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, Result]]:
    """How well `context` [2 N, C] tells the parameters `known` [2 N, P] (each from -1 to 1): slope, rms, explained.

    A context is a number of the model's own. The first half calibrates it: a cubic polynomial of it predicts the
    parameter, and is stretched about its mean so that its regression on the true parameter has slope 1. The second
    half, of other sequences, is read.
    """
    half, known = len(context) // 2, np.asarray(known, np.float64)
    context = np.nan_to_num(context, posinf=0.0, neginf=0.0)
    powers = _cubic((context - context[:half].mean(axis=0)) / (context[:half].std(axis=0) + 1e-12))
    for i, (name, (low, high)) in enumerate(ranges.items()):
        there, truth = known[:half, i], known[half:, i]
        predicted, held_out = np.split(powers @ np.linalg.lstsq(powers[:half], there, rcond=None)[0], 2)
        stretch = max(np.polyfit(there, predicted, 1)[0], 1e-6)
        read = predicted.mean() + (held_out - predicted.mean()) / stretch
        slope, rms = _agreement(read, truth)
        yield f"{name}_calibrated_slope", Scalar(slope)
        yield f"{name}_calibrated_rms", Scalar(0.5 * (high - low) * rms)
        yield f"{name}_explained", Scalar(_explained(held_out, truth))


def _agreement(read: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Slope of the regression of `read` [N] on `truth` [N], and the rms of their difference."""
    return float(np.polyfit(truth, read, 1)[0]), float(np.sqrt(np.mean(np.square(read - truth))))


def _explained(read: np.ndarray, truth: np.ndarray) -> float:
    """The share of the variance of `truth` [N] that `read` [N] explains: 1 is all."""
    return float(np.corrcoef(read, truth)[0, 1] ** 2)


def _cubic(context: np.ndarray) -> np.ndarray:
    """Powers 0 to 3 of each context [N, C], as columns [N, 1 + 3 C]; constant beyond three deviations."""
    clipped = np.clip(context, -3.0, 3.0)
    return np.concatenate([np.ones((len(context), 1)), clipped, clipped**2, clipped**3], axis=1)


def _line(dt: float, name: str, each: np.ndarray, found: dict[str, np.ndarray]) -> dict[str, Any]:
    """One row of the table of rollouts."""
    error = rollouts.state_error(each)
    return {
        "dt": dt,
        "method": name,
        "error": error,
        "of persistence": error / rollouts.state_error(found["persistence"]),
        "of best linear": error / rollouts.state_error(found["best linear"]),
        "valid time": rollouts.valid_time(each, dt),
    }
