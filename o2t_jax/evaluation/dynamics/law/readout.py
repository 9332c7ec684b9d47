"""The read-out of a law as JSON types: {"form", "parameters": {name: {"value", "low", "high", "unit", "truth"}}}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from o2t_jax.evaluation.dynamics.law.decision import Decision
from o2t_jax.evaluation.dynamics.law.information import LEVEL, intervals
from o2t_jax.evaluation.dynamics.law.terms import kind_of
from o2t_jax.evaluation.dynamics.law.worlds import LAWS, readings_of, text_of
from o2t_jax.physics.environment import Layout


def readout(
    decision: Decision, layout: Layout, *, world: str = "", params: Any = None, owner: Any = None, level: float = LEVEL
) -> dict[str, Any]:
    """The decision as JSON types.

    "form" is the equation's text where it is named, else "cannot tell" or "none of these"; "nearest" is the text of the
    best form in every case, and the parameters are its own, with intervals of `level`. "rivals" are the forms that the
    data do not rule out. Args: `world`, whose names are used where it is known; `params`, its parameters, for the
    truth; `owner` [S], the sequence that each window comes from.
    """
    found, law = decision.fit, LAWS.get(world)
    low, high = intervals(found, level, owner=owner)
    parameters: dict[str, Any] = {}
    for reading in readings_of(decision.equation, decision.terms, law):
        at = decision.equation.index(reading.parameter)
        value, ends = reading.sign * found.theta[at], sorted((reading.sign * low[at], reading.sign * high[at]))
        if at in found.varying:  # each sequence has its own: their mean and spread
            own = reading.sign * found.own[:, -len(found.varying) + found.varying.index(at)]
            value, ends = np.mean(own), np.quantile(own, [0.5 - 0.5 * level, 0.5 + 0.5 * level]).tolist()
        known = params is not None and reading.truth is not None and at not in found.varying
        parameters[reading.name] = {
            "value": float(value),
            "low": float(ends[0]),
            "high": float(ends[1]),
            "unit": reading.unit,
            "truth": float(reading.truth(params)) if known and reading.truth is not None else None,
        }
        if at in found.varying:
            parameters[reading.name]["varies"] = True
    actions = _actions(decision, layout)
    nearest = decision.equation.name if not decision.terms else text_of(layout, actions, decision.terms)
    return {
        "form": nearest if decision.answer == "named" else decision.answer,
        "nearest": nearest,
        "rivals": [text_of(layout, actions, terms) for terms in decision.rivals],
        "misfit_p": decision.misfit.p,
        "noise": found.noise.tolist(),
        "parameters": parameters,
    }


def _actions(decision: Decision, layout: Layout) -> int:
    """Entries of an action, as far as the library's terms tell: in the plane one coefficient stands for both."""
    pushed = sum(term.startswith("u") for term in decision.equation.terms)
    return 2 * pushed if kind_of(layout) == "planar" else pushed


def over_seeds(readouts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One read-out of several seeds' ones: the form that all name, else "cannot tell"; means of values and the widest
    of the seeds' own interval and Student's of the seeds' spread."""
    from scipy import stats

    first, count = readouts[0], len(readouts)
    forms = {one["form"] for one in readouts}
    if len(forms) > 1 or count == 1:
        agreed = first["form"] if len(forms) == 1 else "cannot tell"
        rivals = sorted({one["nearest"] for one in readouts} | set(first["rivals"]))
        return {**first, "form": agreed, "rivals": first["rivals"] if len(forms) == 1 else rivals}
    parameters = {}
    for name, entry in first["parameters"].items():
        values = np.array([one["parameters"][name]["value"] for one in readouts])
        half = np.mean([0.5 * (one["parameters"][name]["high"] - one["parameters"][name]["low"]) for one in readouts])
        between = stats.t.ppf(0.5 + 0.5 * LEVEL, count - 1) * np.std(values, ddof=1) / np.sqrt(count)
        mean, wide = float(np.mean(values)), float(max(half, between))
        parameters[name] = {**entry, "value": mean, "low": mean - wide, "high": mean + wide}
    return {**first, "parameters": parameters}


__all__ = ["over_seeds", "readout"]
