"""benchmarks.recording: its films are as long as it says and move, and bad counts are one line."""

from __future__ import annotations

import numpy as np

from benchmarks import recording
from o2t_jax.data.recorded.film import Film


def test_a_long_film_is_drawn_bit_by_bit_and_moves(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "AT_ONCE", 3)
    for frames, name in ((7, "throw.mp4"), (101, "swing.mp4")):
        recording.write_film(tmp_path / name, frames)
    times, pictures = zip(*Film(tmp_path / "throw.mp4").colours(), strict=True)
    assert len(times) == 7 and pictures[0].shape == (450, 800, 3)
    assert np.abs(pictures[0].astype(float) - pictures[-1]).max() > 60
    assert sum(1 for _ in Film(tmp_path / "swing.mp4").frames()) == 101


def test_a_film_of_no_frames_is_one_line(capsys):
    assert recording.main(["--frames=0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
