"""PARA, the five pictures of a sample, and its modes: the O2T guide's numbering, used by data, models and evaluation.

- PARA of a picture: `[t, x, y, z, azimuth, elevation]` (s, m, m, m, deg, deg).
- A sample's five pictures: 0, 1 left and right eye at t1; 2, 3 left and right eye at t2; 4 the target.
- Modes (O2T guide, 'Modes'): DIS, the target is picture 0; VIEW, another view at t1; FUTURE, a later time.
"""

from __future__ import annotations

PARA_FIELDS = ("t", "x", "y", "z", "azimuth", "elevation")
NUM_PICTURES = 5
LEFT_1, RIGHT_1, LEFT_2, RIGHT_2, TARGET = range(NUM_PICTURES)
MODES = ("DIS", "VIEW", "FUTURE")
DIS, VIEW, FUTURE = range(len(MODES))

__all__ = [
    "DIS",
    "FUTURE",
    "LEFT_1",
    "LEFT_2",
    "MODES",
    "NUM_PICTURES",
    "PARA_FIELDS",
    "RIGHT_1",
    "RIGHT_2",
    "TARGET",
    "VIEW",
]
