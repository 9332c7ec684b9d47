"""What a camera does to a film, one file an effect. `camera.py` puts them together.

Effects on single pictures (`noise.py`, `lens.py`) fit `render.sensor.Effect`, so that a `Sensor` may apply them. What
takes time (`shutter.py`) wraps a function from times to pictures, a `Render`. What needs the whole clip (`h264.py`,
`frames.py`) takes the clip. Points are px (right, down) from the middle of the top left pixel, as in OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Render = Callable[[np.ndarray], np.ndarray]
"""Times [T] s -> uint8 [T, H, W, 3], each picture taken in an instant."""

__all__ = ["Render"]
