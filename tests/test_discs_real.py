"""The pipeline on films: on rendered ones, and on the two of real pucks where O2T_DATA names their folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from o2t_jax import media
from o2t_jax.commands import discs
from tests.disc_recordings import RATE, Collision, clock, draw_film, noise

FOLDER = os.environ.get("O2T_DATA", "")
BLUR = 4  # pictures that one frame is the mean of
OPEN = 0.8  # of the time between frames, in which they lie


def findings(capsys, film: Path, *more: str) -> dict:
    assert discs.main([f"--infer={film}", f"--fps={RATE}", "--json=-", *more]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_rendered_film_with_blur_and_shake_comes_back(tmp_path, capsys, seed):
    rng = np.random.default_rng(seed)
    ratio, offset = float(np.exp(rng.uniform(-0.2, 0.2))), float(rng.uniform(-0.5, 0.5))
    truth = Collision(ratio, 0.92, 1000.0, 650.0, offset, radius=8.6, at=(90.0, 50.0))
    times = clock(28, 45, rng.uniform(0, 1))
    shake = noise(rng, (len(times), 2), 0.08, 0.7)
    pictures = [
        draw_film(truth.places(times + OPEN * k / BLUR / RATE), 8.6, (110, 240), shake).astype(float)
        for k in range(BLUR)
    ]
    film = tmp_path / "film.mp4"
    film.write_bytes(media.mp4(np.mean(pictures, axis=0).astype(np.uint8), 30.0))
    told = findings(capsys, film)["parameters"]
    assert told["mass_ratio"]["low"] <= ratio <= told["mass_ratio"]["high"]
    assert told["mass_ratio"]["value"] == pytest.approx(ratio, rel=0.015)
    assert told["restitution"]["value"] == pytest.approx(0.92, abs=0.01)


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="O2T_DATA names no folder with the recordings")
@pytest.mark.parametrize("name", ["head_on", "oblique"])
def test_pucks_that_look_equal_are_equal(capsys, name):
    found = findings(capsys, Path(FOLDER) / "video" / "discs" / f"{name}.mp4")
    ratio, restitution = (found["parameters"][key] for key in ("mass_ratio", "restitution"))
    assert ratio["low"] <= 1 <= ratio["high"] and (ratio["high"] - ratio["low"]) / ratio["value"] <= 0.15
    assert 0.8 < restitution["low"] < restitution["high"] < 1
    assert len(found["encounters"]) == 1
