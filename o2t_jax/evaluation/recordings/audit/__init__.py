"""Is the motion in a film lawful? Checks that need no scale, each with an interval and a verdict.

`CHECKS` are the checks; `kinds.py` says which kind of motion a track shows, `flights.py` and `swings.py` read what the
checks compare, `report.py` runs all. docs/recordings.md says how to read them.
"""

from __future__ import annotations

from o2t_jax.evaluation.recordings.audit.finding import Check
from o2t_jax.registry import Registry

_HERE = "o2t_jax.evaluation.recordings.audit"

CHECKS: Registry[Check] = Registry(
    "check",
    {
        "constancy of acceleration within a flight": f"{_HERE}.flight_checks:WITHIN",
        "a flight is one curve": f"{_HERE}.flight_checks:CURVE",
        "acceleration between flights": f"{_HERE}.flight_checks:BETWEEN",
        "fall times and heights": f"{_HERE}.flight_checks:HEIGHTS",
        "restitution by speeds": f"{_HERE}.flight_checks:SPEEDS",
        "restitution by flight times": f"{_HERE}.flight_checks:TIMES",
        "energy from flight to flight": f"{_HERE}.flight_checks:ENERGY",
        "restoring force within the clip": f"{_HERE}.swing_checks:FORCE",
        "period against amplitude": f"{_HERE}.swing_checks:PERIOD",
        "energy from swing to swing": f"{_HERE}.swing_checks:ENERGY",
    },
)

__all__ = ["CHECKS"]
