"""The project's own renderer behind the samples: pictures, PARA and truth tell one story, and little is rejected."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.data.o2t.sample import held_out_samples, outline_centroid
from o2t_jax.data.o2t.sample_pipeline import sample_pipeline
from o2t_jax.geometry.camera import intrinsics_for, world_to_camera
from o2t_jax.geometry.para import DIS, FUTURE, LEFT_1, TARGET, VIEW
from o2t_jax.physics.gravity import law_for
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from tests.defaults import acceptance_rule, buffer_config, shot_config

SIZE = 96
VIEWS = shot_config(dt=0.05, k_min=4, k_max=8, n_max=16, t1_max=0.1, stereo_gap=0.5)


def ballistic(g0=9.81, size=SIZE):
    scene = get_scene("ballistic")
    renderer = SceneRenderer(scene, law_for(g0, 0.0))
    options = {"visibility": acceptance_rule(), "max_attempts": 200}
    return PairSource(renderer, scene, VIEWS, 5, image_size=(size, size), **options)


@pytest.mark.parametrize(("mode", "n"), [(DIS, None), (VIEW, None), (FUTURE, 12)])
def test_the_ball_is_whole_and_where_truth_and_para_put_it(mode, n):
    batch, truth, _ = held_out_samples(ballistic(), [(ModeMix.only(mode, n), range(6))], references=True)
    camera = intrinsics_for(SIZE, SIZE)
    for i in range(6):
        para = batch["para"][i].astype(float)
        rotation = world_to_camera(para[:, 4], para[:, 5])[:, None]
        expected = outline_centroid(truth.position[i], truth.radius[i], para[:, None, 1:4], rotation, camera)[:, 0]
        for picture, name in ((LEFT_1, "left_reference"), (TARGET, "reference")):
            background = batch[name][i, -1].astype(int)
            rows, columns = np.nonzero(np.abs(batch["pictures"][i, picture] - background).max(axis=-1) > 40)
            found = [columns.mean() + 0.5, rows.mean() + 0.5]
            np.testing.assert_allclose(found, expected[picture], atol=0.35)
            edges = [rows.min(), columns.min(), SIZE - 1 - rows.max(), SIZE - 1 - columns.max()]
            assert min(edges) > 0


@pytest.mark.parametrize("g0", [1.62, 9.81, 24.8])
def test_the_prior_keeps_the_ball_in_sight_in_weak_and_strong_worlds(g0):
    source = ballistic(g0, size=64)
    rejects = {
        mode: np.mean([source("train", i, ModeMix.only(mode, n)).rejects for i in range(25)])
        for mode, n in [(DIS, None), (VIEW, None), (FUTURE, 10)]
    }
    assert rejects[DIS] < 0.5 and rejects[VIEW] < 0.7 and rejects[FUTURE] < 2.5, rejects


def test_batches_of_the_real_renderer_do_not_depend_on_the_workers():
    runs = []
    for workers in (1, 8):
        buffer = buffer_config(16, 12, 4, reuse=2.0, render_workers=workers)
        with sample_pipeline(ballistic(size=32), Curriculum.scaled(400, VIEWS.n_max), buffer) as batches:
            runs.append([next(batches)["pictures"] for _ in range(8)])
    np.testing.assert_array_equal(runs[0], runs[1])
