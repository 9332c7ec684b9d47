"""Does the linter rank recorded motions above spoilt ones?

python -m experiments.studies.motion_linter --root=DIR-OR-ARCHIVE --json=FILE [--half=held|developed] [--seed=0]

Each clip (at its own frames/s) is spoilt by noise of 3 to 10 mm, a drift of 0.2 to 0.5 m/s, a cut of 0.2 to 0.4 s, and
flights that fall with 0.3 to 0.5 or 2 to 3 times g; where a clip has nothing to spoil (no flight of 4 frames, nobody
moves in what is cut out) it makes no pair. Two shares are told: a clip against itself, spoilt, and every clip against
every spoilt one. A hash of a clip's name puts it in one of two halves; its limits were set on one, `developed`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError

HALVES = ("held", "developed")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Scores all clips of a half, whole and spoilt; prints and writes the shares."""
    values = arguments.flags
    if not values.root:
        raise UsageError("--root is missing: give a folder or .tar.xz of BVH clips called set_action_style_number.bvh")
    _cli.check_folder("json", values.json)
    from o2t_jax.data.motion.recorded import read_clips, share_of
    from o2t_jax.evaluation.writers.console import report

    clips = read_clips(Path(values.root), rate=None)
    mine = [clip for clip in clips if (share_of("linter " + clip.name) < 0.5) == (values.half == "developed")]
    if not mine:
        raise UsageError(f"--root={values.root}: none of its {len(clips)} clips is in the half {values.half}")
    rows = [scores(clip.positions, clip.rate, clip.name, values.seed) for clip in mine]
    found = {"root": Path(values.root).name, "half": values.half, "seed": values.seed, **shares(rows)}
    report(table(found), found, values.json)
    return 0


def scores(positions: np.ndarray, rate: float, name: str, seed: int) -> dict[str, Any]:
    """Score and verdict of a clip and of what becomes of it, by name; None where it cannot be spoilt that way."""
    from o2t_jax.data.motion.recorded import share_of
    from o2t_jax.evaluation.motion.corruption import CORRUPTIONS
    from o2t_jax.evaluation.motion.linter import LEAST_FRAMES, lint

    places = np.asarray(positions, float)
    random = np.random.default_rng([seed, int(share_of(name) * 2**32)])
    whole = lint(places, rate, source=name)
    row: dict[str, Any] = {"whole": (whole.score, whole.verdict)}
    for kind, spoil in CORRUPTIONS.items():
        spoilt = spoil(places, rate, random)
        if spoilt is None or len(spoilt) < LEAST_FRAMES:
            row[kind] = None
        else:
            told = lint(spoilt, rate, source=name)
            row[kind] = (told.score, told.verdict)
    return row


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares of pairs in which the whole clip ranks above (a tie counts as below), by kind and of all pairs."""
    whole = np.array([row["whole"][0] for row in rows])
    kinds = [kind for kind in rows[0] if kind != "whole"]
    by_kind: dict[str, Any] = {}
    for kind in kinds:
        pairs = [(row["whole"][0], row[kind][0]) for row in rows if row[kind] is not None]
        spoilt = np.array([pair[1] for pair in pairs])
        by_kind[kind] = {
            "pairs": len(pairs),
            "same_clip": float(np.mean([one > other for one, other in pairs])) if pairs else None,
            "any_clip": float((whole[:, None] > spoilt).mean()) if pairs else None,
            "bad": float(np.mean([row[kind][1] == "bad" for row in rows if row[kind] is not None])) if pairs else None,
        }
    counts = np.array([by_kind[kind]["pairs"] for kind in kinds])
    used = [kind for kind in kinds if by_kind[kind]["pairs"]]
    return {
        "clips": len(rows),
        "pairs": int(counts.sum()),
        "same_clip": float(sum(by_kind[kind]["same_clip"] * by_kind[kind]["pairs"] for kind in used) / counts.sum()),
        "any_clip": float(sum(by_kind[kind]["any_clip"] * by_kind[kind]["pairs"] for kind in used) / counts.sum()),
        "whole_called_bad": float(np.mean([row["whole"][1] == "bad" for row in rows])),
        "whole_called_fine": float(np.mean([row["whole"][1] == "fine" for row in rows])),
        "by_kind": by_kind,
    }


def table(found: dict[str, Any]) -> str:
    """The shares, for people."""
    lines = [
        f"{found['clips']} clips ({found['half']} half): above the same clip, spoilt, in {found['same_clip']:.1%} of "
        f"{found['pairs']} pairs; above any spoilt clip in {found['any_clip']:.1%}",
        f"whole clips called fine {found['whole_called_fine']:.1%}, bad {found['whole_called_bad']:.1%}",
    ]
    for kind, told in found["by_kind"].items():
        if told["pairs"]:
            lines.append(
                f"  {kind}: {told['pairs']} pairs, same clip {told['same_clip']:.1%}, any clip {told['any_clip']:.1%}, "
                f"called bad {told['bad']:.1%}"
            )
    return "\n".join(lines)


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("root", None, "folder or .tar.xz of BVH clips", flag_values=values)
    flags.DEFINE_string("json", None, "file for the findings; - is standard output", flag_values=values)
    flags.DEFINE_enum("half", "held", HALVES, "which half of the clips", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of how clips are spoilt", lower_bound=0, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
