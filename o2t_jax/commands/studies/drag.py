"""A force that is no g(z): is quadratic drag seen where it acts, and only there; and what is it, from pictures?

    python -m experiments.studies.drag --only=state --json=-
    python -m experiments.studies.drag --only=pictures --out=DIR [--worlds=9.81,3.71] [--config.FIELD=VALUE ...]

state: worlds with g0 ~ U(1.6, 25) m/s^2 and drag g0 / 15^2 (a fall ends at 15 m/s), and as many without drag. In each
40 balls of scene `ballistic` are seen at 9 moments of 0.8 s, as places in space with 10 mm of noise on each axis, until
they reach the ground. The decision is that of `evaluation.o2t.force_form`. Three kinds of sighting: places as they are;
measured by a ball's apparent size from one camera with all radii taken 2% too large; and with each ball's radius 2% too
large or too small, at random. Expected: drag is named in at least 19 of 20 worlds with it, in at most 1 of 20 without.

pictures: trains config `drag` on each world with the force, and on the same world without the term (learn_force=none),
each run a process of its own with one JSON in DIR; finished ones are skipped. Expected: g0 within 1%, drag within 10%,
the interval holds the truth; without the term g0 is biased.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli, sweep
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies.worlds import parse_worlds
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.bundle_adjustment import Places
from o2t_jax.evaluation.o2t.force_form import Verdict, decide
from o2t_jax.evaluation.writers.console import report
from o2t_jax.physics.forces import NO_FORCE, Force
from o2t_jax.physics.gravity import Gravity
from o2t_jax.training import workdir as folders

PARTS = ("state", "pictures")
TERMINAL_SPEED = 15.0
G0 = (1.6, 25.0)
FLIGHTS, NOISE_M = 40, 0.01
TIMES = np.linspace(0.0, 0.8, 9)
RADIUS_ERROR = 0.02
# Where the camera stands that measures places by a ball's size, m.
CAMERA = np.array([-4.25, 0.0, 2.0])
KINDS = ("places as they are", "all radii 2 % too large", "each radius 2 % off, either way")


def drag_of(g0: float) -> float:
    """1/m, for a fall that ends at `TERMINAL_SPEED`."""
    return g0 / TERMINAL_SPEED**2


def draw_places(
    rng: np.random.Generator,
    g0: float,
    drag: float,
    kind: str = KINDS[0],
    flights: int = FLIGHTS,
    noise: float = NOISE_M,
) -> tuple[Places, np.ndarray]:
    """One world's sightings and their weights [flights, 9]: 0 from where a ball would touch the ground."""
    from o2t_jax.physics.room.exact import simulate
    from o2t_jax.render.scenes import get_scene

    scene, gravity = get_scene("ballistic"), Gravity.constant(g0)
    force = Force.of("quadratic_drag", drag=drag) if drag else NO_FORCE
    flown = [simulate(scene.sample(rng), TIMES, gravity, force=force) for _ in range(flights)]
    points, visible = (np.stack([flight[i][:, 0] for flight in flown]) for i in range(2))
    error = {KINDS[0]: np.zeros(flights), KINDS[1]: np.full(flights, RADIUS_ERROR)}.get(
        kind, RADIUS_ERROR * rng.choice([-1.0, 1.0], flights)
    )
    measured = CAMERA + (1.0 + error)[:, None, None] * (points - CAMERA)
    places = Places(measured + rng.normal(0.0, noise, points.shape), np.tile(TIMES, (flights, 1)))
    return places, visible.astype(np.float64)


def verdict_of(seed: int, number: int, acts: bool, kind: str, noise: float = NOISE_M) -> tuple[float, Verdict]:
    """g0 of a world, and what its sightings say."""
    rng = np.random.default_rng((seed, number))
    g0 = float(rng.uniform(*G0))
    places, weights = draw_places(rng, g0, drag_of(g0) if acts else 0.0, kind, noise=noise)
    return g0, decide(places, weights=weights)


def run_state(worlds: int, seed: int, noise: float = NOISE_M) -> dict[str, Any]:
    """By kind of sighting: in how many worlds with and without it drag is named, and how its numbers are off."""
    rows = []
    for kind in KINDS:
        for acts in (True, False):
            found = [verdict_of(seed, number, acts, kind, noise) for number in range(worlds)]
            row: dict[str, Any] = {"sightings": kind, "drag acts": acts, "worlds": worlds}
            row["named"] = sum(verdict.present for _, verdict in found)
            row["smallest lead"] = min(verdict.lead for _, verdict in found)
            row["largest lead"] = max(verdict.lead for _, verdict in found)
            row["g0 off, %"] = 100 * float(np.mean([v.with_force.values[0] / g0 - 1 for g0, v in found]))
            row["g0 off without the term, %"] = 100 * float(np.mean([v.without.values[0] / g0 - 1 for g0, v in found]))
            if acts:
                row["drag off, %"] = 100 * float(np.mean([v.with_force.values[1] / drag_of(g0) - 1 for g0, v in found]))
                row["held"] = sum(_holds(v.intervals()["drag"], drag_of(g0)) for g0, v in found)
            rows.append(row)
    return {"flights": FLIGHTS, "noise_m": noise, "terminal_speed": TERMINAL_SPEED, "seed": seed, "rows": rows}


