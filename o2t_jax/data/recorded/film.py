"""The frames of a film one after the other, with their own times. Read by PyAV; never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from o2t_jax.errors import UsageError


class Film(NamedTuple):
    """What is read of a film.

    Attributes: `path`; `start` and `end` s, by the clock that `fps` sets; `fps`, frames/s at which it was recorded, for
    slow motion whose header tells the rate it is played at (None: the frames' own time stamps); `roi`, the part of the
    picture (x, y, width, height) px.
    """

    path: Path
    start: float = 0.0
    end: float = float("inf")
    fps: float | None = None
    roi: tuple[int, int, int, int] | None = None

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Time s and grey levels uint8 [H, W] of each frame. Raises: UsageError for a file that cannot be read."""
        import av
        from av.error import FFmpegError

        if not self.path.is_file():
            raise UsageError(f"{self.path} is no file: give a film, such as collision.mp4")
        count = 0
        try:
            with av.open(str(self.path)) as file:
                if not file.streams.video:
                    raise UsageError(f"{self.path} has no pictures: give a film")
                stream = file.streams.video[0]
                first: float | None = None
                for number, frame in enumerate(file.decode(stream)):
                    if self.fps is not None:
                        time = number / self.fps
                    elif frame.time is None:
                        raise UsageError(f"{self.path} has a frame without a time: give --fps")
                    else:
                        first = frame.time if first is None else first
                        time = frame.time - first
                    if time > self.end:
                        break
                    if time >= self.start:
                        count += 1
                        yield time, self._cut(frame.to_ndarray(format="gray"))
        except FFmpegError as error:
            raise UsageError(f"{self.path} cannot be read as a film ({error.strerror}): is it whole?") from None
        if not count:
            raise UsageError(f"{self.path} has no frame from {self.start:g} to {self.end:g} s")

    def _cut(self, grey: np.ndarray) -> np.ndarray:
        if self.roi is None:
            return grey
        x, y, width, height = self.roi
        if not (
            x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= grey.shape[1] and y + height <= len(grey)
        ):
            raise UsageError(
                f"roi {x},{y},{width},{height} is not inside the picture of {grey.shape[1]} x {len(grey)} px"
            )
        return grey[y : y + height, x : x + width]


__all__ = ["Film"]
