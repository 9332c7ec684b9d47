"""Pictures and films as the bytes of files that a browser shows: PNG, H.264 in MP4, GIF. Independent of `results`.

Films are encoded by PyAV (FFmpeg). Builds of FFmpeg may lack an H.264 encoder, or have one that does not start. A film
then becomes a GIF, which every browser plays too, with 256 colours per frame.
"""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

H264_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox")  # the first that starts is taken
LEAST_SIDE = 16  # px; encoders refuse smaller pictures
_QUALITY = {"libx264": {"crf": "18", "preset": "medium"}}
_LEAST_GIF_MS = 20  # browsers show anything shorter at 100 ms
_BT709 = 1  # colour matrix, FFmpeg's number
_LIMITED = 1  # colour range

Format = Literal["mp4", "gif"]


def png(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return file.getvalue()


def film(frames: np.ndarray, fps: float) -> tuple[bytes, Format]:
    """uint8 [T, H, W, 3] as a film at `fps` frames/s, and its format: "mp4" where H.264 can be encoded, else "gif"."""
    from av.codec.codec import UnknownCodecError
    from av.error import FFmpegError

    for encoder in H264_ENCODERS:
        try:
            return mp4(frames, fps, encoder), "mp4"
        except (UnknownCodecError, FFmpegError):  # not in this build, or it does not start
            continue
    return gif(frames, fps), "gif"


def mp4(frames: np.ndarray, fps: float, encoder: str = H264_ENCODERS[0]) -> bytes:
    """H.264 that browsers play: 4:2:0, even sides (the last row and column repeated), the index at the file's start.

    Raises: UnknownCodecError where FFmpeg's build lacks the encoder, FFmpegError where it does not start.
    """
    import av

    frames = _padded(frames)
    with tempfile.TemporaryDirectory() as folder:  # FFmpeg must read the file again to move the index to its start
        path = Path(folder) / "film.mp4"
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as file:
            rate = Fraction(fps).limit_denominator(1000)
            stream = file.add_stream(encoder, rate=rate, options=_QUALITY.get(encoder, {}))
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
            for pixels in frames:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                file.mux(
                    stream.encode(frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED))
                )
            file.mux(stream.encode())
        return path.read_bytes()


def gif(frames: np.ndarray, fps: float) -> bytes:
    """A GIF that repeats for ever, at most 50 frames/s. A repeated frame is stored once and shown longer."""
    first, *rest = (Image.fromarray(np.ascontiguousarray(pixels)) for pixels in frames)
    file = io.BytesIO()
    duration = max(_LEAST_GIF_MS, round(1000.0 / fps))
    first.save(file, "GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    return file.getvalue()


def enlarged(pixels: np.ndarray, least: int) -> np.ndarray:
    """uint8 [..., H, W, 3] enlarged by a whole factor without smoothing: the longer side gets at least `least` px."""
    factor = max(1, -(-least // max(pixels.shape[-3:-1])))
    return pixels.repeat(factor, axis=-3).repeat(factor, axis=-2)


def _padded(frames: np.ndarray) -> np.ndarray:
    """Even sides of at least `LEAST_SIDE` px: the last row and column repeated."""
    height, width = frames.shape[1:3]
    down, right = (max(LEAST_SIDE, side + side % 2) - side for side in (height, width))
    return np.pad(frames, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge") if down or right else frames
