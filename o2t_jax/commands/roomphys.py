"""From modules that draw RoomPhys' room to submission files: trains on each, reads and refines its law, scores it.

python -m experiments.roomphys --module=render_scene_a1e.py --module_python=PYTHON3.12 --out=submit.txt --score=KEYFILE
python -m experiments.roomphys --worlds=9.5:8,9.2:-3 --draw=3 --out=submit.txt

--module may be given several times. --worlds and --draw use this project's own `room` instead, with given or randomly
drawn laws (as in experiments.studies.worlds), to try the whole procedure. FILE gets the refined laws, FILE with
-weights in its name the laws in the weights. These two answers are never mixed.
Each module is trained in a process of its own in FILE.runs (--runs), with one JSON each; finished ones are skipped.
--score alone scores existing files. Further --config.FIELD=VALUE apply to all runs. For details see docs/roomphys.md.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from o2t_jax.commands import _cli, _submission, sweep
from o2t_jax.commands._close_ups import MOST_CLOSE_UPS, as_columns, read_and_refine
from o2t_jax.commands._trainings import stoppable
from o2t_jax.commands.studies.worlds import check_hyperbolic, define_worlds, worlds
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

CONFIG = "room"
_OURS = ("module", "module_python", "world", "scene")


class Problem(NamedTuple):
    """One world whose law is to be found: its id, its own config arguments, and the true law if the world is ours."""

    name: str
    arguments: tuple[str, ...]
    identity: str
    truth: tuple[float, float] | None = None


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not any(item.lstrip("-").partition("=")[0] == "config" for item in argv):
        argv = [f"--config={CONFIG}", *argv]
    return _cli.run(stoppable(run_roomphys), argv, doc=__doc__ or "", define=_define)


def run_roomphys(arguments: _cli.Arguments) -> int:
    """Finds the missing laws, writes both submissions, prints the table and the scores."""
    values = arguments.flags
    if not values.out:
        raise UsageError("--out is missing: give the submission file to write, such as --out=submit.txt")
    out, keys = Path(values.out), [Path(key) for key in values.score]
    for key in keys:
        _submission.read_key(key)  # before an hour of training
    if out.is_dir():
        raise UsageError(f"--out={out} is a folder: give the submission file to write")
    failed = 0
    if values.module or values.worlds or values.draw:
        failed = _find_all(arguments, out)
    elif not keys:
        raise UsageError("nothing to do: give --module=PATH (or --worlds=G0:ALPHA, --draw=N), or --score=KEYFILE")
    for path in (out, _submission.beside(out)) if keys else ():
        scores = _submission.score_file(path, keys)
        print(f"{path}: score " + ", ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    return int(failed > 0)


def _find_all(arguments: _cli.Arguments, out: Path) -> int:
    """Writes both submissions and the table; returns how many problems have no law."""
    values = arguments.flags
    folder = Path(values.runs) if values.runs else out.with_name(f"{out.name}.runs")
    common = _checked(arguments)
    problems = _problems(values, folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows, records = [], {}
    for problem in problems:
        records[problem.name] = record = _find(problem, common, (values.refine_setups, values.zooms), folder)
        rows.append(_row(record, problem.truth))
        _write(out, records)  # after each problem, so that a later failure does not lose an hour's work
        (folder / "table.txt").write_text(sweep.as_text(rows) + "\n")
    print(sweep.as_text(rows))
    for record in records.values():
        for key in ("error", "zoom_error"):
            if record.get(key):
                print(f"{record['id']}: {record[key]}")
    print(f"refined laws: {out}\nlaws in the weights: {_submission.beside(out)}")
    return sum(record["refined"] is None for record in records.values())


def _checked(arguments: _cli.Arguments) -> list[str]:
    """The config arguments common to all runs. Refuses those that the command sets itself."""
    config = arguments.config
    assert config is not None
    if config.get("sampler") != "flights" or config.get("gauge") != "camera":
        raise UsageError(
            f"--config={arguments.config_name}: needs sampler=flights and gauge=camera, like --config={CONFIG}"
        )
    check_hyperbolic(config)
    if not config.num_setups and not arguments.flags.refine_setups:
        raise UsageError("num_setups=0: set --config.num_setups or --refine_setups, to have flights to refine with")
    common = _cli.config_overrides(list(arguments.argv))
    for item in common:
        field = item.lstrip("-").partition("=")[0].removeprefix("config.").partition(".")[0]
        if item.lstrip("-").startswith("config.") and field in _OURS:
            raise UsageError(f"{item}: set by this command itself: give --module, --module_python or --worlds")
    return common


def _problems(values: Any, folder: Path) -> list[Problem]:
    if values.module and (values.worlds or values.draw):
        raise UsageError("--module and --worlds or --draw are both given: leave one out")
    if not values.module:
        return [
            Problem(f"world{i}", (f"--config.world.g0={g0}", f"--config.world.alpha={alpha}"), "", (g0, alpha))
            for i, (g0, alpha) in enumerate(worlds(values, folder), 1)
        ]
    from o2t_jax.render.plugin.renderer import PluginRenderer

    problems: dict[str, Problem] = {}
    for module in values.module:
        # Loaded once in a process of its own, muted: an unusable module ends the command before any training.
        with PluginRenderer(module, values.module_python or None) as renderer:
            name, content = renderer.scene_id, renderer.module_sha256
        if name in problems:
            raise UsageError(f"--module={module}: there is another module with the id {name!r}")
        own = (f"--config.module={module}", *_python(values))
        problems[name] = Problem(name, own, content)
    return list(problems.values())


def _python(values: Any) -> list[str]:
    return [f"--config.module_python={values.module_python}"] if values.module_python else []


def _find(problem: Problem, common: list[str], effort: tuple[int, int], folder: Path) -> dict[str, Any]:
    """The record of a problem: read from its file if finished with the same arguments and module, else made.

    Args: `effort` of the refinement: setups and close-ups, as for `read_and_refine`.
    """
    path = folder / f"{problem.name}.json"
    # A changed module of the same name must not continue with the old one's network.
    trained = _digest([*common, *problem.arguments, problem.identity])
    digest = _digest([trained, *map(str, effort)])
    earlier: dict[str, Any] = folders.read_json(path) if path.exists() else {}
    if earlier.get("asked") == digest and earlier["refined"] is not None:
        print(f"{problem.name}: finished before", flush=True)
        return earlier
    workdir = folder / f"{problem.name}-{trained[:8]}"
    record: dict[str, Any] = {"id": problem.name, "asked": digest, "trained": trained, "weights": None, "refined": None}
    record["error"] = None
    record["describe"] = False  # the benchmark allows its use, but nothing here calls it
    print(f"{problem.name}: training", flush=True)
    started = time.monotonic()
    code, error = sweep.launch([*common, *problem.arguments, f"--workdir={workdir}"], folder / f"{problem.name}.log")
    before = earlier["train_minutes"] if earlier.get("trained") == trained else 0.0  # continued training
    record["train_minutes"] = before + (time.monotonic() - started) / 60.0
    if code:
        record["error"] = f"training failed: {error}"
    else:
        print(f"{problem.name}: refining", flush=True)
        started = time.monotonic()
        try:
            record |= read_and_refine(workdir, *effort)
        except UsageError as failure:  # such as a law that is not finite: the other modules still run
            record["error"] = str(failure)
        record["refine_minutes"] = (time.monotonic() - started) / 60.0
    folders.write_json(path, record)
    return record


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write(out: Path, records: Mapping[str, Mapping[str, Any]]) -> None:
    for path, key, what in (
        (out, "refined", "Laws refined by bundle adjustment of the trained networks' measurements"),
        (_submission.beside(out), "weights", "Laws read from the networks' weights"),
    ):
        laws = {name: (r[key]["g0"], r[key]["alpha"]) for name, r in records.items() if r[key] is not None}
        _submission.write(path, laws, f"{what} (o2t_jax, experiments.roomphys).")


def _row(record: Mapping[str, Any], truth: tuple[float, float] | None) -> dict[str, Any]:
    """One line of the table; with scores only if the law is ours and known."""
    weights, refined = record["weights"], record["refined"]
    row: dict[str, Any] = {"id": record["id"], "status": "failed" if refined is None else "finished"}
    if weights is not None:
        row |= {"weights g0": f"{weights['g0']:.4f}", "weights alpha": f"{weights['alpha']:.3f}"}
    if refined is not None:
        row |= as_columns(refined) | {
            "noise px": f"{refined['noise_px']:.4f}",
            "flights": refined["flights"],
            "sightings": refined["pictures"],
            "pictures": record["rendered"],
            "close-ups": record["zooms"],
        }
    row["minutes"] = record["train_minutes"] + record.get("refine_minutes", 0.0)
    row["describe"] = "used" if record["describe"] else "not used"
    if truth is not None:
        for name, law in (("score weights", weights), ("score refined", refined)):
            row[name] = _submission.score(law or {}, truth)
    return row


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string("module", [], "a module with render_scene_<id>; can be repeated", flag_values=values)
    flags.DEFINE_string("module_python", "", "interpreter the modules run under; empty: this one", flag_values=values)
    define_worlds(values, low=9.0, high=10.0, alpha=10.0)
    flags.DEFINE_string("out", None, "submission file of the refined laws", flag_values=values)
    flags.DEFINE_string("runs", None, "folder of the runs; FILE.runs if left out", flag_values=values)
    flags.DEFINE_multi_string("score", [], "an answer key to score with; can be repeated", flag_values=values)
    flags.DEFINE_integer(
        "zooms", MOST_CLOSE_UPS, "most close-ups per world; 0: none", lower_bound=0, flag_values=values
    )
    flags.DEFINE_integer(
        "refine_setups", 0, "setups to refine with; 0: those of the training", lower_bound=0, flag_values=values
    )


if __name__ == "__main__":
    sys.exit(main())
