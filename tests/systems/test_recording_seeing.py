"""A tower trained on one film: it sees the ball where it is, gaps of the tracker included, and says how surely."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import recording
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recordings import example
from o2t_jax.data.recordings.background import Background, find_background
from o2t_jax.data.recordings.crops import MARGIN, SIDE, cut_crops
from o2t_jax.data.recordings.tracks import Track, find_tracks, make_track
from o2t_jax.systems.recording_seeing import see_by_network
from tests.recording_films import write_film

GAP = slice(12, 15)


@pytest.fixture(scope="module")
def thrown(tmp_path_factory) -> tuple[Film, Background, Track]:
    """A film, its background, and the classical track without three of its sightings."""
    path = write_film(tmp_path_factory.mktemp("film") / "ball.gif", example.thrown_ball()[0], 50)
    film = Film(path, fps=example.FPS)
    background = find_background(film.colours())
    track = find_tracks(film.colours(), background)[0]
    rows = np.delete(np.arange(len(track.times)), np.r_[GAP])
    names = ("times", "points", "areas", "blur", "sigma", "whole")
    return film, background, dataclasses.replace(track, **{name: getattr(track, name)[rows] for name in names})


def test_crops_follow_the_track_and_bridge_its_gap(thrown):
    film, background, track = thrown
    (crops,) = cut_crops(film.colours(), background, [track])
    assert len(crops.times) == len(track.times) + 3 and crops.factor == 1
    truth = example.PX_PER_METRE * example.flight(crops.times)
    middle = np.full((len(crops.times), 2), 0.5 * (SIDE - 1))
    assert np.abs(crops.in_film(middle, np.ones(len(crops.times), bool)) - truth).max() < 2.0
    inner = np.s_[:, MARGIN + SIDE // 2, MARGIN + SIDE // 2]
    assert (crops.pictures[inner][:, 0] > 185).all() and (crops.still[inner][:, 0] < 170).all()


@pytest.mark.slow
def test_the_tower_sees_the_ball_in_every_frame(thrown):
    film, background, track = thrown
    (seen,) = see_by_network(film, background, [track])
    truth = example.PX_PER_METRE * example.flight(seen.times)
    away = seen.points - truth
    assert len(seen.times) == len(track.times) + 3 and seen.whole.mean() > 0.8
    assert np.sqrt(np.mean(away[seen.whole] ** 2)) < 0.3
    assert seen.score > 0 and seen.radius == pytest.approx(5, abs=1)


def test_a_track_s_uncertainty_is_its_jitter_times_how_rough_each_sighting_is():
    times = np.arange(20) / 60
    points = np.stack([300 * times, 200 * times**2], axis=1) + np.random.default_rng(0).normal(0, 0.1, (20, 2))
    one = np.ones(20)
    made = make_track(
        times, points, areas=80 * one, wide=2.5 * one, long=2.5 * one, cut=one > 2, rough=one + (times > 0.2)
    )
    assert made.sigma[-1] == pytest.approx(2 * made.sigma[0]) and 0.05 < made.sigma[0] < 0.2
    assert made.radius == 5 and made.whole.all()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeing=eyes", "--video=examples"], "must be one of classical, network, best"),
        (["--seeing=best", "--track=x.csv"], "needs one film"),
    ],
)
def test_a_way_of_seeing_that_is_not_there_is_one_line(arguments, line, tmp_path: Path, capsys):
    assert recording.main([*arguments, f"--out={tmp_path / 'new'}"]) == 2
    assert line in capsys.readouterr().err and not (tmp_path / "new").exists()
