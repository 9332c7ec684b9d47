"""The form fitted to a vector field: which terms of the library give its rates where the data lay.

Least squares on all choices of terms (at most 2^9), exponents on a grid. A field that a network learned is wrong in a
smooth way, not by noise, so no likelihood ranks the choices: the form of the field is the smallest choice whose
residual is within a factor of that of the whole library. The others are kept as candidates: the data decide among them
(`decision.py`). Sources: Brunton, Proctor & Kutz 2016 (a library and few terms); Miller, Subset Selection in
Regression.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.equations import Equation
from o2t_jax.evaluation.dynamics.law.terms import library, library_terms
from o2t_jax.physics.environment import Layout

EXPONENTS = tuple(np.arange(0.0, 4.01, 0.25).tolist())
SLACK = 1.3
MOST_TERMS = 6
KEPT = 2


@dataclasses.dataclass(frozen=True)
class Form:
    """`terms` chosen; `theta` [P] of the library's equation; `residual`, rms of the rates left over, and `scale`, their
    own rms; `candidates`: choices of terms worth a fit to the data, best of each size first."""

    terms: tuple[str, ...]
    theta: np.ndarray
    residual: float
    scale: float
    candidates: tuple[tuple[str, ...], ...]
    regression: Regression


class Regression:
    """Rates of momenta regressed on the terms of the library. `rates` [N, D] at `states` [N, D], `actions` [N, A]."""

    def __init__(
        self, states: Any, actions: Any, rates: Any, layout: Layout, exponents: Sequence[float] = EXPONENTS
    ) -> None:
        states, actions, rates = (np.asarray(x, np.float64) for x in (states, actions, rates))
        if not np.isfinite(rates).all():
            raise UsageError("the field has rates that are not finite where the data lay: train longer")
        self.equation: Equation = library(layout, actions.shape[-1])
        self.terms = library_terms(layout, actions.shape[-1])
        momenta, positions = list(layout.momenta), list(layout.positions)
        q, v = states[:, positions], states[:, momenta]
        self.target = rates[:, momenta].reshape(-1)
        self.scale = float(np.sqrt(np.mean(self.target**2)))
        self.gain = float(np.sum(rates[:, positions] * v) / np.sum(v**2)) if layout.canonical else None
        grid = exponents if any(term.exponent for term in self.terms) else (2.0,)
        self.columns: dict[float, list[np.ndarray]] = {}
        with jax.enable_x64(True):
            for exponent in grid:
                self.columns[exponent] = [
                    np.asarray(jax.vmap(term.rows, (0, 0, 0, None))(q, v, actions, exponent))
                    .transpose(0, 2, 1)
                    .reshape(-1, term.size)
                    for term in self.terms
                ]

    def fit(self, names: Sequence[str]) -> tuple[np.ndarray, float]:
        """theta [P] with these terms, and the rms of what they leave."""
        free = [i for i, term in enumerate(self.terms) if term.name in names]
        grid = self.columns if any(self.terms[i].exponent for i in free) else {2.0: next(iter(self.columns.values()))}
        best: tuple[float, float, np.ndarray] = (np.inf, 2.0, np.zeros(0))
        for exponent, columns in grid.items():
            if not free:
                best = (float(np.sqrt(np.mean(self.target**2))), exponent, np.zeros(0))
                break
            matrix = np.concatenate([columns[i] for i in free], -1)
            size = np.linalg.norm(matrix, axis=0) + 1e-300
            values = np.linalg.lstsq(matrix / size, self.target, rcond=1e-10)[0] / size
            left = float(np.sqrt(np.mean((self.target - matrix @ values) ** 2)))
            if left < best[0]:
                best = (left, exponent, values)
        return self._placed(free, best[1], best[2]), best[0]

    def _placed(self, free: list[int], exponent: float, values: np.ndarray) -> np.ndarray:
        theta, at = np.array(self.equation.start), 0
        for i in free:
            term = self.terms[i]
            own = [k for k, owner in enumerate(self.equation.terms) if owner == term.name]
            theta[own[: term.size]] = values[at : at + term.size]
            if term.exponent:
                theta[own[-1]] = exponent
            at += term.size
        if self.gain is not None:
            theta[0] = self.gain
        return theta


def read_form(
    field: Callable[[Any, Any], Any],
    states: Any,
    actions: Any,
    layout: Layout,
    *,
    most: int = 4000,
    slack: float = SLACK,
) -> Form:
    """The form of `field(states [N, D], actions [N, A]) -> rates [N, D]` at the data's `states`, `actions`.

    Args: leading axes may be several ([S, T, D] and [S, T, A]); `most`, points used, evenly spaced over them; `slack`,
    how much larger the residual may be than the whole library's. Raises: UsageError where the field is not finite.
    """
    states = np.asarray(states, np.float64).reshape(-1, np.shape(states)[-1])
    actions = np.asarray(actions, np.float64).reshape(len(states), -1)
    chosen = np.unique(np.linspace(0, len(states) - 1, min(most, len(states))).astype(int))
    states, actions = states[chosen], actions[chosen]
    return form_of(Regression(states, actions, np.asarray(field(states, actions)), layout), slack)


def form_of(regression: Regression, slack: float = SLACK) -> Form:
    """As `read_form`, of rates at points."""
    names = [term.name for term in regression.terms]
    floor = regression.fit(names)[1]
    chosen: tuple[str, ...] | None = None
    candidates: list[tuple[str, ...]] = []
    for size in range(min(MOST_TERMS, len(names)) + 1):
        ranked = sorted((regression.fit(some)[1], some) for some in itertools.combinations(names, size))
        candidates += [some for _, some in ranked[:KEPT]]
        if chosen is None and ranked[0][0] <= max(slack * floor, 1e-9 * regression.scale):
            chosen = ranked[0][1]
        if chosen is not None and size > len(chosen):
            break
    chosen = tuple(names) if chosen is None else chosen
    theta, residual = regression.fit(chosen)
    ordered = dict.fromkeys([chosen, *candidates])
    return Form(chosen, theta, residual, regression.scale, tuple(ordered), regression)


__all__ = ["Form", "Regression", "form_of", "read_form"]
