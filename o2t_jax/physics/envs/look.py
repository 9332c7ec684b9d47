"""The colours of the drawn worlds, those of the pictures that the worlds' public originals make.

The originals draw balls in (173, 146, 0), (173, 0, 0) and (0, 146, 0), of 255, on black, blur them, and add the
background; the sums, cut at 255, are what is seen.
"""

from __future__ import annotations

BACKGROUND = (81 / 255, 88 / 255, 93 / 255)
BALLS = ((254 / 255, 234 / 255, 93 / 255), (254 / 255, 88 / 255, 93 / 255), (81 / 255, 234 / 255, 93 / 255))
BALL = BALLS[0]

__all__ = ["BACKGROUND", "BALL", "BALLS"]
