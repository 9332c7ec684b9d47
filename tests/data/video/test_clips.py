"""Clips: pure functions of their numbers, pictures of what the state says; digits from files."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

from o2t_jax.data.records import write_set
from o2t_jax.data.stored import open_set
from o2t_jax.data.video.clips import SIZES, Clips
from o2t_jax.data.video.digits import EDGE, MovingDigits, load_digits
from o2t_jax.errors import UsageError
from o2t_jax.physics.video import SETS, get_set

PLAIN = ("bouncing_balls", "multi_ball", "projectile")


def squares(count=3):
    """Digits of a kind: bright squares."""
    pictures = np.zeros((count, EDGE, EDGE), np.uint8)
    pictures[:, 9:19, 9:19] = 200
    return pictures


def all_sets():
    return [*(get_set(name) for name in SETS), MovingDigits(squares())]


@pytest.mark.parametrize("video", all_sets(), ids=lambda video: video.name)
def test_a_clip_is_a_function_of_its_numbers(video) -> None:
    clips = Clips(video, seed=5, frames=4, size=32)
    many, one = clips.batch("train", np.arange(3)), clips.batch("train", np.array([2]))
    assert many["pictures"].shape == (3, 4, 32, 32) and many["pictures"].dtype == np.uint8
    for name in ("pictures", "states", "places", "constant"):
        np.testing.assert_array_equal(many[name][2], one[name][0])
        if name != "states" and name != "places":
            assert not np.array_equal(many[name][0], many[name][1])
    assert not np.array_equal(clips.batch("test", np.array([2]))["pictures"], one["pictures"])
    assert many["pictures"].max() > 100 and not np.array_equal(many["pictures"][:, 0], many["pictures"][:, 3])
    assert sum(clips.splits.values()) == video.clips


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PLAIN)
def test_the_centre_of_what_is_seen_is_that_of_the_places(name, size) -> None:
    clip = Clips(get_set(name), seed=1, frames=6, size=size).batch("train", np.arange(4))
    light = clip["pictures"].astype(float)
    axis = (np.arange(size) + 0.5) * 64 / size
    total = light.sum((2, 3))
    found = np.stack([(light.sum(2) * axis).sum(2) / total, 64 - (light.sum(3) * axis).sum(2) / total], axis=-1)
    weight = (clip["params"].radius ** 2 * clip["seen"])[:, None, :, None]
    middle = (weight * clip["places"]).sum(2) / weight.sum(2)
    np.testing.assert_allclose(found, middle, atol=0.06)
    area = np.pi * (clip["params"].radius ** 2 * clip["seen"]).sum(1) * (size / 64) ** 2
    np.testing.assert_allclose(total / 255, np.broadcast_to(area[:, None], total.shape), rtol=0.03)


def test_digits_are_reflected_and_move_straight() -> None:
    clip = Clips(MovingDigits(squares()), seed=1, frames=40, size=64).batch("train", np.arange(4))
    low, high = clip["places"].min(), clip["places"].max()
    assert low >= EDGE / 2 - 1e-3 and high <= 64 - EDGE / 2 + 1e-3
    step = np.linalg.norm(np.diff(clip["places"], axis=1), axis=-1)
    straight = np.isclose(step, clip["constant"][:, None, None], rtol=1e-3)
    assert straight.mean() > 0.6 and np.all(step <= clip["constant"][:, None, None] * 1.001)
    axis = np.arange(64) + 0.5
    light = clip["pictures"].astype(float)
    apart = np.abs(clip["places"][:, :, 0] - clip["places"][:, :, 1]).max(-1) > EDGE
    x = (light.sum(2) * axis).sum(2) / light.sum((2, 3))
    np.testing.assert_allclose(x[apart], clip["places"][..., 0].mean(2)[apart], atol=0.05)


def test_digits_from_files(tmp_path) -> None:
    pictures = squares(5)
    np.savez_compressed(tmp_path / "some.npz", labels=np.arange(5), images=pictures)
    header = struct.pack(">4I", 2051, 5, EDGE, EDGE)
    (tmp_path / "some.idx").write_bytes(header + pictures.tobytes())
    (tmp_path / "some.gz").write_bytes(gzip.compress(header + pictures.tobytes()))
    for name in ("some.npz", "some.idx", "some.gz"):
        np.testing.assert_array_equal(load_digits(str(tmp_path / name)), pictures)
    (tmp_path / "short.idx").write_bytes(header + b"123")
    np.savez(tmp_path / "other.npz", numbers=np.arange(4.0))
    for name in ("short.idx", "other.npz", "absent.npz"):
        with pytest.raises(UsageError, match=name) as caught:
            load_digits(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_a_stored_set_is_what_is_made(tmp_path) -> None:
    clips = Clips(get_set("multi_ball"), seed=2, frames=3, size=32)
    write_set(tmp_path / "set", clips, {"train": 5, "test": 2})
    with open_set(tmp_path / "set") as stored:
        read, made = stored.read("train", np.arange(5)), clips.make("train", np.arange(5))
    assert read.keys() == made.keys()
    for name in made:
        np.testing.assert_array_equal(read[name], made[name])


@pytest.mark.parametrize(("fields", "text"), [({"size": 48}, "size=48"), ({"frames": 1}, "frames=1")])
def test_bad_sizes_are_one_line(fields, text) -> None:
    with pytest.raises(UsageError, match=text):
        Clips(get_set("pendulum"), seed=0, **fields)
