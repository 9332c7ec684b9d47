"""The view of a run of system `dynamics`: push the true world and the model, side by side, from the same start."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics import rollouts
from o2t_jax.models.cores import as_core
from o2t_jax.physics.environment import Actions, state_of
from o2t_jax.render.planar import draw, to_bytes
from o2t_jax.systems.dynamics_tests import DynamicsTests
from o2t_jax.systems.view import Chart, Choice, Shown, Slider, TrainedRun, Values
from o2t_jax.types import Array, PyTree

SIZE = 320  # px, of a picture
MOST_POINTS = 300  # of the chart: the last ones
FREE_LIMIT = 1.0  # of a free action whose world sets none


class Motion(NamedTuple):
    """World and model at one time. `true`: the world's state; `carried` [1, C]: the model's, with its memory."""

    start: Float[np.ndarray, " size"]
    params: PyTree
    context: Any
    true: PyTree
    carried: Float[Array, "1 carried"]
    errors: tuple[tuple[float, float, float], ...]  # (time s, model's error, error of what stands still)


class Rolled(NamedTuple):
    """World and model under the same pushes: `time` [T + 1] s, and the states `true` and `model` [T + 1, D]."""

    time: Float[np.ndarray, " times"]
    true: Float[np.ndarray, "times size"]
    model: Float[np.ndarray, "times size"]


class DynamicsView:
    """See `systems.view.View`. The starts are the clean ones of the held-out test, with their own parameters.

    The model steps by the run's first `dt`; it sees the true state at the start only, and then its own predictions.
    """

    def __init__(self, run: TrainedRun) -> None:
        self.run, self.system = run, run.system
        self.env, config = self.system.env, run.config
        self.title = f"{run.workdir.name}: {self.env.name}, model {config.model} at step {run.step}"
        self.period = float(self.system.dts[0])
        self._core = self.system.core_for(self.period)
        self._tests = DynamicsTests(self.system)
        self.controls: dict[str, Slider | Choice] = {
            "sequence": Slider("held-out start", "", 0, config.test_starts - 1, 1, 0, anew=True)
        }
        self.controls |= pushes_of(self.env.actions)

    def begin(self, values: Values) -> Motion:
        """Both at the chosen start."""
        index = round(values["sequence"])
        start = self._starts[index]
        params = jax.tree.map(lambda x: x[index], self._tests.held_out.sequences["params"])
        context = None if self._contexts is None else self._contexts[index : index + 1]
        true = state_of(self.env, jnp.asarray(start), params)
        carried = self._core.begin(jnp.asarray(start)[None])
        return Motion(start, params, context, true, carried, ((0.0, 0.0, 0.0),))

    def advance(self, state: Motion, values: Values) -> tuple[Motion, Values]:
        """World and model one step later under the chosen action. A push that is not held acts once."""
        action = self.action(values)
        true, carried = self._step(state.true, state.carried, action, state.params, state.context)
        truth = np.asarray(self.env.observe(true, state.params))
        told = (self._error(np.asarray(self._core.seen(carried))[0], truth), self._error(state.start, truth))
        errors = (*state.errors, (state.errors[-1][0] + self.period, *told))[-MOST_POINTS:]
        return state._replace(true=true, carried=carried, errors=errors), let_go(values, self.env.actions)

    def show(self, state: Motion, values: Values) -> Shown:
        """The world and the model, drawn alike, and how far they are apart, in standard deviations of the states."""
        predicted = self.states(state)[1]
        pictures = {
            "true world": self._drawn(state.true, state.params),
            "model": self._drawn_vector(jnp.asarray(predicted), state.params),
        }
        time, model, still = np.asarray(state.errors).T
        lines = {
            "model": np.stack([time, model], axis=-1),
            "do nothing (stand still)": np.stack([time, still], axis=-1),
        }
        facts = {
            "time": f"{time[-1]:.2f} s",
            "error of the model": f"{model[-1]:.3f} standard deviations",
            "do nothing (stand still)": f"{still[-1]:.3f}",
            **self._told_params(state.params),
        }
        return Shown(pictures, (Chart("error", "time, s", "standard deviations", lines),), facts)

    def action(self, values: Values) -> Float[np.ndarray, " actions"]:
        """The action that the controls ask for."""
        actions = self.env.actions
        if actions.table is not None:
            return np.asarray(actions.table[round(values["push"])], np.float32)
        return np.array([values[f"push{i}"] for i in range(actions.size)], np.float32)

    def roll(self, pushes: Any, start: int = 0) -> Rolled:
        """World and model from a held-out start, one push a step of `period` s; the first row is the start itself.

        Args: `pushes` [T, A] in the unit of the world's actions, any numbers, also ones that training did not have;
        `start`, the number of a held-out start. The model sees the true state at the start only.

        Raises: UsageError for pushes of another shape or not finite, and a start that is not there.
        """
        rows, size = np.asarray(pushes, np.float32), self.env.actions.size
        if rows.ndim != 2 or rows.shape[1] != size or not np.all(np.isfinite(rows)):
            raise UsageError(
                f"pushes of shape {list(rows.shape)} must be [steps, {size}], all finite: a row for each step of "
                f"{self.period:g} s, such as {[[0.0] * size] * 2}"
            )
        if not 0 <= start < self.run.config.test_starts:
            raise UsageError(f"start={start} is not there: give one from 0 to {self.run.config.test_starts - 1}")
        motion = self.begin({"sequence": float(start)})
        found = [self.states(motion)]
        for row in rows:
            true, carried = self._step(motion.true, motion.carried, row, motion.params, motion.context)
            motion = motion._replace(true=true, carried=carried)
            found.append(self.states(motion))
        true, model = (np.stack(each) for each in zip(*found, strict=True))
        return Rolled(self.period * np.arange(len(found)), true, model)

    def states(self, state: Motion) -> tuple[np.ndarray, np.ndarray]:
        """The true and the predicted state [size], as observed."""
        truth = np.asarray(self.env.observe(state.true, state.params))
        return truth, np.asarray(self._core.seen(state.carried))[0]

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        return self._tests.held_out.rollouts(self.period)["states"][:, 0]

    @functools.cached_property
    def _contexts(self) -> np.ndarray | None:
        found = self._tests.contexts(self.run.state.params)
        return None if found is None else np.asarray(found)

    @functools.cached_property
    def _step(self) -> Any:
        core = as_core(self._core, {"params": self.run.state.params["core"]})

        def step(true: PyTree, carried: Array, action: Array, params: PyTree, context: Any) -> tuple[PyTree, Any]:
            ahead = core(carried, jnp.asarray(action)[None], self.period, context)
            return self.env.step(true, action, self.period, params), ahead

        return jax.jit(step)

    def _error(self, predicted: np.ndarray, truth: np.ndarray) -> float:
        """Root of the mean squared error over the variance, the test's own measure."""
        found = rollouts.errors(
            self.env.layout, predicted[None, None], truth[None, None], np.square(np.asarray(self.system.scale))
        )
        return float(np.sqrt(found[0, 0]))

    def _drawn(self, true: PyTree, params: PyTree) -> UInt8[np.ndarray, "H W 3"]:
        return np.asarray(self._picture(true, params))

    def _drawn_vector(self, vector: Array, params: PyTree) -> UInt8[np.ndarray, "H W 3"]:
        """A predicted state; one that is no number any more is drawn as an empty world would be: not at all."""
        if not np.all(np.isfinite(vector)):
            return np.full((SIZE, SIZE, 3), 128, np.uint8)
        return self._drawn(state_of(self.env, vector, params), params)

    @functools.cached_property
    def _picture(self) -> Any:
        return jax.jit(lambda state, params: to_bytes(draw(self.env.draw(state, params), SIZE, SIZE)))

    def _told_params(self, params: PyTree) -> dict[str, str]:
        """The true parameters that differ from sequence to sequence."""
        each = params if isinstance(params, dict) else params._asdict()
        return {f"true {name}": f"{float(each[name]):.4g}" for name in self.env.ranges}


def pushes_of(actions: Actions) -> dict[str, Slider | Choice]:
    """The controls of a world's actions: buttons where they are chosen from a table, else a slider for each entry."""
    if actions.table is not None:
        options = {", ".join(f"{x:+.3g}" if x else "0" for x in row): float(i) for i, row in enumerate(actions.table)}
        idle = next((float(i) for i, row in enumerate(actions.table) if not any(row)), 0.0)
        return {"push": Choice(f"push, {actions.unit}", options, idle)}
    limit = actions.limit if np.isfinite(actions.limit) else FREE_LIMIT
    return {
        f"push{i}": Slider(f"push, entry {i}", actions.unit, -limit, limit, limit / 20, 0.0)
        for i in range(actions.size)
    }


def let_go(values: Values, actions: Actions) -> Values:
    """The values after a step: a push that is not held acts once, so its sliders go back to 0."""
    return values if actions.held else {name: 0.0 if name.startswith("push") else x for name, x in values.items()}


__all__ = ["DynamicsView", "Motion", "Rolled", "let_go", "pushes_of"]
