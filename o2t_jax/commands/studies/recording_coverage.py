"""Do the intervals of `experiments.recording` hold? Rendered films of known laws, through a camera model, seen and
fitted as the command does.

python -m experiments.studies.recording_coverage --out=DIR --n=200 [--seed=0] [--only=PART,PART]

- coverage: n films of five laws; the share of 95 % intervals that hold the truth, and of forms that are named.
- tracks: the same of n tracks without pictures, with errors like those of the films' sightings; the form is known.
- imperfections: n / 10 films for each fault of the camera at its strongest, which the fit is not told of.
- strengths: the error of g of n / 25 free flights for each fault and strength; form, scale and clock are known.
- outside: n / 10 films under laws that the registry has not.

Other --seed, other films. One JSON a film in --out; finished ones are skipped. About 3 s a film on one free core.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

PARTS = ("coverage", "imperfections", "strengths", "outside", "tracks")
USUAL = "none"
LEAD = 5.0


class Task(NamedTuple):
    """Film `index` of a part with the `fault` of its camera at `strength`."""

    part: str
    fault: str
    strength: float
    index: int

    @property
    def name(self) -> str:
        """Of its file."""
        fault = "".join(letter if letter.isalnum() else "_" for letter in self.fault)
        return f"{self.part}-{fault}-{self.strength:g}-{self.index:03d}.json"


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Makes the unfinished films one after the other, then prints the table of all."""
    values = arguments.flags
    out = _cli.out_folder(values, "the results")
    chosen = values.only or list(PARTS)
    for part in chosen:
        if part not in PARTS:
            raise UsageError(f"--only={part} is no part of the study: it must be one of {', '.join(PARTS)}")
    if not values.n >= 1:
        raise UsageError(f"--n={values.n} must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    for part in chosen:
        for task in tasks(part, values.n):
            path = out / task.name
            found.append(folders.once(path, functools.partial(run_task, task, values.seed)))
            if found[-1]["seed"] != values.seed:
                raise UsageError(f"{path} has seed {found[-1]['seed']}, not --seed={values.seed}: give another --out")
    text = format_tables(found)
    (out / "table.txt").write_text(text + "\n")
    print(text)
    return 0


def tasks(part: str, n: int) -> Iterator[Task]:
    """The films of a part."""
    from o2t_jax.commands.studies._rendered_recordings import IMPERFECTIONS

    if part in ("coverage", "tracks"):
        yield from (Task(part, USUAL, 0.0, i) for i in range(n))
    elif part == "outside":
        yield from (Task(part, USUAL, 0.0, i) for i in range(-(-n // 10)))
    elif part == "imperfections":
        for i in range(-(-n // 10)):
            yield from (Task(part, fault, strengths[-1], i) for fault, (strengths, _) in IMPERFECTIONS.items())
    else:
        for i in range(-(-n // 25)):
            yield Task(part, USUAL, 0.0, i)
            for fault, (strengths, _) in IMPERFECTIONS.items():
                yield from (Task(part, fault, strength, i) for strength in strengths)


def run_task(task: Task, seed: int) -> dict[str, Any]:
    """Renders and judges one film; the same task and seed give the same result, but for the seconds."""
    from o2t_jax.commands.studies._rendered_recordings import IMPERFECTIONS, g_error, judged, judged_track, usual
    from o2t_jax.data.recordings.motions import LAWFUL, OUTSIDE, free_flight
    from o2t_jax.data.recordings.rendered import make_recording, make_scene

    begin = time.process_time()
    motions = {"outside": OUTSIDE, "strengths": (free_flight,)}.get(task.part, LAWFUL)
    make = (lambda x, step: usual(step)) if task.fault == USUAL else IMPERFECTIONS[task.fault][1]
    stream = 10 * seed + PARTS.index(task.part)  # each part has films of its own
    if task.part == "tracks":
        result: dict[str, Any] = judged_track(*make_scene(stream, task.index), (stream, task.index))
        return {**task._asdict(), "seed": seed, **result, "seconds": time.process_time() - begin}
    recording = make_recording(stream, task.index, lambda step: make(task.strength, step), motions)
    if task.part == "strengths":
        result = {"g_error": g_error(recording)}
    else:
        result = judged(recording, (stream, task.index), leads=task.part == "coverage")
    return {**task._asdict(), "seed": seed, **result, "seconds": time.process_time() - begin}


def format_tables(found: list[dict[str, Any]]) -> str:
    """All parts as a text."""
    parts = {part: [each for each in found if each["part"] == part] for part in PARTS}
    lines = [f"{len(found)} films, {np.mean([each['seconds'] for each in found]):.1f} s of computing each"]
    if parts["coverage"]:
        lines += ["", "The usual camera, by law:", *_laws(parts["coverage"])]
    if parts["tracks"]:
        lines += ["", "Tracks without pictures, the form known, by law:", *_laws(parts["tracks"])]
    if parts["imperfections"]:
        lines += ["", "A fault that the fit is not told of:", *_faults(parts["imperfections"])]
    if parts["strengths"]:
        lines += [
            "",
            "Error of g of a free flight, %: median, and largest, of its size:",
            *_strengths(parts["strengths"]),
        ]
    if parts["outside"]:
        lines += ["", "Laws outside the registry:", *_outside(parts["outside"])]
    return "\n".join(lines)


def _share(hits: list[bool]) -> str:
    return f"{sum(hits)}/{len(hits)}" + (f" = {100 * np.mean(hits):.1f} %" if hits else "")


def _held(films: list[dict[str, Any]]) -> list[bool]:
    return [entry["holds"] for each in films for entry in each["intervals"]]


def _otherwise(films: list[dict[str, Any]]) -> str:
    """Of how many films another form is named than the true one: ruled out, or not."""
    from o2t_jax.commands.studies._rendered_recordings import is_named, is_right, is_wrong

    wrong = [is_wrong(each) for each in films]
    open_ = [is_named(each) and not is_right(each) and not is_wrong(each) for each in films]
    return f"wrongly named {_share(wrong)}; another form named, the true one not ruled out {_share(open_)}"


def _laws(films: list[dict[str, Any]]) -> list[str]:
    from o2t_jax.commands.studies._rendered_recordings import is_right

    lines = []
    for law in [*dict.fromkeys(each["law"] for each in films), "all"]:
        some = [each for each in films if law in ("all", each["law"])]
        clear = [is_right(each) for each in some if each.get("expected_lead", -np.inf) >= LEAD]
        named = f"; named where the expected lead is {LEAD:g} or more {_share(clear)}; {_otherwise(some)}"
        lines.append(f"{law}: intervals hold {_share(_held(some))}" + (named if some[0]["part"] == "coverage" else ""))
        if law != "all":
            names = dict.fromkeys(entry["quantity"] for each in some for entry in each["intervals"])
            for name in names:
                entries = [entry for each in some for entry in each["intervals"] if entry["quantity"] == name]
                wide = [(e["high"] - e["low"]) / 2 / abs(e["true"]) for e in entries if e["high"] is not None]
                held = _share([entry["holds"] for entry in entries])
                lines.append(f"  {name}: {held}, half width {100 * np.median(wide or [np.nan]):.2f} % (median)")
    seen = [each for each in films if "error_px" in each]
    names = {"error_px": "errors", "error_memory": "count as one", "rms_px": "left by the fit"}
    middle = {
        word: np.quantile([each[name] for each in seen if name in each] or [np.nan], [0.25, 0.5, 0.75])
        for name, word in names.items()
    }
    lines.append(
        "sightings, quartiles: "
        + "; ".join(f"{word} {' '.join(f'{x:.2f}' for x in each)}" for word, each in middle.items())
        + " (px)"
    )
    return lines


def _faults(films: list[dict[str, Any]]) -> list[str]:
    from o2t_jax.commands.studies._rendered_recordings import is_named

    lines = []
    for fault in dict.fromkeys(each["fault"] for each in films):
        some = [each for each in films if each["fault"] == fault]
        flagged = [not is_named(each) for each in some]
        lines.append(
            f"{fault} {some[0]['strength']:g}: intervals hold {_share(_held(some))}; no form named {_share(flagged)}; "
            f"{_otherwise(some)}"
        )
    return lines


def _strengths(films: list[dict[str, Any]]) -> list[str]:
    lines = []
    for fault, strength in dict.fromkeys((each["fault"], each["strength"]) for each in films):
        errors = [each["g_error"] for each in films if (each["fault"], each["strength"]) == (fault, strength)]
        sizes = 100 * np.abs([np.nan if error is None else error for error in errors])
        lost = f", {int(np.isnan(sizes).sum())} not seen" if np.isnan(sizes).any() else ""
        lines.append(f"{fault} {strength:g}: {np.nanmedian(sizes):.2f}, {np.nanmax(sizes):.2f} ({len(sizes)}{lost})")
    return lines


def _outside(films: list[dict[str, Any]]) -> list[str]:
    lines = []
    for law in dict.fromkeys(each["law"] for each in films):
        verdicts = [each["verdict"] for each in films if each["law"] == law]
        lines.append(f"{law}: " + ", ".join(f"{v} {verdicts.count(v)}" for v in dict.fromkeys(verdicts)))
    lines.append("none of these: " + _share([each["verdict"] == "none of these" for each in films]))
    return lines


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_integer("n", 200, "films of the coverage", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the films", flag_values=values)
    flags.DEFINE_list("only", None, "parts to run; all by default", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the results", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
