"""Laws of motion fitted to a track of a film, by shooting, with intervals. On the host, in numpy and scipy.

`LAWS` are the forms; `fitting.py` fits one, `naming.py` says which form a track shows, `segments.py` cuts a track at
contacts, `quantities.py` turns px into metres with intervals. docs/recordings.md says how to use them.
"""

from __future__ import annotations

from o2t_jax.evaluation.recordings.law import Law
from o2t_jax.registry import Registry

_HERE = "o2t_jax.evaluation.recordings"

LAWS: Registry[Law] = Registry(
    "law",
    {
        "uniform motion": f"{_HERE}.flight:UNIFORM",
        "free flight": f"{_HERE}.flight:FLIGHT",
        "free flight with drag": f"{_HERE}.flight:DRAG",
        "constant acceleration along a line": f"{_HERE}.line:SLOPE",
        "exponential decay": f"{_HERE}.line:DECAY",
        "damped spring": f"{_HERE}.line:SPRING",
        "pendulum": f"{_HERE}.pendulum:PENDULUM",
        "pendulum with drag": f"{_HERE}.pendulum:PENDULUM_DRAG",
        "free flight with bounces": f"{_HERE}.bounce:BOUNCES",
        "rotation with damping": f"{_HERE}.rotation:ROTATION",
        "motion towards the camera": f"{_HERE}.approach:APPROACH",
        "roll down a slope": f"{_HERE}.roll:ROLL",
        "collision of two discs": f"{_HERE}.collision:COLLISION",
    },
)

__all__ = ["LAWS"]
