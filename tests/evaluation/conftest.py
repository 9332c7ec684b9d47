"""Held-out sets of drawn discs: their motion is known, so every measure has a known value."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from o2t_jax.evaluation.o2t.heldout import collect, silhouettes
from o2t_jax.geometry.para import FUTURE

SIZE = 64
BALL = np.array([40.0, 60.0, 70.0])
_FINE = 16


def coverage_of(centre, radius=6.0, size=SIZE):
    """Share of each pixel that a disc covers, [size, size, 1]; pixel centres lie at +0.5."""
    share = np.zeros((size, size, 1))
    left, top = (max(int(c - radius) - 1, 0) for c in centre)
    right, bottom = (min(int(c + radius) + 2, size) for c in centre)
    if right > left and bottom > top:
        v = (np.arange(top * _FINE, bottom * _FINE) + 0.5)[:, None] / _FINE
        u = (np.arange(left * _FINE, right * _FINE) + 0.5) / _FINE
        inside = (np.hypot(u - centre[0], v - centre[1]) < radius).astype(np.float64)
        blocks = inside.reshape(bottom - top, _FINE, right - left, _FINE)
        share[top:bottom, left:right, 0] = blocks.mean(axis=(1, 3))
    return share


def draw(centres, background, radius=6.0, colours=(BALL,)):
    picture = np.asarray(background, np.float64)
    for centre, colour in zip(centres, colours, strict=True):
        share = coverage_of(centre, radius)
        picture = (1 - share) * picture + share * colour
    return np.round(picture).astype(np.uint8)


def see_sphere(position, radius, para, scene, size=SIZE):
    """A flat-coloured sphere as the camera of `para` sees it, with soft edges, over `scene` [size, size, 3]."""
    fine = silhouettes(np.array([position]), np.array([radius]), np.array([True]), para, (size * 8, size * 8)) > 0
    share = fine.reshape(size, 8, size, 8).mean(axis=(1, 3))[..., None]
    return np.round((1 - share) * scene + share * BALL).astype(np.uint8)


@pytest.fixture(scope="session")
def discs():
    """The drawing functions of this file: a fixture, so that no test file has to import another."""
    return SimpleNamespace(
        BALL=BALL, SIZE=SIZE, draw=draw, sample=sample, held_out_of=held_out_of, see_sphere=see_sphere
    )


@pytest.fixture(scope="session")
def flat():
    return np.full((SIZE, SIZE, 3), 235.0)


@pytest.fixture(scope="session")
def striped(flat):
    scene = flat.copy()
    cv2.line(scene, (0, 50), (63, 40), (150.0, 150.0, 150.0), 1)
    cv2.line(scene, (20, 0), (10, 63), (180.0, 190.0, 150.0), 2)
    return scene


def sample(start, velocity, acceleration, k, n, scene, mode=FUTURE, colours=(BALL,), spare=(-4.0, 24.0)):
    """One held-out sample seen by three equal cameras; px, px a step, px a step^2, for each ball [K, 2]."""
    start, velocity, acceleration = (np.atleast_2d(np.asarray(x, np.float64)) for x in (start, velocity, acceleration))

    def at(step):
        return draw(start + velocity * step + 0.5 * acceleration * step**2, scene, colours=colours)

    others = np.stack([at(step) for step in spare])
    return {
        "pictures": np.stack([at(0), at(0), at(k), at(k), at(n)]),
        "para": np.zeros((5, 6), np.float32),
        "k": np.int32(k),
        "n": np.int32(n),
        "mode": np.int32(mode),
        "reference": others,
        "left_reference": others,
    }


def held_out_of(*samples):
    return collect({key: np.stack([s[key] for s in samples]) for key in samples[0]})


@pytest.fixture(scope="session")
def straight(flat):
    """A ball at constant speed: 4 px right and 2 px up a step, seen at 0 and 4, asked for at 8."""
    return held_out_of(sample((14.5, 50.5), (4, -2), (0, 0), 4, 8, flat, spare=(-9, 20)))
