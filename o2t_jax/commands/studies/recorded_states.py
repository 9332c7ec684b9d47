"""Laws and models of real recordings: fitted values beside known ones, horizon errors beside rows that learn nothing.

python -m experiments.studies.recorded_states --data=DIR --out=DIR [--only=spring,planets] [--steps=3000] [--seeds=3]

One JSON a recording in --out; finished ones are skipped. The recordings are not part of the repository:
docs/recorded_states.md says where they are from. Planets need no folder, but the extra `bench`. About 15 minutes on
two cores, nearly all of it training.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.data.recorded import RECORDINGS, load
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(recorded, argv, doc=__doc__ or "", define=_define, with_config=False)


def recorded(arguments: _cli.Arguments) -> int:
    """Studies the unfinished recordings, then prints the table of all."""
    values = arguments.flags
    out = _cli.out_folder(values, "the results")
    if not values.data:
        raise UsageError("--data is missing: give the folder that holds the recordings")
    chosen = values.only or list(RECORDINGS)
    for name in chosen:
        RECORDINGS.check(name)
    # All files are read before anything is computed: a missing one is told at once.
    wanted = {name: load(name, values.data) for name in chosen if not (out / f"{name}.json").exists()}
    out.mkdir(parents=True, exist_ok=True)
    for name, recording in wanted.items():
        begin = time.monotonic()
        found = study(name, recording, draws=values.draws, steps=values.steps, seeds=values.seeds, width=values.width)
        minutes = (time.monotonic() - begin) / 60
        folders.write_json(out / f"{name}.json", {"recording": name, "minutes": minutes, **found})
        print(f"{name}: {minutes:.1f} min", flush=True)
    results = [json.loads((out / f"{name}.json").read_text()) for name in chosen]
    text = format_table(results)
    (out / "table.txt").write_text(text + "\n")
    print(text)
    return 0


def study(name: str, recording: Any, *, draws: int, steps: int, seeds: int, width: int) -> dict[str, Any]:
    """The law of one recording and the horizon errors of models trained on it, where it has them."""
    from o2t_jax.commands.studies._recorded_laws import LAWS
    from o2t_jax.commands.studies._recorded_training import TASKS, horizon_errors

    found: dict[str, Any] = {"notes": list(recording.notes), "licence": recording.licence}
    if name in LAWS:
        found |= LAWS[name](recording, draws)
    if name in TASKS:
        found["rollouts"] = horizon_errors(recording, TASKS[name], steps=steps, seeds=seeds, width=width)
        found["rollouts"] |= {"steps": steps, "seeds": seeds, "width": width}
    return found


def format_table(results: list[dict[str, Any]]) -> str:
    """All results as a text table."""
    lines = []
    for result in results:
        lines.append(f"{result['recording']}" + (f": {result['form']}" if "form" in result else ""))
        if result.get("rivals (BIC above)"):
            rivals = ", ".join(f"{form} (+{above:.1f})" for form, above in result["rivals (BIC above)"].items())
            lines.append(f"  rivals, BIC above: {rivals}")
        for law in result.get("laws", ()):
            interval = "" if law["low"] is None else f" [{law['low']:.11g}, {law['high']:.11g}]"
            known = "" if law["known"] is None else f", known {law['known']:.8g}: {law['error']:+.3f} %"
            lines.append(f"  {law['law']}: {law['value']:.11g}{interval} {law['unit']}{known}")
        if "rollouts" in result:
            lines += _horizons(result["rollouts"])
    return "\n".join(lines)


def _horizons(found: dict[str, Any]) -> list[str]:
    counts = ", ".join(f"{part} {count}" for part, count in found["windows"].items())
    lines = [f"  horizon {found['horizon']:.3g} {found['clock']}; split {found['split']}; windows: {counts}"]
    for method, errors in found["errors"].items():
        each = ", ".join(f"{error:.4g}" for error in errors)
        valid = ", ".join(f"{time:.2f}" for time in found["valid"][method])
        chosen = " (least validation error)" if method == found["chosen"] else ""
        lines.append(f"    {method:<18} error {each}; valid {valid} {found['clock']}{chosen}")
    return lines


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("data", None, "folder with the recordings, in it tracks/SOURCE or SOURCE", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the results", flag_values=values)
    flags.DEFINE_list("only", None, "recordings to study; all by default", flag_values=values)
    for name, default, text in (
        ("draws", 1000, "draws of each bootstrap (a tenth for ball_drops, which is fitted anew in each)"),
        ("steps", 3000, "training steps of each model"),
        ("seeds", 3, "trainings of each model, in one program"),
        ("width", 64, "width of the two hidden layers"),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
