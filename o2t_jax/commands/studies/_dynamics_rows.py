"""Finished runs of the study of dynamics as rows of BENCHMARKS.md (results/benchmarks/README.md), rounded, no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from o2t_jax.training import workdir as folders

_AT = 0.1  # s: the step of the training, whose error is the row's figure
_ROWS = {"persistence": True, "constant velocity": True, "best linear": False}  # name -> whether it does nothing
_WITH_PARAMETERS = ("newtonian", "port_hamiltonian")  # a friction is read off a model that has one
_NAMES = {
    "inferred": "{}, friction told by nobody",
    "mixed": "{} trained on dt 0.05 to 0.5",
    "reversible-leapfrog": "{} reversible, leapfrog",
    "reversible-rk4": "{} reversible, rk4",
}


def rows_of(records: Sequence[Mapping[str, Any]], out: Path) -> Iterator[dict[str, Any]]:
    """Rows of the finished runs, in their order; those that learn little once for each world, before its models."""
    shown: set[str] = set()
    for record in records:
        if record["status"] != "finished":
            continue
        kind, name = record["name"].split("-", 1)
        workdir, model = out / record["name"], record["fields"]["model"]
        what = _NAMES.get(name.removeprefix(f"{model}-"), "{}").format(model)
        results = folders.read_json(workdir / "results.json")
        table = folders.read_json(workdir / "tables" / "test_rollouts.json")["rows"]
        if kind == "undamped":
            yield _drift(what, results)
            continue
        world = "oscillator" if kind == "oscillator" else "pendulum"
        if world not in shown:
            shown.add(world)
            yield from (_errors(f"{world}: {row}", row, table) | {"does_nothing": idle} for row, idle in _ROWS.items())
        yield _errors(f"{world}: {what}", model, table)
        if model in _WITH_PARAMETERS:
            yield from _parameters(f"{world}: {what}", results)


def _errors(what: str, method: str, table: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """State errors of one method at every dt."""
    own = {row["dt"]: row for row in table if row["method"] == method}
    also = {f"dt {dt:g} s": _short(row["error"]) for dt, row in own.items() if dt != _AT}
    row: dict[str, Any] = {"what": what, "value": _short(own[_AT]["error"]), "also": also}
    if method not in _ROWS:
        row["spread"] = _short(own[_AT]["error ±"])
        also["largest ratio to persistence"] = _short(max(each["of persistence"] for each in own.values()))
        also["to best linear"] = _short(max(each["of best linear"] for each in own.values()))
        also["valid time, s"] = _short(own[_AT]["valid time"])
    return row


def _drift(what: str, results: Mapping[str, Any]) -> dict[str, Any]:
    drift, phase, error = (results[name] for name in ("long/energy_drift", "long/phase_error", "test/error"))
    also = {
        "phase error": _short(phase["value"]),
        "phase error ±": _half(phase),
        "state error, pushed, 10 s": _short(error["value"]),
    }
    return {"what": what, "value": _short(drift["value"]), "spread": _half(drift), "also": also}


def _parameters(what: str, results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """How well the parameters that vary are inferred from 20 noisy steps, where that was measured."""
    for key, found in results.items():
        group, _, name = key.partition("/")
        for ending in ("_slope", "_rms", "_explained"):
            if group in ("fitted", "test") and name.endswith(ending):
                shown = name.removesuffix(ending).replace("_", " ")
                label = f"{what}, inferred {shown}: {ending.strip('_')}"
                yield {"what": label, "value": _short(found["value"]), "spread": _half(found)}
    if "fitted/error" in results:
        found = results["fitted/error"]
        also = {name: _short(value) for name, value in found["baselines"].items()}
        label = f"{what}, state error with the inferred"
        yield {"what": label, "value": _short(found["value"]), "spread": _half(found), "also": also}


def _half(found: Mapping[str, Any]) -> float | None:
    """The half width of the interval over seeds."""
    return None if found.get("low") is None else _short((found["high"] - found["low"]) / 2.0)


def _short(value: float) -> float:
    """Three significant digits."""
    return float(f"{value:.3g}")
