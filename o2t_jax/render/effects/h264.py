"""H.264 at a given bit rate, by PyAV: a clip as the bytes of an mp4 file, and back."""

from __future__ import annotations

import io
import platform
from fractions import Fraction

import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.errors import UsageError

_BT709, _LIMITED = 1, 1  # colour matrix and range, FFmpeg's numbers
CLOCK = Fraction(1, 90000)  # s, of time stamps
LEAST_BITS = 1000.0
# x264's AVX-512 code reads memory that nothing wrote, so the same clip gave other bytes from call to call; with AVX2 it
# rounds otherwise than its C code. SSE2, which every x86-64 processor has, gives the C code's bytes.
_EXACT = {"x264-params": "asm=SSE2"} if platform.machine() in ("x86_64", "AMD64") else {}


def encode(
    frames: UInt8[np.ndarray, "T H W 3"], times: Float[np.ndarray, " T"], bits: float, encoder: str = "libx264"
) -> bytes:
    """An mp4 of about `bits` bit/s over its length, each frame with its own time stamp, s. H and W must be even.

    The rate is the encoder's aim (average bit rate, 4:2:0): what is simple to encode takes less. One thread, and of
    x264 on x86-64 its SSE2 code, so that the same clip gives the same bytes.

    Raises: UsageError for odd sides, times that do not increase, or a rate below 1000 bit/s; UnknownCodecError where
    FFmpeg's build lacks the encoder.
    """
    import av

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise UsageError(f"pictures of {width} x {height} px: H.264 in 4:2:0 needs even sides")
    if len(times) < 2 or not (np.diff(times) > 0).all():
        raise UsageError(f"{len(times)} times: at least two that increase are needed")
    if not bits >= LEAST_BITS:
        raise UsageError(f"bit rate {bits} bit/s must be at least {LEAST_BITS:g}")
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as file:
        rate = Fraction((len(times) - 1) / float(times[-1] - times[0])).limit_denominator(1000)
        exact = _EXACT if encoder == "libx264" else {}
        stream = file.add_stream(encoder, rate=rate, options={"preset": "medium", "threads": "1", **exact})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.bit_rate = int(bits)
        context = stream.codec_context
        context.time_base = CLOCK
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        for time, pixels in zip(times - times[0], frames, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709, dst_color_range=_LIMITED)
            frame.pts, frame.time_base = round(float(time) / CLOCK), CLOCK
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return memory.getvalue()


def decode(data: bytes) -> tuple[Float[np.ndarray, " T"], UInt8[np.ndarray, "T H W 3"]]:
    """Time stamps s, from 0, and RGB pictures of an mp4's bytes."""
    import av

    times, frames = [], []
    with av.open(io.BytesIO(data), "r") as file:
        for frame in file.decode(video=0):
            assert frame.time is not None
            times.append(frame.time)
            frames.append(frame.to_ndarray(format="rgb24"))
    return np.array(times) - times[0], np.stack(frames)


__all__ = ["decode", "encode"]
