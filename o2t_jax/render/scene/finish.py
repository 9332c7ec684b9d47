"""The last step of a film, by OpenCV: colour grade, vignette, motion blur from frame to frame, the sentence below."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

_CONTRAST, _WARMTH, _VIGNETTE, _TRAIL = 1.06, 0.03, 0.28, 0.25


def finish(
    frames: UInt8[np.ndarray, "frames height width 3"], caption: str
) -> UInt8[np.ndarray, "frames height width 3"]:
    """Graded, darker to the corners, each frame with a share of the one before it, the caption below."""
    height, width = frames.shape[1:3]
    dim = _vignette(height, width)
    before, done = frames[0].astype(np.float32), []
    for frame in frames:
        before = cv2.addWeighted(frame.astype(np.float32), 1.0 - _TRAIL, before, _TRAIL, 0.0)
        graded = 128.0 + _CONTRAST * (before - 128.0)
        graded *= np.array([1.0 + _WARMTH, 1.0, 1.0 - _WARMTH], np.float32)
        picture = np.clip(graded * dim, 0.0, 255.0).astype(np.uint8)
        done.append(_write(picture, caption))
    return np.stack(done)


def _vignette(height: int, width: int) -> np.ndarray:
    """[H, W, 1], 1 in the middle."""
    y = cv2.getGaussianKernel(height, 0.75 * height)
    x = cv2.getGaussianKernel(width, 0.75 * width)
    mask = y @ x.T
    return (1.0 - _VIGNETTE + _VIGNETTE * mask / mask.max())[..., None].astype(np.float32)


def _write(picture: np.ndarray, caption: str) -> np.ndarray:
    """The caption in the film's lowest lines, as small as it must be."""
    width, font = picture.shape[1], cv2.FONT_HERSHEY_DUPLEX
    (full, _), _ = cv2.getTextSize(caption, font, 1.0, 1)
    scale = min(0.5, 0.94 * width / max(full, 1))
    (wide, high), _ = cv2.getTextSize(caption, font, scale, 1)
    at = ((width - wide) // 2, picture.shape[0] - high - 4)
    cv2.putText(picture, caption, (at[0] + 1, at[1] + 1), font, scale, (20, 20, 20), 1, cv2.LINE_AA)
    return cv2.putText(picture, caption, at, font, scale, (245, 245, 245), 1, cv2.LINE_AA)


__all__ = ["finish"]
