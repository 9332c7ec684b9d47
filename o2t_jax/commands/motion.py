"""Motions of people: is a clip physical, and how does it look?

    python -m experiments.motion score FILE.bvh [--json=FILE]     # eight checks, each with frames to look at
    python -m experiments.motion preview FILE.bvh --out=FILE.gif  # a stick figure, from the side (.gif or .mp4)
    python -m experiments.motion convert FILE.bvh --out=FILE.bvh  # brought to our 21 joints at 20 frames/s
    python -m experiments.motion compare --evaluator=DIR          # made motions and texts in your evaluator's numbers

Any person whose joints have usual names can be read; lengths are scaled to our skeleton's legs. --ground is the floor's
height in metres after that, 0 or taken from the lowest feet without it. docs/motion_data.md says what the checks are;
DIR: docs/motion.md, "In an evaluator's numbers".
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from o2t_jax.data.motion.retarget import Pose
    from o2t_jax.evaluation.motion.linter import Report

ACTS = ("score", "preview", "convert", "compare")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    plain = [word for word in words if not word.startswith("-")]
    rest = [word for word in words if word.startswith("-")]
    if len(plain) > 2 or (plain and plain[0] not in ACTS):
        return _cli.fail(f"{' '.join(plain)!r} is unknown: give one of {', '.join(ACTS)}, then one FILE.bvh")
    act, file = [*plain, "", ""][:2]

    def run(arguments: _cli.Arguments) -> int:
        return run_motion(act, file, arguments.flags)

    return _cli.run(run, rest, doc=__doc__ or "", define=_define, with_config=False)


def run_motion(act: str, file: str, values: flags.FlagValues) -> int:
    """One act on one file, or on a folder of embeddings."""
    if act == "compare":
        _compare(values)
        return 0
    if not act or not file:
        raise UsageError(f"give one of {', '.join(ACTS)}, then a motion's file, such as: score walk.bvh")
    if act == "score":
        _score(file, values)
        return 0
    out = _cli.out_file(values.out, (".bvh",) if act == "convert" else (".gif", ".mp4"))
    from o2t_jax.data.motion.bvh import bvh_text
    from o2t_jax.evaluation.writers.json_file import write_whole
    from o2t_jax.physics.motion.skeleton import OURS

    pose = _read(file, keep_rate=act == "preview")
    if act == "convert":
        content = bvh_text(OURS, pose.root, pose.rotations, pose.rate).encode()
    else:
        content = _film(pose, out.suffix)
    write_whole(out, content)
    print(f"{out}: {len(pose.root)} frames, {pose.rate:g}/s")
    return 0


def _read(file: str, keep_rate: bool) -> Pose:
    from o2t_jax.data.motion.bvh import read_bvh
    from o2t_jax.data.motion.retarget import retarget
    from o2t_jax.physics.motion.contacts import RATE

    content = read_bvh(Path(file))
    return retarget(content.names, content.positions(), content.rate, file, None if keep_rate else RATE)


def _score(file: str, values: flags.FlagValues) -> None:
    _cli.check_folder("json", values.json)
    from o2t_jax.evaluation.motion.linter import lint
    from o2t_jax.evaluation.writers.console import report

    pose = _read(file, keep_rate=True)
    found = lint(pose.positions, pose.rate, values.ground, file)
    report(summary(found), {"source": file, **found.as_dict()}, values.json)


def _compare(values: flags.FlagValues) -> None:
    if not values.evaluator:
        raise UsageError("--evaluator is missing: give the folder with texts.npy, true.npy and others of made motions")
    _cli.check_folder("json", values.json)
    from o2t_jax.data.motion.embeddings import TEXTS, TRUE, read_embeddings
    from o2t_jax.evaluation.motion.embedding_scores import POOL, scores_of
    from o2t_jax.evaluation.writers.console import format_table, report

    found = read_embeddings(Path(values.evaluator))
    texts, true = found.pop(TEXTS), found.pop(TRUE)
    if len(texts) < POOL:
        raise UsageError(f"--evaluator={values.evaluator}: {len(texts)} texts, at least {POOL} are needed")
    rows = [{"motions": name, **scores_of(texts, own, true)} for name, own in {TRUE: true, **found}.items()]
    shown = {name: "" if name == "motions" else ".4f" for name in rows[0]}
    report(format_table(rows, shown), {"evaluator": values.evaluator, "rows": rows}, values.json)


def summary(found: Report) -> str:
    """What was found, for people."""
    from o2t_jax.evaluation.motion.linter import EXPLAINED, LIMITS

    lines = [f"{found.verdict}, score {found.score:.2f} (0 is perfect); ground at {found.ground:.3f} m"]
    for check in found.checks:
        value = "-" if check.value is None else f"{check.value:.3g} {LIMITS[check.name][0]}".rstrip()
        frames = f"; frames {', '.join(map(str, check.frames))}" if check.frames and check.verdict != "fine" else ""
        lines.append(f"{check.name}: {value}: {check.verdict} ({EXPLAINED[check.name]}){frames}")
    if found.gravity is not None:
        lines.append(f"g from {len(found.flights)} flights: {found.gravity[0]:.2f} +- {found.gravity[1]:.2f} m/s²")
    left, right = found.contacts[:, :2].any(1).mean(), found.contacts[:, 2:].any(1).mean()
    lines.append(f"contact: left foot {left:.0%} of the frames, right foot {right:.0%}")
    return "\n".join(lines)


def _film(pose: Pose, ending: str) -> bytes:
    from o2t_jax import media

    frames = stick_figure(pose.positions)
    return media.gif(frames, pose.rate) if ending == ".gif" else media.mp4(frames, pose.rate)


def stick_figure(positions: np.ndarray, size: int = 320) -> np.ndarray:
    """uint8 [T, size, size, 3]: joints [T, 21, 3] seen from the side that shows most of the way, left limbs blue."""
    import cv2
    import numpy as np

    from o2t_jax.physics.motion.skeleton import OURS

    travelled = np.ptp(positions[:, 0, [0, 2]], axis=0)
    across = 0 if travelled[0] > travelled[1] else 2
    middle = 0.5 * (positions[..., across].max() + positions[..., across].min())
    span = max(2.0, float(np.ptp(positions[..., across])), float(positions[..., 1].max())) * 1.1
    places = np.stack([0.5 + (positions[..., across] - middle) / span, 0.95 - positions[..., 1] / span], -1) * size
    pictures = np.full((len(positions), size, size, 3), 255, np.uint8)
    for picture, points in zip(pictures, np.round(places).astype(int), strict=True):
        cv2.line(picture, (0, round(0.95 * size)), (size, round(0.95 * size)), (160, 160, 160), 1)
        for joint, parent in enumerate(OURS.parents[1:], 1):
            name = OURS.names[joint]
            colour = (
                (40, 80, 220) if name.startswith("Left") else (220, 80, 40) if name.startswith("Right") else (0,) * 3
            )
            cv2.line(picture, points[parent].tolist(), points[joint].tolist(), colour, 2, cv2.LINE_AA)
    return pictures


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "file to write: .bvh of convert, .gif or .mp4 of preview", flag_values=values)
    flags.DEFINE_string("json", None, "file for the findings; - is standard output", flag_values=values)
    flags.DEFINE_string("evaluator", None, "folder of embeddings, of compare", flag_values=values)
    flags.DEFINE_float("ground", None, "height of the floor, m; 0, or from the lowest feet", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
