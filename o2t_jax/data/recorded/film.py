"""The frames of a film one after the other, with their own times. Read by PyAV; never held whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.data.recorded.pictures import MOST_PIXELS, is_pictures, pictures
from o2t_jax.errors import UsageError

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

# FFmpeg also plays lists of other files (concat, HLS, DASH, SDP), whatever a file's name says: only what holds its own.
CONTAINERS = ("asf", "avi", "flv", "gif", "matroska", "mov", "mpeg", "mpegts", "ogg")
_OPENING = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


class Film(NamedTuple):
    """What is read of a film, or of a folder or zip of pictures (which needs `fps`).

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
        return self._read("gray")

    def colours(self) -> Iterator[tuple[float, np.ndarray]]:
        """Time s and RGB uint8 [H, W, 3] of each frame, upright. Raises: UsageError as `frames`."""
        return self._read("rgb24")

    def header(self) -> dict[str, Any]:
        """What the file says of itself: `frames` (0: nothing) and `rate`, frames/s (None: nothing). Neither is used."""
        if is_pictures(self.path):
            return {"frames": 0, "rate": None}
        with _opened(self.path) as file:
            stream = file.streams.video[0]
            return {"frames": stream.frames, "rate": float(stream.average_rate) if stream.average_rate else None}

    def _read(self, form: str) -> Iterator[tuple[float, np.ndarray]]:
        count, first, last = 0, None, -np.inf
        for number, (stamp, picture) in enumerate(self._stamped(form)):
            if self.fps is not None:
                time = number / self.fps
            elif stamp is None:
                raise UsageError(f"{self.path} has a frame without a time: give --fps")
            else:
                first = stamp if first is None else first
                time = stamp - first
            if time <= last:
                raise UsageError(f"{self.path} has two clocks: time does not increase after {last:g} s: give --fps")
            last = time
            if time > self.end:
                break
            if time >= self.start:
                count += 1
                yield time, self._cut(picture)
        if not count:
            raise UsageError(f"{self.path} has no frame from {self.start:g} to {self.end:g} s")

    def _stamped(self, form: str) -> Iterator[tuple[float | None, np.ndarray]]:
        """Time stamp and upright picture of each frame."""
        from av.error import FFmpegError

        if is_pictures(self.path):
            for picture in pictures(self.path):
                yield None, np.round(picture @ GREY).astype(np.uint8) if form == "gray" else picture
            return
        try:
            with _opened(self.path) as file:
                for frame in file.decode(file.streams.video[0]):
                    # The angle by which a player turns the picture counterclockwise.
                    yield frame.time, np.rot90(frame.to_ndarray(format=form), round(frame.rotation / 90) % 4)
        except FFmpegError as error:
            raise UsageError(f"{self.path} cannot be read as a film ({error.strerror}): is it whole?") from None

    def _cut(self, picture: np.ndarray) -> np.ndarray:
        if self.roi is None:
            return picture
        x, y, width, height = self.roi
        down, right = picture.shape[:2]
        if not (x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= right and y + height <= down):
            raise UsageError(f"roi {x},{y},{width},{height} is not inside the picture of {right} x {down} px")
        return picture[y : y + height, x : x + width]


def _opened(path: Path) -> Any:
    """The file, with at least one stream of pictures."""
    import av
    from av.error import ArgumentError, FFmpegError

    if not path.is_file():
        raise UsageError(f"{path} is no file: give a film, such as collision.mp4")
    try:
        # "file:", for a name may be one of FFmpeg's protocols too, such as concat:a.mp4|b.mp4
        file = av.open(f"file:{path}", options=dict(_OPENING), metadata_errors="replace")
    except ArgumentError:
        kinds = ", ".join(CONTAINERS)
        raise UsageError(f"{path} is no film of a kind that is read ({kinds}): convert it to mp4") from None
    except FFmpegError as error:
        raise UsageError(f"{path} cannot be read as a film ({error.strerror}): is it whole?") from None
    if not file.streams.video:
        file.close()
        raise UsageError(f"{path} has no pictures: give a film")
    if file.streams.video[0].codec_context is None:
        file.close()
        raise UsageError(f"{path} has a format that this FFmpeg cannot decode: is it whole? Else convert it to H.264")
    # FFmpeg refuses larger pictures before it takes memory for them, also where the size changes on the way.
    file.streams.video[0].codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    return file


__all__ = ["Film"]
