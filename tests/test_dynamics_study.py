"""The study of dynamics: its finished runs become rows that BENCHMARKS.md takes as they are."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import table
from o2t_jax.commands.studies import dynamics
from o2t_jax.commands.studies._dynamics_rows import rows_of


def finished(out: Path, name: str, errors: dict[float, float], **results: dict) -> dict:
    """The record of a run with these errors at each dt, beside rows of 1.0; and what it leaves in its folder."""
    model = name.split("-")[1]
    (out / name / "tables").mkdir(parents=True)
    idle = dict.fromkeys(("persistence", "constant velocity", "best linear"), 1.0)
    rows = [
        {"dt": dt, "method": method, "error": error, "error ±": 0.01, "of persistence": error, "of best linear": error}
        | {"valid time": 2.0}
        for dt, own in errors.items()
        for method, error in ({model: own} | idle).items()
    ]
    (out / name / "tables" / "test_rollouts.json").write_text(json.dumps({"rows": rows}))
    (out / name / "results.json").write_text(json.dumps(results))
    return {"name": name, "status": "finished", "fields": {"model": model}}


def test_runs_become_rows_of_the_page(tmp_path):
    slope = {"value": 0.98765, "low": 0.97, "high": 1.01, "kind": "scalar"}
    long = {"long/energy_drift": slope, "long/phase_error": slope, "test/error": {"value": 0.5}}
    records = [
        finished(tmp_path, "dt-newtonian", {0.1: 0.12345, 0.5: 0.5}, **{"fitted/damping_slope": slope}),
        {"name": "dt-lstm", "status": "failed", "fields": {"model": "lstm"}},
        finished(tmp_path, "dt-jump-mixed", {0.1: 0.2, 0.5: 0.3}, **{"fitted/damping_slope": slope}),
        finished(tmp_path, "undamped-jump", {0.1: 0.2}, **long),
    ]
    rows = {row["what"]: row for row in rows_of(records, tmp_path)}
    idle = ["pendulum: persistence", "pendulum: constant velocity", "pendulum: best linear"]
    own = [
        "pendulum: newtonian",
        "pendulum: newtonian, inferred damping: slope",
        "pendulum: jump trained on dt 0.05 to 0.5",
    ]
    assert list(rows) == [*idle, *own, "jump"]
    assert rows["pendulum: newtonian"]["value"] == 0.123
    assert rows["pendulum: newtonian"]["also"] == {
        "dt 0.5 s": 0.5,
        "largest ratio to persistence": 0.5,
        "to best linear": 0.5,
        "valid time, s": 2.0,
    }
    assert rows[own[1]] == {"what": own[1], "value": 0.988, "spread": 0.02}
    assert [rows[name]["does_nothing"] for name in idle] == [True, True, False]
    where = {"command": "c", "commit": "0123abc", "date": "2026-01-31", "machine": "M"}
    assert all(table.Row(**row, **where) for row in rows.values())


def test_every_run_of_the_study_has_a_name_of_its_own_and_its_model():
    runs = list(dynamics.plan("", 5))
    assert len({run.name for run in runs}) == len(runs) == sum(len(list(dynamics.plan(t, 5))) for t in dynamics.TABLES)
    assert all(f"-{run.fields['model']}" in run.name for run in runs)
