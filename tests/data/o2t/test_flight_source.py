"""FlightSource: windows that are bytes of the full pictures, samples that depend on their index alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from o2t_jax.caching import SharedCache
from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.flight_source import FlightSource
from o2t_jax.data.o2t.sample import for_process, held_out_samples, spec_for
from o2t_jax.data.o2t.sample_pipeline import sample_pipeline
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import DIS, FUTURE, LEFT_1, LEFT_2, NUM_PICTURES, TARGET, VIEW
from o2t_jax.physics.gravity import Gravity
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from tests.defaults import buffer_config, flight_config

CONFIG = flight_config(camera_size=384, survey_times=7, samples_per_setup=6, setups_at_once=2, window_jitter=3)
SIZE = 48
CURRICULUM = Curriculum.scaled(400, CONFIG.n_max)
LATE = CURRICULUM.at(390)


class Counting(SceneRenderer):
    """Counts its pictures; keeps its truth."""

    pictures = 0

    def render(self, *arguments):
        out = super().render(*arguments)
        self.pictures += len(out)
        return out


def source(config=CONFIG, seed=3):
    scene = get_scene("fall")
    renderer = Counting(scene, Gravity.hyperbolic(9.3, 8.0))
    return FlightSource(renderer, scene, config, seed, image_size=(SIZE, SIZE), max_attempts=50)


@pytest.fixture(scope="module")
def shared():
    return source()


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("mode", [DIS, VIEW, FUTURE])
def test_windows_are_bytes_of_the_full_pictures(shared, mode):
    mix = ModeMix.only(mode, 24 if mode == FUTURE else None)
    for index in range(4):
        sample = shared("train", index, mix)
        survey, shot = shared.survey("train", shared.setup_of(index), sample.rejects), sample.shot
        u0, v0 = sample.window.T.astype(int)
        assert survey.setup_seed == sample.setup_seed
        for i in range(NUM_PICTURES):
            (moment,) = np.flatnonzero(survey.times == shot.times[i])
            count = len(survey.times)
            angles, place = np.tile(shot.angles[i], (count, 1)), np.tile(shot.positions[i], (count, 1))
            full = shared.renderer.render(survey.setup_seed, survey.times, angles, place, (384, 384))
            part = slice(v0[i], v0[i] + SIZE), slice(u0[i], u0[i] + SIZE)
            np.testing.assert_array_equal(sample.pictures[i], full[moment][part])
            np.testing.assert_array_equal(sample.backgrounds[i], np.sort(full, axis=0)[(count - 1) // 2][part])


def test_elements_keep_the_interface(shared):
    for index, mode in enumerate([DIS, VIEW, FUTURE]):
        element = shared("test", index, ModeMix.only(mode, 24)).arrays()
        for name, (shape, dtype) in spec_for((SIZE, SIZE), windows=True).items():
            assert element[name].shape == shape and element[name].dtype == dtype
        para, k, n = element["para"], int(element["k"]), int(element["n"])
        assert element["mode"] == mode and CONFIG.k_min <= k <= CONFIG.k_max
        np.testing.assert_allclose(para[:, 0], np.array([0, 0, k, k, n]) * CONFIG.dt, atol=1e-5)
        np.testing.assert_array_equal(para[LEFT_1, 1:], para[LEFT_2, 1:])
        assert para[LEFT_1, 1] == 0 and para[LEFT_1, 2] == 0 and para[LEFT_1, 4] == 0
        if mode == DIS:
            np.testing.assert_array_equal(element["pictures"][TARGET], element["pictures"][LEFT_1])
            np.testing.assert_array_equal(element["window"][TARGET], element["window"][LEFT_1])
        if mode == VIEW:
            assert np.linalg.norm(para[TARGET, 1:4] - para[:2, 1:4], axis=1).min() > 1.0
        if mode == FUTURE:
            assert k < n <= CONFIG.n_max


def test_the_ball_is_where_truth_puts_it_in_the_window(shared):
    asked = [(ModeMix.only(VIEW), range(6)), (ModeMix.only(FUTURE, 24), range(6, 12))]
    batch, truth, rejects = held_out_samples(shared, asked, references=True)
    assert rejects.shape == (12,) and batch["reference"].shape == (12, 3, SIZE, SIZE, 3)
    offsets = []
    for i in range(12):
        for picture in range(5):
            away = (
                np.abs(batch["pictures"][i, picture].astype(int) - batch["backgrounds"][i, picture]).max(axis=-1) > 12
            )
            rows, columns = np.nonzero(away)
            centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
            np.testing.assert_allclose(centre, truth.centroid[i, picture, 0], atol=0.4)
            assert rows.min() > 0 and columns.min() > 0 and rows.max() < SIZE - 1 and columns.max() < SIZE - 1
            offsets.append(centre - 0.5 * SIZE)
    assert np.abs(offsets).max() < CONFIG.window_jitter + 0.6
    assert np.std(offsets) > 1.0


def test_a_sample_depends_on_its_index_alone():
    one, other = source(), source()
    order = [5, 0, 9, 3, 14, 0]
    with ThreadPoolExecutor(6) as pool:
        many = dict(zip(order, pool.map(lambda i: one("train", i, LATE).arrays(), order), strict=True))
    for index in sorted(many):
        assert same(many[index], other("train", index, LATE).arrays())
    # Indices 0..11 share two setups, 14 has a third: none was rendered twice, whatever the threads asked for.
    assert one.renderer.pictures == other.renderer.pictures <= 5 * 4 * CONFIG.survey_times
    elsewhere = for_process(one, 1)
    assert not same(elsewhere("train", 0, LATE).arrays(), many[0])
    assert same(elsewhere("test", 0, LATE).arrays(), one("test", 0, LATE).arrays())
    assert not same(one("test", 0, LATE).arrays(), one("train", 0, LATE).arrays())


def test_a_fixed_number_of_setups_is_used_for_ever():
    few = source(flight_config(camera_size=384, survey_times=7, num_setups=2, samples_per_setup=3, setups_at_once=2))
    assert [few.setup_of(i) for i in range(14)] == [0, 1] * 7
    elements = [few("train", i, ModeMix.only(VIEW)).arrays() for i in (0, 600, 60_000)]
    rendered = few.renderer.pictures
    assert not same(elements[0], elements[1]) and not same(elements[1], elements[2])
    few("train", 6_000_000, ModeMix.only(VIEW))
    assert few.renderer.pictures == rendered


def test_setups_alternate_and_then_change(shared):
    assert [shared.setup_of(i) for i in (0, 1, 2, 11, 12, 13, 24)] == [0, 1, 0, 1, 2, 3, 4]


def test_all_windows_of_all_flights(shared):
    windows = shared.windows("train", range(3))
    count = len(windows.pictures)
    assert all(len(field) == count for field in windows) and set(windows.flight) == set(range(max(windows.flight) + 1))
    assert windows.para.shape == (count, 6) and windows.pictures.shape == (count, SIZE, SIZE, 3)
    for i in range(0, count, 7):
        position, visible, radius = shared.renderer.truth(int(windows.setup_seed[i]), windows.para[i, :1])
        assert visible.all() and np.linalg.norm(position[0, 0] - windows.position[i]) < 0.05
        assert windows.radius[i] == pytest.approx(radius[0], rel=0.05)
    assert set(windows.camera) <= {0, 1, 2, 3}


def test_batches_do_not_depend_on_the_workers():
    runs = []
    for workers in (1, 4):
        buffer = buffer_config(12, 8, 4, reuse=2.0, render_workers=workers)
        with sample_pipeline(source(), CURRICULUM, buffer) as batches:
            runs.append([next(batches)["backgrounds"] for _ in range(4)])
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_value_is_made_once_and_errors_are_not_kept():
    cache: SharedCache[int] = SharedCache(2)
    made, gate = [], threading.Event()

    def slow():
        gate.wait(5.0)
        made.append(1)
        return 7

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(cache.get, "a", slow) for _ in range(4)]
        gate.set()
        assert [w.result() for w in waiting] == [7] * 4 and len(made) == 1
    with pytest.raises(ZeroDivisionError):
        cache.get("b", lambda: 1 // 0)
    assert cache.get("b", lambda: 2) == 2 and cache.get("c", lambda: 3) == 3
    assert cache.get("a", lambda: 8) == 8  # the least recently used one went


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"camera_size": 4}, "camera_size=4"),
        ({"min_times": 3}, "min_times=3"),
        ({"dt": float("nan")}, "dt=nan"),
        ({"survey_stride": 40}, "survey_stride=40"),
        ({"n_max": 12}, "n_max=12"),
        ({"survey_times": 4, "survey_stride": 1}, "survey_times=4"),
        ({"min_turn": 100.0, "max_turn": 90.0}, "max_turn=90.0"),
        ({"num_setups": -1}, "num_setups=-1"),
    ],
)
def test_bad_configs_are_refused_in_one_line(changes, names):
    with pytest.raises(UsageError) as error:
        flight_config(**changes)
    assert names in str(error.value) and "\n" not in str(error.value)


def test_bad_sources_are_refused():
    scene = get_scene("fall")
    renderer = SceneRenderer(scene, Gravity.constant(9.8))
    with pytest.raises(UsageError, match="'ballistic' has no rig"):
        FlightSource(renderer, get_scene("ballistic"), CONFIG, 0, image_size=(48, 48), max_attempts=1)
    with pytest.raises(UsageError, match="lower survey_times to 11"):
        long = flight_config(survey_times=20)
        FlightSource(renderer, scene, long, 0, image_size=(48, 48), max_attempts=1)
    with pytest.raises(UsageError, match="render_size=48x64"):
        FlightSource(renderer, scene, CONFIG, 0, image_size=(48, 64), max_attempts=1)
    with pytest.raises(UsageError, match="no flight for sample 0"):
        tiny = flight_config(camera_size=64, survey_times=7)
        FlightSource(renderer, scene, tiny, 0, image_size=(16, 16), max_attempts=1)("train", 0, LATE)
