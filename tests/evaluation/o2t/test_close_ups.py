"""Close-ups: where their cameras are, how well a ball is measured in them, and the resulting law."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import close_ups
from o2t_jax.evaluation.o2t.bundle_adjustment import fly
from o2t_jax.evaluation.o2t.refined_law import Paths
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.models.o2t import law_finetune
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import RAMP
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from o2t_jax.systems import o2t_close_ups
from o2t_jax.systems.o2t_sights import O2TSights
from tests.defaults import o2t_model

LAW = np.array([9.4, 3.0])
SIZE = 256
LENS = intrinsics_for(SIZE, SIZE)


class Dark(nn.Module):
    """A tower that marks all that is darker than sky and ground, so that no training is needed."""

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        return 40.0 * (0.7 - pictures.max(axis=-1))


@pytest.fixture(scope="module")
def renderer():
    return SceneRenderer(get_scene("room"), Gravity.hyperbolic(*LAW))


@pytest.fixture(scope="module")
def surveyed(renderer) -> tuple[Any, Any]:
    """What a survey would know of 9 free flights of the room: states wrong by millimetres."""
    rng, rows = np.random.default_rng(5), []
    for seed in range(40):
        setup = renderer.setup(seed)
        for ball in range(2):
            state = np.concatenate([setup.position[ball], setup.velocity[ball]])
            times = np.linspace(0.0, 1.4, 29)
            z = fly(state[None], "hyperbolic", LAW, times[None])[0, :, 2]
            last = times[(z > setup.radius[ball] + 0.3).cumprod().astype(bool)][-1]
            if setup.kind[ball] != RAMP and last >= 0.8 and setup.radius[ball] > 0.25 and len(rows) < 9:
                rows.append((seed, setup.radius[ball], state, last))
    setup_seed, radius, state, last = (np.stack(column) for column in zip(*rows, strict=True))
    count = len(rows)
    state = state + np.concatenate([rng.normal(0, 2e-3, (count, 3)), rng.normal(0, 4e-3, (count, 3))], axis=1)
    numbers = 2 * np.arange(count)  # of the survey's flights some were not used
    paths = Paths(numbers, state, np.zeros(count), np.full(count, 0.05), last)
    survey = SimpleNamespace(paths=paths, fit=SimpleNamespace(form="hyperbolic", values=LAW))
    flight = np.repeat(np.arange(2 * count), 3)
    windows = SimpleNamespace(flight=flight, setup_seed=setup_seed[flight // 2], radius=1.03 * radius[flight // 2])
    return windows, survey


def test_cameras_stand_close_above_the_ground_and_look_at_the_ball(surveyed):
    windows, survey = surveyed
    planned = close_ups.plan_close_ups(windows, survey, 9 * 8 + 7, size=SIZE)
    assert len(planned.flight) == 9 * 8 and set(planned.flight) == set(survey.paths.flight)
    place, view = planned.para[:, 1:4], world_to_camera(planned.para[:, 4], planned.para[:, 5])
    distance = np.linalg.norm(planned.position - place, axis=1)
    assert place[:, 2].min() >= close_ups.LOWEST_M - 1e-9 and distance.min() >= close_ups.NEAREST_M - 1e-9
    pixels, depth = project(planned.position, place, view, LENS)
    np.testing.assert_allclose(pixels, 0.5 * SIZE, atol=0.7)
    reach = LENS.focal * planned.radius / distance
    assert depth.min() > 0 and reach.max() < 0.4 * SIZE
    assert np.all((reach / planned.factor > 4.9) & (reach / planned.factor < 10)), "the size that the tower knows"
    assert np.all(planned.para[:, 5] <= close_ups.ELEVATION_DEG[1] + 0.2)
    for flight, first, last in zip(survey.paths.flight, survey.paths.first, survey.paths.last, strict=True):
        times = planned.para[planned.flight == flight, 0]
        assert times.min() == pytest.approx(first) and times.max() == pytest.approx(last)
    # A flight's cameras keep their bearings and, where the ground permits, their elevation; a moment's two look across.
    away = planned.position - place
    bearing = np.arctan2(away[:, 1], away[:, 0]).reshape(9, 4, 2)
    np.testing.assert_allclose(np.cos(bearing - bearing[:, :1]), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.cos(bearing[..., 0] - bearing[..., 1]), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.ptp((away[:, 2] / distance).reshape(9, 8), axis=1), 0.0, atol=1e-9)
    again, other = (close_ups.plan_close_ups(windows, survey, 9 * 8 + 7, seed=seed, size=SIZE) for seed in (0, 1))
    np.testing.assert_array_equal(planned.para, again.para)
    assert not np.allclose(planned.para[:, 4], other.para[:, 4])


def test_no_more_pictures_than_asked_for_and_the_most_informative_flights(surveyed):
    windows, survey = surveyed
    few = close_ups.plan_close_ups(windows, survey, 47)
    assert len(few.flight) == 40 and len(set(few.flight)) == 5
    assert len(close_ups.plan_close_ups(windows, survey, 10_000).flight) == 9 * 4 * close_ups.MOST_CAMERAS
    with pytest.raises(UsageError, match="15 close-ups of 9 flights are too few"):
        close_ups.plan_close_ups(windows, survey, 15)
    # Long ones, and both high and low.
    span, height = np.array([1.0, 1.0, 0.4, 1.0, 1.2]), np.array([2.0, 6.0, 2.0, 14.0, 14.0])
    np.testing.assert_array_equal(close_ups.most_informative(span, height, 3), [0, 3, 4])
    np.testing.assert_array_equal(close_ups.most_informative(span, height, 2), [0, 4])


@pytest.fixture(scope="module")
def measured(surveyed, renderer):
    windows, survey = surveyed
    planned = close_ups.plan_close_ups(windows, survey, 8 * 9, size=SIZE)
    model = o2t_model(camera_size=1024, tower_type=Dark)
    return planned, close_ups.measure_close_ups(O2TSights(model, {}), renderer, planned, workers=2)


def test_a_ball_is_measured_to_hundredths_of_a_pixel(measured, renderer):
    planned, sightings = measured
    assert sightings.seen.mean() > 0.9
    truth = np.empty_like(planned.position)
    for i, (seed, t) in enumerate(zip(planned.setup_seed, planned.para[:, 0], strict=True)):
        places, _, _ = renderer.truth(int(seed), np.array([t]))
        truth[i] = places[0, np.argmin(np.linalg.norm(places[0] - planned.position[i], axis=-1))]
    rotation = world_to_camera(planned.para[:, 4], planned.para[:, 5])
    expected, _ = project(truth, planned.para[:, 1:4], rotation, LENS)
    miss = sightings.pixels - expected
    # Three in a hundred show something beside the ball that this tower cannot distinguish from it.
    assert np.quantile(np.abs(miss[:, 0]), 0.95) < 0.01
    # Downwards all have the same offset, from the bright upper rim. A flight's moments share it, so it cancels.
    down = miss[:, 1].reshape(9, -1)
    assert 0.0 < np.median(down) < 0.06
    assert np.median(np.ptp(down, axis=1)) < 0.01


def test_the_law_from_close_ups(measured):
    planned, sightings = measured
    found = close_ups.refine_close_ups(planned, sightings)
    error = found.fit.values - LAW
    assert np.all(np.abs(error) < 3.0 * np.sqrt(np.diag(found.covariance)))
    assert abs(error[1]) < 0.02 and found.half_width[1] < 0.02 and found.noise_mm < 0.05
    assert found.record()["noise_mm"] == found.noise_mm


def test_a_hidden_ball_does_not_count(surveyed, renderer):
    windows, survey = surveyed
    planned = close_ups.plan_close_ups(windows, survey, 16, size=SIZE)

    class Hiding:
        def render(self, seed, times, angles, positions, size):
            pictures = renderer.render(seed, times, angles, positions, size)
            pictures[0, :, size[1] // 2 :] = [235, 240, 247]  # half of it
            pictures[3] = [235, 240, 247]
            return pictures

    network = O2TSights(o2t_model(camera_size=1024, tower_type=Dark), {})
    sightings = close_ups.measure_close_ups(network, Hiding(), planned)
    assert sightings.seen.tolist() == 2 * [False, True, True, False, True, True, True, True]


def test_pictures_are_made_only_a_few_ahead():
    from concurrent.futures import ThreadPoolExecutor

    started: list[int] = []

    def make(item: int) -> int:
        started.append(item)
        return -item

    with ThreadPoolExecutor(1) as pool:
        values = close_ups._ahead(pool, make, list(range(9)), 2)
        assert next(values) == 0 and next(values) == -1 and len(started) <= 4
        assert list(values) == [-2, -3, -4, -5, -6, -7, -8]


def test_the_law_phase_finds_the_law_from_close_ups_and_moves_nothing_else(measured, monkeypatch):
    monkeypatch.setattr(law_finetune, "ITERATIONS", 15)
    planned, sightings = measured
    model = phys.PhysLayer(48, 0.02, 4, 1)
    visited = phys.height_counts(np.linspace(0.5, 8.0, 40), np.ones(40))
    args = jnp.zeros((1, 48)), jnp.zeros(1, jnp.int32), visited
    layer = model.init(jax.random.PRNGKey(0), *args)["params"]
    rays = o2t_close_ups.flight_rays(planned, sightings)
    assert len(rays.dt) >= 6 and rays.moments == (9, 11)
    found, losses = law_finetune.train_law(layer, visited, rays)
    assert losses[-1] < 0.1 * losses[0]
    z = np.linspace(1.0, 8.0, 15)
    law = phys.LawParams(*(found[name] for name in law_finetune.LAW))
    truth = LAW[0] + LAW[1] / (z + 10.0)
    assert np.abs(phys.learned_gravity(law, jnp.asarray(z), visited) - truth).mean() < 0.01, "from g = 0"
    for kept, given in zip(jax.tree.leaves(found["nn_branch"]), jax.tree.leaves(layer["nn_branch"]), strict=True):
        np.testing.assert_array_equal(kept, given)


def test_a_camera_that_missed_a_moment_is_left_out_of_its_flight(measured):
    planned, sightings = measured
    whole = o2t_close_ups.flight_rays(planned, sightings._replace(seen=np.ones(len(sightings.seen), bool)))
    first = np.flatnonzero(planned.flight == planned.flight[0])[0]
    seen = np.ones(len(sightings.seen), bool)
    seen[first] = False
    less = o2t_close_ups.flight_rays(planned, sightings._replace(seen=seen))
    assert len(less.dt) == len(whole.dt) - 1, "one camera of two determines no place"
    with pytest.raises(UsageError, match="more --zooms"):
        o2t_close_ups.flight_rays(planned, sightings._replace(seen=np.zeros(len(seen), bool)))


def test_rays_meet_where_they_cross():
    rng = np.random.default_rng(0)
    point, origin = rng.normal(size=(5, 1, 3)), rng.normal(size=(5, 3, 3)) * 4.0
    direction = (point - origin) / np.linalg.norm(point - origin, axis=-1, keepdims=True)
    weight = np.array([[1.0, 1, 1], [1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]])
    direction[1, 2] = direction[1, 1]  # of no weight, so of no effect
    met, miss = o2t_close_ups.rays_meet(origin, direction, weight)
    np.testing.assert_allclose(met[:3], point[:3, 0], atol=1e-9)
    np.testing.assert_allclose(miss, 0.0, atol=1e-9)
    shifted = origin[:1, :2] + [[[0, 0, 0.1], [0, 0, 0]]]
    aside, miss = o2t_close_ups.rays_meet(shifted, direction[:1, :2], weight[:1, :2])
    assert 0.0 < miss[0] <= 0.1 and np.linalg.norm(aside - point[0]) < 0.5
