"""Appearance of a room: colours, sizes and shades that the rasteriser and the ray-caster share. Colours are bytes."""

from __future__ import annotations

SKY = (235, 240, 247)
GROUND = (224, 221, 212)

# The ground's grid.
LINE_SHADE = 0.88
LINE_WIDTH_M = 0.045
GRID_M = 1.0
# A lower camera is treated as being at this height, since the ground plane must not pass through the eye.
MIN_EYE_HEIGHT_M = 0.05
# Footprint of a pixel across a line (m): below the first the lines are separate, above the second one grey.
FADE_FROM, FADE_TO = 0.5, 1.0
# Share of the ground between the lines.
MEAN_BARE = (1.0 - LINE_WIDTH_M / GRID_M) ** 2

# A ball's colour times brightness: `AMBIENT` below, 1 on top, (1 + height of the normal) / 2 to the third between them.
AMBIENT = 0.28
# White light added near the top: the glossy rim. It sets in above `GLOSS_FROM` of full brightness.
GLOSS, GLOSS_FROM = 0.25, 0.40
SHADOW_COLOUR = (64, 64, 64)
SHADOW_OPACITY = 0.55

BAR_COLOUR = (220, 30, 30)
BAR_X_M, BAR_HEIGHT_M = 3.0, 0.1
BAR_HALF_WIDTH_M, BAR_MIN_HALF_WIDTH_PX = 0.03, 0.25

RAMP_COLOUR = (206, 178, 138)
# Light from above, as on the balls: the top is `SIDE_SHADE` + `TOP_GAIN` times the height of its normal; the back is a
# little darker than the sides, and the edges are drawn darker than all.
SIDE_SHADE, TOP_GAIN, BACK_SHADE, EDGE_SHADE = 0.62, 0.38, 0.52, 0.55
# A picture of this many rows has edges 1 px thick.
EDGE_ROWS = 512
# Ramp and bars are drawn on a canvas 4 or 2 times as fine while their box has at most this many pixels.
CANVASES = ((4, 24_000), (2, 100_000), (1, None))
# A ball deeper in the ramp than this share of its radius is partly inside: which is in front is decided by depth.
TOUCH = 0.999

NEAR_M = 0.05
