"""Files of pictures and films decode to the pictures that were encoded."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image

from o2t_jax import media


def waves(count: int, height: int, width: int) -> np.ndarray:
    """Smooth moving pictures, uint8 [T, H, W, 3]; no two frames are equal."""
    t, y, x = np.mgrid[0:count, 0:height, 0:width].astype(float)
    channels = [np.sin(x / 9 + t / 3 + c) * np.cos(y / 7 - t / 4) for c in range(3)]
    return (127.0 + 120.0 * np.stack(channels, axis=-1)).astype(np.uint8)


def decoded(data: bytes) -> tuple[np.ndarray, float]:
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        rate = len(list(file.decode(stream))) / float(stream.duration * stream.time_base)
    with av.open(io.BytesIO(data)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]), rate


@pytest.mark.parametrize("shape", [(5, 64, 64), (3, 33, 47), (1, 20, 30), (12, 7, 200)])
def test_a_film_opens_again_with_the_same_pictures(shape):
    frames = waves(*shape)
    data, kind = media.film(frames, 12.5)
    assert kind == "mp4" and data.index(b"moov") < data.index(b"mdat"), "a browser starts before the file's end"
    shown, rate = decoded(data)
    count, height, width = shape
    assert len(shown) == count and rate == pytest.approx(12.5, rel=0.01)
    assert all(side % 2 == 0 and side >= given for side, given in zip(shown.shape[1:3], (height, width), strict=True))
    assert np.abs(shown[:, :height, :width].astype(int) - frames).mean() < 6.0


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 200, 0), (30, 60, 200), (255, 255, 255), (0, 0, 0)])
def test_a_films_colours_are_those_given(colour):
    shown, _ = decoded(media.film(np.full((3, 32, 32, 3), colour, np.uint8), 10)[0])
    np.testing.assert_allclose(shown[1, 5, 5], colour, atol=3)


def test_without_an_h264_encoder_a_film_is_a_gif(monkeypatch):
    monkeypatch.setattr(media, "H264_ENCODERS", ("no_such_encoder",))
    frames = waves(6, 33, 47)
    data, kind = media.film(frames, 12.5)
    assert kind == "gif"
    with Image.open(io.BytesIO(data)) as file:
        assert (file.n_frames, file.size, file.info["duration"], file.info["loop"]) == (6, (47, 33), 80, 0)
        for index, frame in enumerate(frames):
            file.seek(index)
            assert np.abs(np.asarray(file.convert("RGB")).astype(int) - frame).mean() < 8.0


def test_an_encoder_that_does_not_start_is_passed_over(monkeypatch):
    start = media.mp4
    monkeypatch.setattr(media, "H264_ENCODERS", ("lame", "libx264"))

    def mp4(frames, fps, encoder):
        if encoder == "lame":
            raise av.error.ExternalError(1, "does not start")
        return start(frames, fps, encoder)

    monkeypatch.setattr(media, "mp4", mp4)
    assert media.film(waves(2, 32, 32), 10)[1] == "mp4"


def test_a_wrong_array_is_no_reason_for_a_gif():
    with pytest.raises(Exception, match=r"uint8|shape|dtype|Expected"):
        media.film(np.zeros((2, 32, 32, 3)), 10)


def test_a_png_is_lossless():
    pixels = waves(1, 9, 13)[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(media.png(pixels)))), pixels)


def test_small_pictures_are_enlarged_by_whole_factors():
    pixels = waves(1, 30, 20)[0]
    large = media.enlarged(pixels, 64)
    assert large.shape == (90, 60, 3) and np.array_equal(large[1::3, 1::3], pixels)
    assert media.enlarged(pixels, 30) is not None and media.enlarged(pixels, 30).shape == pixels.shape
