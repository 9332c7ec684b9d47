"""System `recording`: what it learns from and what it must not see, its units, its law, and refusals in one line."""

from __future__ import annotations

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from o2t_jax import media
from o2t_jax.commands._config import load_config
from o2t_jax.data.recordings import example
from o2t_jax.errors import UsageError
from o2t_jax.models.recording.falling import Seen
from o2t_jax.systems.recording import Recording, build
from o2t_jax.systems.recording_law import Units, law_in, law_of


def config(**changes):
    _, found = load_config("recording/cpu:smoke")
    found.update(changes)
    return found


@functools.cache
def system() -> Recording:
    return build(config())  # type: ignore[return-value]


def test_it_learns_from_the_first_part_and_its_background_is_that_of_the_first_part():
    clip = system().clip
    batch = jax.tree.map(np.asarray, clip.batch(0, 3, 64, 3, 2))
    assert batch["times"].max() <= 1.0 + 1e-6  # the unit of time ends with the first part
    np.testing.assert_allclose(clip.times[clip.learn - 1], 1.0)
    assert np.all(np.diff(batch["times"], axis=1) > 0)
    for frames, times in zip(batch["frames"], batch["times"], strict=True):
        rows = np.searchsorted(clip.times, times - 1e-6)
        np.testing.assert_array_equal(frames, clip.frames[rows])
    np.testing.assert_array_equal(clip.still, np.median(clip.frames[: clip.learn], axis=0).round())


def test_held_out_windows_see_no_held_out_frame_and_cover_all():
    clip, made = system().clip, system()._held_out
    assert made["times"][:, :-1].max() <= 1.0 + 1e-6
    assert set(np.round(made["times"][:, -1], 5)) == set(np.round(clip.times[clip.learn :].astype(np.float32), 5))


def test_the_law_in_the_weights_has_the_film_s_units():
    units = Units(height=120, second=0.4, px_per_metre=100.0)
    down = 9.81 * 100 / 120 * 0.4**2
    found = law_in({"gravity": np.array([0.0, -down]), "drag": np.float32(0.24)}, units)
    assert found == pytest.approx({"g": 9.81, "roll_deg": 0.0, "drag": 0.2}, abs=1e-6)
    assert law_in({"gravity": np.array([0.0, -down])}, Units(120, 0.4)) == pytest.approx(
        {"g": 981.0, "roll_deg": 0.0}, abs=1e-3
    )


def test_the_interval_of_the_read_out_is_that_of_the_tower_s_own_sightings():
    units = Units(height=120, second=0.4, px_per_metre=100.0)
    times = np.arange(24) / 60
    path = example.flight(times) * (1.0, -1.0) * 100 / 120
    layer = {"gravity": np.array([0.0, -9.81 * 100 / 120 * 0.4**2])}

    def width(noise: float) -> float:
        places = path + np.random.default_rng(0).normal(0, noise, path.shape)
        seen = Seen(np.zeros(0), places[:, None], np.ones((24, 1)))
        entry = law_of(layer, seen, times / 0.4, units, {"g": 9.81})["parameters"]["g"]
        assert entry["low"] < entry["truth"] < entry["high"] and entry["value"] == pytest.approx(9.81)
        return entry["high"] - entry["low"]

    assert 3 < width(0.004) / width(0.001) < 5
    blind = Seen(np.zeros(0), path[:, None], np.zeros((24, 1)))
    assert law_of(layer, blind, times / 0.4, units, None)["parameters"]["g"]["high"] == np.inf


def test_the_classical_fit_stands_beside_it():
    assert system().fitted["g"] == pytest.approx(9.81, rel=0.02)  # type: ignore[index]
    assert system().truth() == {"g": 9.81}


def test_a_film_s_own_file_is_used_by_its_clock_and_scale(tmp_path: Path):
    frames, _ = example.thrown_ball(20)
    path = tmp_path / "ball.gif"
    path.write_bytes(media.gif(frames, 20.0))
    made = build(config(video=str(path), fps=60.0, start=2 / 60, px_per_metre=50.0, roi=(0, 20, 160, 100)))
    assert isinstance(made, Recording)
    assert made.clip.height == 100 and len(made.clip.times) == 18
    assert made.clip.second == pytest.approx((made.clip.learn - 1) / 60)
    assert made.units.length == pytest.approx(2.0) and made.truth() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"video": "nowhere.mp4"}, "nowhere.mp4"),
        ({"end": 0.5}, "set --config.video"),
        ({"share": 1.0}, "share=1 must be"),
        ({"inputs": 1}, "inputs=1 must be at least 2"),
        ({"stride": 20}, "frames are to learn from"),
        ({"px_per_metre": 1.0, "diameter": 0.1, "video": "x"}, "each fix the scale"),
        ({"start": 2.0, "end": 1.0, "video": "x"}, "end=1 must be after start=2"),
        ({"roi": (1, 2), "video": "x"}, "must be"),
        ({"huber": 0.0}, "huber=0 must be above 0"),
    ],
)
def test_bad_input_is_one_line(changes, message):
    with pytest.raises(UsageError, match=message) as found:
        build(config(**changes))
    assert "\n" not in str(found.value)