def _holds(interval: tuple[float, float, float], truth: float) -> bool:
    return interval[1] <= truth <= interval[2]


def run_pictures(arguments: _cli.Arguments) -> list[dict[str, Any]]:
    """A row for each world, with the term and without; the runs are in --out."""
    values = arguments.flags
    out = _cli.out_folder(values, "the runs and the table")
    out.mkdir(parents=True, exist_ok=True)
    common = [item for item in _cli.config_overrides(list(arguments.argv)) if not item.startswith("--config=")]
    rows = []
    for g0, _ in parse_worlds(values.worlds):
        world = [f"--config.world.g0={g0}", f"--config.world.drag={drag_of(g0)}", f"--config.seed={values.seed}"]
        for term in ("quadratic_drag", "none"):
            own = ("--config=drag", *common, *world, f"--config.learn_force={term}")
            record = sweep.finish_run(
                sweep.Run(f"{g0:g}-{term}-seed{values.seed}", {"term": term}, values.seed, own), out
            )
            row = {"g0": g0, "term": term, "status": record["status"], "minutes": record["minutes"]}
            rows.append(row | (judge(record["result"]["readouts"], g0) if record["result"] else {}))
            (out / "table.txt").write_text(sweep.as_text(rows) + "\n")
    folders.write_json(out / "table.json", rows)
    return rows


def judge(readouts: Mapping[str, Any], g0: float) -> dict[str, Any]:
    """The weights' errors in percent; with the term, also the refined law's, its interval and whether it holds."""
    row: dict[str, Any] = {"g0 off, %": 100 * (readouts["law"]["g0_weight"] / g0 - 1)}
    force = readouts.get("force")
    if not force:
        return row
    row["drag off, %"] = 100 * (force["drag"] / drag_of(g0) - 1)
    refined = force["refined"]
    if refined is None:
        return row
    drag, own = refined["parameters"]["drag"], refined["parameters"]["g0"]
    row["refined g0 off, %"] = 100 * (own["value"] / g0 - 1)
    row["refined drag off, %"] = 100 * (drag["value"] / drag_of(g0) - 1)
    row["+-, %"] = 50 * (drag["high"] - drag["low"]) / drag_of(g0)
    row["held"] = bool(drag["low"] <= drag_of(g0) <= drag["high"])
    row["present"], row["lead"] = refined["present"], refined["lead"]
    row["refined g0 off without the term, %"] = 100 * (refined["without"]["g0"] / g0 - 1)
    return row


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(stoppable(show), argv, doc=__doc__ or "", define=_define)


def show(arguments: _cli.Arguments) -> int:
    """Runs the parts, prints their tables and writes their numbers."""
    values = arguments.flags
    parts = values.only or list(PARTS)
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"--only={part} is unknown: choose from {', '.join(PARTS)}")
    result: dict[str, Any] = {}
    if "state" in parts:
        result["state"] = run_state(values.draws, values.seed, values.noise)
    if "pictures" in parts:
        result["pictures"] = run_pictures(arguments)
    tables = [result["state"]["rows"]] if "state" in result else []
    tables += [result["pictures"]] if "pictures" in result else []
    report("\n\n".join(sweep.as_text(table) for table in tables), result, values.json)
    return int(any(row["status"] != "finished" for row in result.get("pictures", [])))


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_list("only", [], "state, pictures; both if left out", flag_values=values)
    flags.DEFINE_integer("draws", 20, "state: worlds of each kind", lower_bound=1, flag_values=values)
    flags.DEFINE_float("noise", NOISE_M, "state: noise of a place, m, one axis", lower_bound=1e-6, flag_values=values)
    flags.DEFINE_string("worlds", "9.81,3.71", "pictures: g0 of the worlds, separated by commas", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the random numbers, or of the runs", lower_bound=0, flag_values=values)
    flags.DEFINE_string("out", None, "pictures: folder for the runs and the table", flag_values=values)
    flags.DEFINE_string("json", None, "file for the numbers; - is standard output", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
