"""System `video`: its config refuses what cannot be, in a line; what it trains and reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import generate
from o2t_jax.commands._config import load_config
from o2t_jax.data.records import write_set
from o2t_jax.data.stored import open_set
from o2t_jax.data.video.clips import SIZES
from o2t_jax.errors import UsageError
from o2t_jax.models.video.vision import SIDE
from o2t_jax.physics.video import SETS
from o2t_jax.systems import base_config, video_config
from o2t_jax.systems.base import build_system
from o2t_jax.systems.video_data import MOST_WEIGHT, VideoData


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"frames": 14}, "frames=14: a clip is shorter than context=5 plus horizon=10"),
        ({"sets": "pendulm"}, "did you mean 'pendulum'"),
        ({"sets": "pendulum:0,waves:0"}, "add up to 0"),
        ({"sets": "pendulum:2,waves:-1"}, "the weight -1 of waves"),
        ({"sets": "pendulum:many"}, "'many' of pendulum is no number"),
        ({"sets": "pendulum:nan"}, "must be a finite number"),
        ({"sets": "pendulum,pendulum"}, "named twice"),
        ({"quantiser": "emma"}, "did you mean 'ema'"),
        ({"size": 48}, "size=48 px must be one of 32, 64"),
        ({"size": 64}, "widths=(24, 48) must be 3 positive numbers"),
        ({"context": 1}, "context=1 must be at least 2"),
        ({"bright": -1.0}, "bright=-1 must not be negative"),
        ({"dataset": "pendulum/latest"}, "is of one set"),
        ({"fsq_levels": (8, 1)}, "fsq_levels=(8, 1)"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(fields, words) -> None:
    config = video_config.default()
    config.update(fields)
    with pytest.raises(UsageError) as error:
        build_system(config)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_weights_are_shares() -> None:
    assert video_config.mix_of("pendulum:3, waves") == {"pendulum": 0.75, "waves": 0.25}
    assert list(video_config.mix_of("physics")) == list(video_config.PHYSICS)
    assert video_config.mix_of("pendulum,waves:0") == {"pendulum": 1.0}


def test_a_set_of_small_balls_counts_as_much_as_one_of_large_ones() -> None:
    _, config = load_config("video/cpu:smoke")  # pendulum has two thirds of the clips
    weights = VideoData(config)._weights({"pendulum": 0.04, "projectile": 0.01})
    assert weights["projectile"] == pytest.approx(4.0 * weights["pendulum"])
    assert (2.0 * weights["pendulum"] + weights["projectile"]) / 3.0 == pytest.approx(1.0)
    wide = VideoData(config)._weights({"pendulum": 1.0, "projectile": 1e-6})
    assert wide["projectile"] == pytest.approx(MOST_WEIGHT**2 * wide["pendulum"])
    config.even = 0.0
    assert VideoData(config)._weights({"pendulum": 1.0, "projectile": 0.1}) == {"pendulum": 1.0, "projectile": 1.0}


def test_names_and_sizes_are_those_of_the_parts() -> None:
    assert set(video_config.PHYSICS) == set(SETS)
    assert video_config.SIZES == SIZES and video_config.SIDE == SIDE


def test_each_set_of_a_mix_can_be_stored_by_one_command(tmp_path, capsys) -> None:
    _, config = load_config("video/cpu:smoke")
    sources = build_system(config).sample_sources
    assert [source.name for source in sources] == ["pendulum", "projectile"]
    assert all(source.spec["pictures"].shape == (8, 32, 32) for source in sources)
    few = ["--config=video/cpu:smoke", "--train=3", "--validation=0", "--test=1"]
    assert generate.main([*few, f"--out={tmp_path / 'sets'}", f"--json={tmp_path / 'said.json'}"]) == 0
    written = json.loads((tmp_path / "said.json").read_text())["sets"]
    assert [Path(each["path"]).name for each in written] == ["pendulum", "projectile"]
    for source, each in zip(sources, written, strict=True):
        with open_set(each["path"], verify=True) as stored:
            assert stored.require(source) is stored and dict(stored.splits) == {"train": 3, "validation": 0, "test": 1}
    assert generate.main([f"--check={tmp_path / 'sets' / 'projectile'}", "--config=video/cpu:smoke"]) == 0
    assert generate.main([*few, f"--out={tmp_path / 'sets'}"]) == 2
    assert "pendulum: there is something already" in capsys.readouterr().err


def test_a_stored_set_trains_as_the_one_that_is_made(tmp_path) -> None:
    _, config = load_config("video/cpu:smoke")
    config.update({"sets": "pendulum", "clips": 6})
    system = build_system(config)
    write_set(tmp_path / "set", system.sample_sources[0], {"train": 6, "test": 1})
    made = system.data.pool()  # pyright: ignore[reportAttributeAccessIssue]
    config.dataset = str(tmp_path / "set")
    again = build_system(config)
    again.check()
    stored = again.data.pool()  # pyright: ignore[reportAttributeAccessIssue]
    for name, array in made.batch(0, 3, 4, 5).items():
        np.testing.assert_array_equal(array, stored.batch(0, 3, 4, 5)[name])
    config.frames = 9
    with pytest.raises(UsageError, match="of another kind"):
        build_system(config).check()


def test_a_preview_shows_a_clip_of_each_set() -> None:
    _, config = load_config("video/cpu:smoke")
    config.sets = "pendulum"
    frames, _ = build_system(config).preview(0, 3, 32)  # pyright: ignore[reportAttributeAccessIssue]
    assert frames.shape == (4, 32, 32, 3) and frames.max() > 200 and (frames[0] != frames[3]).any()


def test_the_configs_are_valid() -> None:
    for name in ("video/cpu", "video/cpu:fsq", "video/cpu:none", "video/original"):
        _, config = load_config(name)
        base_config.validate(config, video_config.FIELDS)
        video_config.validate(config)
