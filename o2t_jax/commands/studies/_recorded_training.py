"""Models trained on a recording's windows, and their horizon error beside rows that learn little or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.data.recorded.recording import Recording
from o2t_jax.data.recorded.windows import cut_windows
from o2t_jax.evaluation.dynamics import rollouts
from o2t_jax.models.cores import make_core, rollout
from o2t_jax.physics.environment import Layout

MODELS = ("newtonian", "first_order_ode", "jump")


@dataclasses.dataclass(frozen=True)
class Task:
    """`stride` rows a step; windows of `horizon` steps to train on and `test` steps to be tested on, whose starts are
    `hop` rows apart; `tracks`, (part, names) where the split is by whole tracks and not by time."""

    stride: int
    horizon: int
    test: int
    hop: int
    tracks: tuple[tuple[str, tuple[str, ...]], ...] = ()


TASKS = {
    "spring": Task(1, 20, 60, 10),
    "coupled_springs": Task(1, 15, 30, 5),
    "pendulum": Task(1, 10, 15, 5),
    "double_pendulum": Task(1, 15, 20, 5),
    "ibm_double_pendulum": Task(
        5, 20, 100, 50, (("train", ("0", "1", "2", "3", "4", "5")), ("validation", ("6",)), ("test", ("7",)))
    ),
}


def horizon_errors(
    recording: Recording, task: Task, *, steps: int, seeds: int, width: int, models: Sequence[str] = MODELS
) -> dict[str, Any]:
    """Trains `seeds` of each model in one program, and rolls all out over the test windows.

    Returns: "errors", by method the error of each seed (one number for a row that has none): mean over windows, time
    and entries of squared error over the training variance, angles wrapped; "valid", valid prediction times; "chosen",
    the model with the least validation error; "windows", their numbers; "split" and "time", what they are of.
    """
    split = {part: list(names) for part, names in task.tracks} or None
    how: dict[str, Any] = {"stride": task.stride, "tracks": split}
    train = cut_windows(recording, task.horizon, hop=task.hop, **how)["train"]
    parts = cut_windows(recording, task.test, hop=task.hop, **how)
    layout, dt = recording.layout, float(train["dt"][0])
    variance = rollouts.variance(layout, train["states"])
    errors, valid, checked = {}, {}, {}
    for model in models:
        found = train_and_roll(layout, model, train, parts, np.sqrt(variance), steps=steps, seeds=seeds, width=width)

        def of(part: str, found: dict[str, np.ndarray] = found) -> list[np.ndarray]:
            truth = parts[part]["states"][:, 1:]
            return [rollouts.errors(layout, states, truth, variance) for states in found[part]]

        errors[model] = [rollouts.state_error(each) for each in of("test")]
        valid[model] = [rollouts.valid_time(each, dt) for each in of("test")]
        checked[model] = float(np.mean([rollouts.state_error(each) for each in of("validation")]))
    for name, each in rollouts.rows(layout, train, parts["test"], variance, dt).items():
        errors[name], valid[name] = [rollouts.state_error(each)], [rollouts.valid_time(each, dt)]
    return {
        "errors": errors,
        "valid": valid,
        "validation": checked,
        "chosen": min(checked, key=checked.__getitem__),
        "windows": {
            "train": len(train["states"]),
            **{part: len(parts[part]["states"]) for part in parts if part != "train"},
        },
        "split": "by track" if split else "by time: first 60 %, next 20 %, last 20 % of each track",
        "horizon": task.test * dt,
        "clock": recording.clock,
    }


def train_and_roll(
    layout: Layout,
    model: str,
    train: dict[str, np.ndarray],
    parts: dict[str, dict[str, np.ndarray]],
    scale: np.ndarray,
    *,
    steps: int,
    seeds: int,
    width: int,
    batch: int = 64,
) -> dict[str, np.ndarray]:
    """Part -> predicted states [seeds, B, T, D] of "validation" and "test", after training by shooting."""
    core = make_core(model, layout, widths=(width, width), scale=tuple(float(x) for x in scale))
    dt = float(train["dt"][0])
    windows = jnp.asarray(train["states"])
    none = jnp.zeros((windows.shape[0], windows.shape[1] - 1, 0))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(3e-3, steps)))

    def begin(key: jax.Array) -> Any:
        params = core.init(key, core.begin(windows[:1, 0]), none[:1, 0], dt, None)["params"]
        return params, optimizer.init(params)

    def loss(params: Any, states: jax.Array) -> jax.Array:
        predicted = rollout(core, params, states[:, 0], none[: len(states)], dt)
        return jnp.mean(jnp.square((predicted - states[:, 1:]) / jnp.asarray(scale)))

    def step(now: Any, key: jax.Array) -> Any:
        params, moments = now
        rows = jax.random.randint(key, (min(batch, len(windows)),), 0, len(windows))
        change, moments = optimizer.update(jax.grad(loss)(params, windows[rows]), moments, params)
        return (optax.apply_updates(params, change), moments), None

    def run(seed: jax.Array) -> Any:
        of_start, of_steps = jax.random.split(jax.random.key(seed))
        return jax.lax.scan(step, begin(of_start), jax.random.split(of_steps, steps))[0][0]

    params = jax.jit(jax.vmap(run))(jnp.arange(seeds))

    def roll(params: Any, states: jax.Array) -> jax.Array:
        return rollout(core, params, states[:, 0], jnp.zeros((len(states), states.shape[1] - 1, 0)), dt)

    every = jax.jit(jax.vmap(roll, (0, None)))
    return {part: np.asarray(every(params, jnp.asarray(parts[part]["states"]))) for part in ("validation", "test")}


__all__ = ["MODELS", "TASKS", "Task", "horizon_errors", "train_and_roll"]
