"""All checks of one track, and what they say together."""

from __future__ import annotations

from typing import Any

from o2t_jax.evaluation.recordings.audit import CHECKS
from o2t_jax.evaluation.recordings.audit.finding import CANNOT, FAILS, PASS
from o2t_jax.evaluation.recordings.audit.kinds import LEAST, NEITHER, motion_of
from o2t_jax.evaluation.recordings.law import Points, Times


def audit(times: Times, points: Points, jitter: float) -> dict[str, Any]:
    """`verdict` of a track with the `kind` of motion and its `checks`, for JSON.

    It fails where one check fails. It passes where none fails and the check that looks at every sighting passes.

    Args: `times` s; `points` px (right, up); `jitter` px of a sighting along an axis.
    """
    motion = motion_of(times, points, jitter)
    checks = [
        (check.main, check.as_dict(name, check.find(motion)))
        for name, check in ((name, CHECKS[name]) for name in CHECKS)
        if check.kind == motion.kind
    ]
    verdicts = [found["verdict"] for _, found in checks]
    if FAILS in verdicts:
        verdict = FAILS
    else:
        verdict = PASS if any(main and found["verdict"] == PASS for main, found in checks) else CANNOT
    why = ""
    if motion.kind == NEITHER:
        why = "neither flights nor swings: there is no acceleration to compare"
        if len(times) < LEAST:
            why = f"{len(times)} sightings: at least {LEAST} are needed"
    elif verdict == FAILS:
        why = "; ".join(found["check"] for _, found in checks if found["verdict"] == FAILS)
    return {"verdict": verdict, "kind": motion.kind, "why": why, "checks": [found for _, found in checks]}


__all__ = ["audit"]
