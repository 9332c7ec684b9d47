"""The law in every film of a folder, beside what is known.

python -m experiments.studies.recordings --root=DIR --out=DIR [--only=toss,cups]

The pucks of `experiments.discs` and a pitched ball without a clock are there too. One JSON a film in --out; finished
ones are skipped. Films whose files are not in --root are left out. The films are not part of the repository:
docs/recordings.md says where they are from. About a minute a film on two cores.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands.studies import _recordings_more as more
from o2t_jax.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Case:
    """A film: its `path` below the root, the `flags` of `experiments.recording`, and `known`, quantity -> value and the
    relative aim; `quick`, the figure of a quick look (background subtraction, a parabola or a damped cosine); `start`,
    what a fit that begins at 10 would claim without looking; `part`, "developed on" or "scored once"; `run`, what makes
    the result in place of `experiments.recording`."""

    path: str
    flags: tuple[str, ...]
    known: dict[str, tuple[float, float]]
    quick: str
    start: dict[str, float]
    part: str
    run: Callable[[Path], dict[str, Any]] | None = None


DEVELOPED, SCORED = "developed on", "scored once"
CASES: dict[str, Case] = {
    "iris_pendulum": Case(
        "video/iris/pendulum.gif",
        ("--fps=10", "--known=g:9.81"),
        {"length": (0.533, 0.025)},
        "0.545 m",
        {"length": 0.981},
        DEVELOPED,
    ),
    "projectile_30": Case(
        "video/projectile/30deg_2.726mps.mp4",
        ("--fps=240", "--speed=2.726", "--angle=30"),
        {"g": (9.81, 0.015)},
        "9.70 m/s²",
        {"g": 10.0},
        DEVELOPED,
    ),
    "toss": Case(
        "video/toss/ball_toss.mov",
        ("--scale=284,46.6,284,446.3:1", "--scale_error=0.015"),
        {"g": (9.81, 0.015)},
        "9.96 to 9.98 m/s²",
        {"g": 10.0},
        DEVELOPED,
    ),
    "rope_pendulum": Case(
        "video/pendulum/rope_0.62m.mp4",
        ("--known=rope:0.62",),
        {"g": (9.81, 0.01), "period": (1.60109, 0.0005)},
        "9.81 m/s² at 0.637 m",
        {"g": 10.0},
        DEVELOPED,
    ),
    "projectile_60": Case(
        "video/projectile/60deg_2.699mps.mp4",
        ("--fps=240", "--speed=2.699", "--angle=60"),
        {"g": (9.81, 0.015)},
        "9.82 m/s²",
        {"g": 10.0},
        SCORED,
    ),
    "cups": Case(
        "video/cups/cups.zip",
        ("--fps=10.101", "--scale=0,0,87,0:1", "--known=g:9.81"),
        {},
        "terminal 2.12 and 3.43 m/s, ratio 1.62 (1.53 by the masses)",
        {},
        SCORED,
    ),
    "cups_third": Case(  # the cup with two clips, whose neighbours are 12 px away
        "video/cups/cups.zip",
        ("--fps=10.101", "--scale=4,8.5,4,183:2", "--known=g:9.81", "--roi=197,24,14,216", "--focal=23"),
        {},
        "2.12 m/s",
        {},
        DEVELOPED,
    ),
    "slide": Case("video/slide/block_1.mp4", ("--fps=240",), {}, "none", {}, SCORED),
    "sliding_cone": Case("video/iris/Sliding_cone.gif", ("--fps=10",), {}, "none", {}, DEVELOPED),
    "green_ball": Case(
        "video/toss/green_ball_no_scale.mp4", (), {}, "a parabola in px, rms 2 px; nothing in metres", {}, DEVELOPED
    ),
    **{
        f"pucks_{name}": Case(
            path, (), {"mass_ratio": (1.0, 0.05)}, "momentum kept to 0.87 and 0.90", {}, DEVELOPED, more.pucks
        )
        for name, path in more.PUCKS.items()
    },
    "baseball": Case(more.BASEBALL, (), {}, "30 pairs triangulated", {}, DEVELOPED, more.baseball),
    "baseball_right": Case(
        more.BASEBALL, (), {}, "30 pairs triangulated", {}, SCORED, functools.partial(more.baseball, camera="R")
    ),
}


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Runs the unfinished films, then prints the table of all."""
    from o2t_jax.commands import recording

    values = arguments.flags
    out = _cli.out_folder(values, "the results")
    if not values.root:
        raise UsageError("--root is missing: give the folder that holds video/")
    root = Path(values.root)
    chosen = values.only or list(CASES)
    for name in chosen:
        if name not in CASES:
            raise UsageError(f"--only={name} is no film of the study: it must be one of {', '.join(CASES)}")
    there = [name for name in chosen if (root / CASES[name].path).exists()]
    if not there:
        raise UsageError(f"--root={root} holds none of the films, such as {CASES[chosen[0]].path}")
    out.mkdir(parents=True, exist_ok=True)
    for name in there:
        if (out / f"{name}.json").exists():
            continue
        begin = time.monotonic()
        case = CASES[name]
        if case.run is not None:
            result = case.run(root / case.path)
        else:
            code = recording.main([f"--video={root / case.path}", f"--out={out / name}", *case.flags])
            result = json.loads((out / name / "result.json").read_text()) if code == 0 else {"law": "failed"}
        found = {"film": name, "seconds": time.monotonic() - begin, **judged(case, result), "result": result}
        (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    text = format_table([json.loads((out / f"{name}.json").read_text()) for name in there])
    missing = [name for name in chosen if name not in there]
    text += f"\nnot in {root}: {', '.join(missing)}" if missing else ""
    (out / "table.txt").write_text(text + "\n")
    print(text)
    return 0


def judged(case: Case, result: dict[str, Any]) -> dict[str, Any]:
    """The figures beside what is known: error, aim, whether the interval holds it, and the start-value row."""
    rows = []
    for name, (true, aim) in case.known.items():
        entry = result.get("parameters", {}).get(name)
        row: dict[str, Any] = {"quantity": name, "known": true, "aim": aim, "start": case.start.get(name)}
        if entry is not None and entry["value"] is not None:
            row |= entry
            row["error"] = entry["value"] / true - 1
            row["reached"] = abs(row["error"]) <= aim
            row["holds"] = entry["low"] <= true <= (entry["high"] or float("inf"))
        rows.append(row)
    return {"law": result["law"], "part": case.part, "quick": case.quick, "rows": rows}


def format_table(found: list[dict[str, Any]]) -> str:
    """All films as a text."""
    lines = []
    for each in found:
        head = f"{each['film']} ({each['part']}, {each['seconds']:.0f} s): {each['law']}"
        lines.append(f"{head}; quick look: {each['quick']}")
        for row in each["rows"]:
            if "value" not in row:
                lines.append(f"  {row['quantity']}: not found; known {row['known']:g}: missed")
                continue
            high = "-" if row["high"] is None else f"{row['high']:.5g}"
            told = "reached" if row["reached"] else "missed"
            held = "holds" if row["holds"] else "does not hold"
            known = f"known {row['known']:g}: {100 * row['error']:+.2f} %, aim {100 * row['aim']:g} %"
            value = f"{row['value']:.5g} ({row['low']:.5g} to {high}) {row['unit']}"
            lines.append(f"  {row['quantity']}: {value}, {known}: {told}; the interval {held} it")
            if row["start"] is not None:
                error = 100 * (row["start"] / row["known"] - 1)
                lines.append(f"  {row['quantity']}: start value {row['start']:g}: {error:+.2f} %")
        lines += _further(each)
        if not each["rows"]:
            for number, part in enumerate(each["result"].get("objects", [])):
                first = part["segments"][part["main_segment"]]
                for name, entry in first["parameters"].items():
                    if entry["value"] is not None:
                        lines.append(f"  object {number}, {part['law']}: {name} {entry['value']:.5g} {entry['unit']}")
    return "\n".join(lines)


def _further(each: dict[str, Any]) -> list[str]:
    """What a film tells beside its law's numbers."""
    result, lines = each["result"], []
    if each["film"] == "slide" and "acceleration" in result.get("parameters", {}):
        lines += [f"  {line}" for line in more.slide_allows(result["parameters"])]
    if each["film"] == "cups" and len(found := more.speeds(result)) > 1:
        told = more.ratio(*sorted(found, key=lambda entry: -entry["value"])[:2])
        lines.append(f"  ratio of speeds {told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f}); 1.53 by mass")
    for name, value in result.get("rms_px", {}).items():
        lines.append(f"  later third by {name}: rms {value:.3g} px, median {result['median_px'][name]:.3g} px")
    return lines


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("root", None, "folder that holds video/", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the results", flag_values=values)
    flags.DEFINE_list("only", None, "films to run; all by default", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
