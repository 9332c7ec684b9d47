"""A world small enough to render in microseconds: one flat disc on a plain background, thrown in front of camera 1."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from tests.defaults import acceptance_rule, shot_config


class FakeWorld:
    """Renderer and scene in one. `turn` (deg) and `move` (m, x and y) place the whole world elsewhere."""

    name = "fake"
    t_max = 1.0

    def __init__(self, turn: float = 0.0, move: tuple[float, float] = (0.0, 0.0), gravity: float = 9.81) -> None:
        self.turn, self.move, self.gravity = turn, np.array([*move, 0.0]), gravity
        self.calls = 0

    def _place(self, points: np.ndarray) -> np.ndarray:
        c, s = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        return points @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) + self.move

    def view_prior(self, rng, shot_config):
        around = rng.uniform(0.0, 360.0)
        heading = np.radians(around)
        position = np.array([-4.0 * np.cos(heading), -4.0 * np.sin(heading), rng.uniform(1.5, 2.5)])
        return self._place(position), around + self.turn, 12.0 + rng.uniform(-3.0, 3.0)

    def truth(self, setup_seed, times):
        rng = np.random.default_rng(setup_seed)
        start = np.array([*rng.uniform(-0.4, 0.4, 2), rng.uniform(2.5, 3.5)])
        velocity = np.array([*rng.uniform(-1.5, 1.5, 2), rng.uniform(-2.0, 4.0)])
        t = np.asarray(times)[:, None]
        position = start + velocity * t - 0.5 * self.gravity * t**2 * np.array([0.0, 0.0, 1.0])
        radius = np.array([rng.uniform(0.25, 0.35)])
        return self._place(position)[:, None], np.ones((len(times), 1), bool), radius

    def render(self, setup_seed, times, angles, observer_positions, image_size):
        self.calls += 1
        position, _, radius = self.truth(setup_seed, times)
        camera = intrinsics_for(*image_size)
        rotation = world_to_camera(angles[:, 0], angles[:, 1])
        pixels, depth = project(position[:, 0], observer_positions, rotation, camera)
        pictures = np.full((len(times), *image_size, 3), 220, np.uint8)
        for picture, (u, v), z in zip(pictures, pixels, depth, strict=True):
            if z > 0.5:
                centre = tuple(round(16 * (x - 0.5)) for x in (u, v))
                size = round(16 * camera.focal * radius[0] / z)
                cv2.circle(picture, centre, size, (40, 90, 160), -1, cv2.LINE_AA, shift=4)
        return pictures


VIEWS = shot_config(dt=0.05, k_min=3, k_max=5, n_max=12, t1_max=0.1, stereo_gap=0.5, focus=4.0)


@pytest.fixture
def fake_world():
    return FakeWorld


@pytest.fixture
def views():
    return VIEWS


@pytest.fixture
def make_source():
    """Builds a PairSource over the fake world; keywords go to PairSource, but `world` and `views` here."""

    def make(world=None, views=VIEWS, seed=7, image_size=(32, 32), **keywords):
        world = world or FakeWorld()
        options = {"visibility": acceptance_rule(), "max_attempts": 200} | keywords
        return PairSource(world, world, views, seed, image_size=image_size, **options)

    return make
