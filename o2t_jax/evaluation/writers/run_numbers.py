"""A run's numbers as texts: how far it is, its read-outs, its held-out results."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from o2t_jax import results
from o2t_jax.evaluation.writers.run_record import RunRecord

_LONGEST = 40  # characters of a text
_SUM = "_sha256"  # of the parameters that were read: tells which, and is no finding


def progress_of(run: RunRecord) -> str:
    """Its last step of how many, and whether it is complete."""
    state = "complete" if run.result else "not complete"
    return f"{run.step} of {run.config.get('train_steps', '?')}, {state}"


def readout_numbers(run: RunRecord, readout: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, value, interval, truth of each number and text of one of the run's read-outs; over seeds their mean."""
    return _numbers(_means_over_seeds(run, readout), run.truth)


def _numbers(readout: Mapping[str, Any], truth: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """See `readout_numbers`; {"value", "low", "high", "unit", "truth"} is one number."""
    found = []
    for key, value in readout.items():
        if key.endswith(_SUM):
            continue
        parts = value if isinstance(value, Mapping) and "value" in value else {"value": value}
        if isinstance(value, Mapping) and "value" not in value:
            found += [(f"{key}/{name}", *texts) for name, *texts in _numbers(value, truth)]
        elif isinstance(parts["value"], int | float | str | None):
            unit = str(parts.get("unit") or "")
            low, high, true = parts.get("low"), parts.get("high"), parts.get("truth", truth.get(key))
            interval = "" if low is None or high is None else f"[{text_of(low)}, {text_of(high)}]"
            text = "undetermined" if parts["value"] is None else text_of(parts["value"], unit)
            text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
            found.append((key, text, interval, "" if true is None else text_of(true, unit)))
    return found


def _means_over_seeds(run: RunRecord, readout: Mapping[str, Any]) -> Mapping[str, Any]:
    """A read-out with each number of several seeds as their mean and range. A single seed's lists are no numbers."""
    if run.config.get("seeds", 1) == 1:
        return readout
    merged = dict(readout)
    for key, values in readout.items():
        if numbers := results.known_of_seeds(values):
            merged[key] = {"value": statistics.fmean(numbers), "low": min(numbers), "high": max(numbers)}
    return merged


def text_of(value: Any, unit: str = "") -> str:
    """A number in five digits with its unit; NaN is "-", other values are as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = str(value) if isinstance(value, int) else "-" if math.isnan(value) else f"{value:.5g}"
    return f"{text} {unit}" if unit else text


__all__ = ["progress_of", "readout_numbers", "text_of"]
