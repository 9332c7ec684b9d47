"""The recordings themselves, where the environment variable O2T_DATA names their folder."""

from __future__ import annotations

import os

import numpy as np
import pytest

from o2t_jax.data.recorded import load
from o2t_jax.data.recorded.windows import cut_windows

FOLDER = os.environ.get("O2T_DATA", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="O2T_DATA names no folder with the recordings")


@pytest.mark.parametrize(
    ("name", "tracks", "rows"),
    [
        ("spring", 1, 870),
        ("coupled_springs", 1, 495),
        ("pendulum", 1, 556),
        ("double_pendulum", 2, 1520),
        ("pendulum_lengths", 2, 1133),
        ("ball_drops", 22, 1064),
        ("ibm_double_pendulum", 8, 142431),
    ],
)
def test_every_row_is_read(name, tracks, rows):
    recording = load(name, FOLDER)
    assert len(recording.tracks) == tracks
    assert sum(len(track.times) for track in recording.tracks) == rows
    for track in recording.tracks:
        assert np.median(np.diff(track.times)) == pytest.approx(recording.step, rel=0.02)


def test_velocities_belong_to_their_positions():
    for name, least in (("spring", 0.99), ("coupled_springs", 0.98), ("pendulum", 0.99), ("double_pendulum", 0.98)):
        recording = load(name, FOLDER)
        windows = cut_windows(recording, 6, hop=1)["train"]["states"].astype(float)
        count = len(recording.layout.positions)
        steps = (windows[:, 4, :count] - windows[:, 2, :count]) / (2 * recording.step)
        for i in range(count):
            assert np.corrcoef(steps[:, i], windows[:, 3, count + i])[0, 1] > least, (name, i)


def test_all_but_the_volleyball_have_a_mass():
    masses = {track.name.rsplit(" ", 1)[0]: "mass" in track.values for track in load("ball_drops", FOLDER).tracks}
    assert len(masses) == 11
    assert [name for name, known in masses.items() if not known] == ["Volleyball"]
