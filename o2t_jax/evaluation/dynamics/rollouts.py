"""How well a rollout of states follows the truth: definitions, and the rows that learn little or nothing.

All on the host, in numpy. States are predictions after steps 1, 2, ... of held-out starts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from o2t_jax.physics.environment import Layout

Starts = Float[np.ndarray, "starts size"]
States = Float[np.ndarray, "starts steps size"]
Actions = Float[np.ndarray, "starts steps actions"]
Errors = Float[np.ndarray, "starts steps"]
VALID = 0.3  # squared error over variance up to which a prediction counts as valid


def wrapped(layout: Layout, states: Float[np.ndarray, "... size"]) -> Float[np.ndarray, "... size"]:
    """`states` with angles in [-pi, pi)."""
    states = np.array(states, np.float64)
    angles = list(layout.angles)
    states[..., angles] = np.mod(states[..., angles] + np.pi, 2 * np.pi) - np.pi
    return states


def variance(layout: Layout, states: Float[np.ndarray, "... size"]) -> Float[np.ndarray, " size"]:
    """The variance of each entry of training states, that of angles when wrapped."""
    return np.var(wrapped(layout, states).reshape(-1, layout.size), axis=0)


def errors(layout: Layout, predicted: States, truth: States, scale: Float[np.ndarray, " size"]) -> Errors:
    """Squared error over `scale` = the training variance, mean over entries. Angles are wrapped.

    A prediction that is not finite counts as infinitely wrong.
    """
    apart = np.asarray(predicted, np.float64) - truth
    angles = list(layout.angles)
    with np.errstate(invalid="ignore", over="ignore"):
        apart[..., angles] = np.mod(apart[..., angles] + np.pi, 2 * np.pi) - np.pi
        found = np.mean(np.square(apart) / scale, axis=-1)
    return np.where(np.isfinite(found), found, np.inf)


def state_error(found: Errors) -> float:
    """The mean over time and starts of `errors`."""
    return float(np.mean(found))


def valid_times(found: Errors, limit: float, dt: float) -> Float[np.ndarray, " starts"]:
    """Valid prediction time, s: the last step before the error `found` first exceeds `limit`, or is NaN."""
    wrong = ~(found <= limit)
    return dt * np.where(wrong.any(axis=1), wrong.argmax(axis=1), found.shape[1])


def valid_time(found: Errors, dt: float) -> float:
    """How long `errors` stay below `VALID`, s, the median over starts."""
    return float(np.median(valid_times(found, VALID, dt)))


def persistence(start: Starts, steps: int) -> States:
    """The first state at all times."""
    return np.repeat(start[:, None], steps, axis=1)


def constant_velocity(layout: Layout, start: Starts, steps: int, dt: float) -> States | None:
    """Positions that go on at the first velocity; None where the momenta are not velocities."""
    if layout.canonical or not layout.positions:
        return None
    states = persistence(start, steps)
    q, v = list(layout.positions), list(layout.momenta)
    states[..., q] += start[:, None, v] * (dt * np.arange(1, steps + 1))[:, None]
    return states


@dataclasses.dataclass(frozen=True)
class Linear:
    """The linear map of (state, actions, 1) to the next state with the least squared error.

    Attributes: `turned`: angles enter and leave as cosine and sine, two entries of the code each.
    """

    layout: Layout
    weights: Float[np.ndarray, "inputs code"]
    turned: bool

    def rollout(self, start: Starts, actions: Actions) -> States:
        """States from `start` under `actions`."""
        now, states = _encode(self.layout, start, self.turned), []
        with np.errstate(over="ignore", invalid="ignore"):
            for t in range(actions.shape[1]):
                now = _joined(now, actions[:, t]) @ self.weights
                states.append(_decode(self.layout, now, self.turned))
        return np.stack(states, axis=1)


def fit_linear(
    layout: Layout, states: Float[np.ndarray, "sequences steps+1 size"], actions: Actions, turned: bool
) -> Linear:
    """Least squares of the next state on states and on all actions that act in a step."""
    code = _encode(layout, states, turned)
    inputs = _joined(code[:, :-1], actions).reshape(-1, code.shape[-1] + actions.shape[-1] + 1)
    weights = np.linalg.lstsq(inputs, code[:, 1:].reshape(-1, code.shape[-1]), rcond=None)[0]
    return Linear(layout, weights, turned)


def best_linear(
    layout: Layout, train: Mapping[str, np.ndarray], test: Mapping[str, np.ndarray], scale: Float[np.ndarray, " size"]
) -> States:
    """The rollout of the better of two linear models, angles as they are or as cosine and sine, chosen on `test`.

    That choice favours the row. Both arguments: "states" [N, T + 1, D], "actions" [N, T, F].
    """
    found = []
    for turned in (False, True) if layout.angles else (False,):
        states = fit_linear(layout, train["states"], train["actions"], turned).rollout(
            test["states"][:, 0], test["actions"]
        )
        found.append((state_error(errors(layout, states, test["states"][:, 1:], scale)), states))
    return min(found, key=lambda pair: pair[0])[1]


def rows(
    layout: Layout,
    train: Mapping[str, np.ndarray],
    test: Mapping[str, np.ndarray],
    scale: Float[np.ndarray, " size"],
    dt: float,
) -> dict[str, Errors]:
    """The `errors` of the rows beside a model: persistence, constant velocity, best linear."""
    truth, steps = test["states"][:, 1:], test["actions"].shape[1]
    start = np.asarray(test["states"][:, 0], np.float64)
    predicted: dict[str, Any] = {
        "persistence": persistence(start, steps),
        "constant velocity": constant_velocity(layout, start, steps, dt),
        "best linear": best_linear(layout, train, test, scale),
    }
    return {name: errors(layout, states, truth, scale) for name, states in predicted.items() if states is not None}


def _joined(code: np.ndarray, actions: np.ndarray) -> np.ndarray:
    return np.concatenate([code, actions, np.ones((*code.shape[:-1], 1))], axis=-1)


def _encode(layout: Layout, states: np.ndarray, turned: bool) -> np.ndarray:
    states = np.asarray(states, np.float64)
    if not turned:
        return states
    rest = [i for i in range(layout.size) if i not in layout.angles]
    angles = states[..., list(layout.angles)]
    return np.concatenate([states[..., rest], np.cos(angles), np.sin(angles)], axis=-1)


def _decode(layout: Layout, code: np.ndarray, turned: bool) -> np.ndarray:
    if not turned:
        return code
    rest = [i for i in range(layout.size) if i not in layout.angles]
    count = len(layout.angles)
    states = np.empty((*code.shape[:-1], layout.size))
    states[..., rest] = code[..., : len(rest)]
    states[..., list(layout.angles)] = np.arctan2(
        code[..., len(rest) + count :], code[..., len(rest) : len(rest) + count]
    )
    return states


__all__ = [
    "VALID",
    "Linear",
    "best_linear",
    "constant_velocity",
    "errors",
    "fit_linear",
    "persistence",
    "rows",
    "state_error",
    "valid_time",
    "valid_times",
    "variance",
    "wrapped",
]
