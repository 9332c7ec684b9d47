"""The colours of the drawn worlds: those of the pictures that their public original makes.

It draws a ball in (173, 146, 0), of 255, on black, blurs it, and adds the background (81, 88, 93); the sum is what is
seen. The second and third ball have one channel each less than that, which the original does not prescribe.
"""

from __future__ import annotations

BACKGROUND = (81 / 255, 88 / 255, 93 / 255)
BALLS = ((254 / 255, 234 / 255, 93 / 255), (254 / 255, 88 / 255, 93 / 255), (81 / 255, 234 / 255, 93 / 255))
BALL = BALLS[0]

__all__ = ["BACKGROUND", "BALL", "BALLS"]
