"""A sample is a pure function of (seed, split, index, mix), in a frame of its own, and shows its ball."""

from __future__ import annotations

import dataclasses
import tempfile
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.pair_source import ATTEMPTS_PER_STEPS, PairSource
from o2t_jax.data.o2t.sample import held_out_samples, outline_centroid, spec_for, truth_of
from o2t_jax.data.o2t.sample_pipeline import sample_pipeline
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.geometry.para import DIS, FUTURE, LEFT_1, TARGET, VIEW
from tests.defaults import acceptance_rule, buffer_config, shot_config

MIXED = ModeMix((0.3, 0.3, 0.4), 1, 12)
OPTIONS = {"image_size": (32, 32), "visibility": acceptance_rule(), "max_attempts": 200}


def elements(source, split, indices, mix=MIXED):
    return [source(split, i, mix).arrays() for i in indices]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_an_element_has_the_promised_shapes_and_types(make_source):
    source = make_source(image_size=(32, 48))
    element = source("train", 3, MIXED).arrays()
    found = {key: (value.shape, value.dtype) for key, value in element.items()}
    assert found == spec_for((32, 48), windows=False)


def test_an_element_is_pure_in_any_order_and_thread(make_source):
    source = make_source()
    once = elements(source, "train", range(12))
    backwards = [make_source()("train", i, MIXED).arrays() for i in reversed(range(12))][::-1]
    with ThreadPoolExecutor(6) as pool:
        threaded = list(pool.map(lambda i: source("train", i, MIXED).arrays(), range(12)))
    for a, b, c in zip(once, backwards, threaded, strict=True):
        assert same(a, b) and same(a, c)


def test_seeds_splits_and_processes_have_streams_of_their_own(make_source):
    samples = [
        make_source()("train", 0, MIXED),
        make_source()("test", 0, MIXED),
        make_source()("train", 1, MIXED),
        make_source(seed=8)("train", 0, MIXED),
        make_source(process_index=1)("train", 0, MIXED),
    ]
    paras = [sample.arrays()["para"][LEFT_1, 3] for sample in samples]
    assert len(set(map(float, paras))) == len(paras)
    (one,), (other,) = (elements(make_source(process_index=i), "test", [5]) for i in (1, 0))
    assert same(one, other)


def test_turning_and_moving_the_world_leaves_every_input_alone(make_source, fake_world):
    there = fake_world(turn=-71.0, move=(300.0, -20.0))
    for i in range(15):
        a = make_source()("train", i, MIXED).arrays()
        b = make_source(world=there)("train", i, MIXED).arrays()
        np.testing.assert_allclose(a["para"], b["para"], atol=1e-5)
        difference = np.abs(a["pictures"].astype(int) - b["pictures"])
        assert difference.max() <= 25 and np.mean(difference > 0) < 0.01


def test_neither_the_law_nor_the_ball_aims_a_camera(make_source, fake_world):
    earth, moon = make_source(), make_source(world=fake_world(gravity=1.62))
    compared = 0
    for i in range(20):
        a, b = earth("train", i, MIXED), moon("train", i, MIXED)
        if a.rejects == b.rejects:
            np.testing.assert_array_equal(a.arrays()["para"], b.arrays()["para"])
            compared += int(not np.array_equal(a.pictures, b.pictures))
    assert compared > 8


def test_one_render_call_per_shot_and_rejects_are_counted(make_source, fake_world):
    world = fake_world()
    source = make_source(world=world)
    rejects = [source("train", i, ModeMix.only(FUTURE, 12)).rejects for i in range(40)]
    assert sum(rejects) > 0
    assert world.calls == len(rejects) + sum(rejects)


class HalfEmpty:
    """Wraps a world so that three setups in four show no ball to a target camera of their own (DIS has none)."""

    def __init__(self, world):
        self.world, self.name, self.t_max, self.view_prior = world, world.name, world.t_max, world.view_prior

    def render(self, setup_seed, times, angles, positions, image_size):
        pictures = self.world.render(setup_seed, times, angles, positions, image_size)
        if len(times) == 9 and setup_seed % 4:
            pictures[6:] = 220
        return pictures


def test_rejects_do_not_skew_the_modes(make_source, fake_world):
    source = make_source(world=HalfEmpty(fake_world()), image_size=(24, 24))
    mix = ModeMix((0.5, 0.0, 0.5), 8, 12)
    samples = [source("train", i, mix) for i in range(200)]
    modes = np.bincount([s.shot.mode for s in samples], minlength=3) / 200
    rejected = [sum(s.rejects for s in samples if s.shot.mode == m) for m in (DIS, FUTURE)]
    assert rejected[1] > 5 * max(rejected[0], 1) and rejected[1] > 100
    assert modes[FUTURE] == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 200))


def test_an_impossible_n_gives_way_to_another(make_source, fake_world):
    """At 60 m/s^2 the ball is out of sight at the largest n: the sample is drawn again with a smaller one."""
    source = make_source(world=fake_world(gravity=60.0))
    samples = [source("train", i, ModeMix((0.0, 0.0, 1.0), 4, 12)) for i in range(12)]
    assert max(s.rejects for s in samples) >= ATTEMPTS_PER_STEPS
    assert all(s.shot.k < s.shot.n for s in samples)


@pytest.mark.parametrize("mode", [DIS, VIEW, FUTURE])
def test_pictures_truth_and_para_agree(make_source, mode):
    """The ball lies in each picture where the truth, seen through the sample's own relative PARA, projects to."""
    source = make_source(image_size=(96, 96))
    camera = intrinsics_for(96, 96)
    mix = ModeMix.only(mode, 8 if mode == FUTURE else None)
    for i in range(6):
        sample = source("test", i, mix)
        element, truth = sample.arrays(), truth_of(source.renderer, sample)
        rotation = world_to_camera(element["para"][:, 4].astype(float), element["para"][:, 5].astype(float))
        origin = element["para"][:, 1:4].astype(float)
        through_para = outline_centroid(truth.position, truth.radius, origin[:, None], rotation[:, None], camera)
        np.testing.assert_allclose(through_para, truth.centroid, atol=1e-3)
        middle, _ = project(truth.position[:, 0], origin, rotation, camera)
        for picture, expected in zip(element["pictures"], middle, strict=True):
            rows, columns = np.nonzero(np.abs(picture.astype(int) - 220).max(axis=-1) > 60)
            np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], expected, atol=0.3)
        assert truth.visible.all() and truth.position.shape == (5, 1, 3) and truth.radius.shape == (1,)
        assert (mode == DIS) == np.array_equal(element["pictures"][TARGET], element["pictures"][LEFT_1])


def test_outline_centroid_is_the_middle_of_the_tangent_cones_ellipse():
    rng = np.random.default_rng(0)
    camera = intrinsics_for(512, 512)
    for _ in range(10):
        centre, radius = np.array([rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(2, 5)]), rng.uniform(0.2, 0.6)
        # Points of the circle where rays from the eye touch the sphere; their pixels outline the ellipse.
        distance = np.linalg.norm(centre)
        axis = centre / distance
        side = np.cross(axis, [0.0, 1.0, 0.0])
        side /= np.linalg.norm(side)
        up = np.cross(axis, side)
        turn = np.linspace(0, 2 * np.pi, 720, endpoint=False)[:, None]
        ring_radius = radius * np.sqrt(1 - (radius / distance) ** 2)
        ring = centre - axis * radius**2 / distance + ring_radius * (np.cos(turn) * side + np.sin(turn) * up)
        u, v = (camera.focal * ring[:, :2] / ring[:, 2:] + 256.0).T
        cross = u * np.roll(v, -1) - np.roll(u, -1) * v
        middle = [np.sum((a + np.roll(a, -1)) * cross) / (3 * np.sum(cross)) for a in (u, v)]
        found = outline_centroid(centre, radius, np.zeros(3), np.eye(3), camera)
        np.testing.assert_allclose(found, middle, atol=1e-3)
    assert np.isnan(outline_centroid(np.array([0.0, 0.0, -2.0]), 0.3, np.zeros(3), np.eye(3), camera)).all()


def test_a_held_out_set_has_the_asked_modes_and_its_truth(make_source):
    source = make_source()
    mixes = [ModeMix.only(DIS), ModeMix.only(VIEW), ModeMix.only(FUTURE, 5), ModeMix.only(FUTURE, 10)]
    asked = [(mix, range(3 * i, 3 * i + 3)) for i, mix in enumerate(mixes)]
    batch, truth, rejects = held_out_samples(source, asked)
    assert rejects.shape == (12,)
    assert batch["mode"].tolist() == [DIS] * 3 + [VIEW] * 3 + [FUTURE] * 6
    assert batch["n"].tolist() == [0] * 6 + [5] * 3 + [10] * 3
    assert "rejects" not in batch and batch["pictures"].shape == (12, 5, 32, 32, 3)
    assert same({"x": truth.centroid[7]}, {"x": truth_of(source.renderer, source("test", 7, mixes[2])).centroid})
    assert same(batch, held_out_samples(make_source(), asked)[0])


def test_a_sequence_is_one_sample_with_its_target_at_every_step(make_source):
    source = make_source()
    mix = ModeMix.only(FUTURE, 9)
    sample, sequence = source("test", 3, mix).arrays(), source.sequence("test", 3, mix)
    n_max = source.views.n_max
    assert sequence["n"].tolist() == list(range(n_max + 1)) and "rejects" not in sequence
    assert set(sequence) == set(sample)
    for i in range(n_max + 1):
        assert np.array_equal(sequence["pictures"][i, :TARGET], sample["pictures"][:TARGET])
    assert same({k: v[9] for k, v in sequence.items()}, {k: sample[k] for k in sequence})
    elapsed = sequence["para"][:, TARGET, 0] - sequence["para"][:, 0, 0]
    np.testing.assert_allclose(elapsed, source.views.dt * np.arange(n_max + 1), atol=1e-6)
    still = np.delete(sequence["para"], 0, axis=2)
    assert np.array_equal(still, np.broadcast_to(still[:1], still.shape)), "no camera moves"


def test_references_show_the_held_out_cameras_long_after_the_flight(make_source):
    source = make_source()
    asked = [(ModeMix.only(VIEW), range(2)), (ModeMix.only(FUTURE, 9), range(2, 4))]
    plain, _, _ = held_out_samples(source, asked)
    batch, _, _ = held_out_samples(source, asked, references=True)
    assert same({key: batch[key] for key in plain}, plain)
    for name in ("reference", "left_reference"):
        assert batch[name].shape == (4, 3, 32, 32, 3)
        assert np.all(batch[name] == 220), "the fake world's ball is out of sight by then"


def test_a_renderer_without_truth_gives_none(make_source, fake_world):
    source = make_source(world=HalfEmpty(fake_world()))
    assert truth_of(source.renderer, source("test", 0, ModeMix.only(DIS))) is None
    assert held_out_samples(source, [(ModeMix.only(DIS), [0])])[1] is None


def test_a_pipelines_samples_are_made_as_the_curriculum_says_at_their_step(make_source):
    """The first batch is DIS alone; past the curriculum's end its last mix holds."""
    source, curriculum = make_source(), Curriculum.scaled(40, 12)
    buffer = buffer_config(pool_size=4, initial_fill=4, batch=4, reuse=1.0)
    with sample_pipeline(source, curriculum, buffer) as pipeline:
        first = next(pipeline)
    made = {e["para"].tobytes() for e in elements(source, "train", range(4), ModeMix.only(DIS))}
    assert {para.tobytes() for para in first["para"]} == made
    position = {"next_step": 60, "pool_size": 4}
    with sample_pipeline(source, curriculum, buffer, position=position) as pipeline:
        late = next(pipeline)
    made = {e["para"].tobytes() for e in elements(source, "train", range(240, 244), curriculum.at(39))}
    assert {para.tobytes() for para in late["para"]} <= made


class Empty(HalfEmpty):
    def render(self, setup_seed, times, angles, positions, image_size):
        return np.full((len(times), *image_size, 3), 220, np.uint8)


class Huge(HalfEmpty):
    def render(self, setup_seed, times, angles, positions, image_size):
        distinct = {t: 20 + 45 * i for i, t in enumerate(np.unique(times))}
        return np.stack([np.full((*image_size, 3), distinct[t], np.uint8) for t in times])


@pytest.mark.parametrize(("world", "cause"), [(Empty, "min_pixels"), (Huge, "require_whole")])
def test_a_scene_that_never_shows_a_ball_ends_with_one_line_naming_a_field(
    make_source, fake_world, world, cause, monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = make_source(world=world(fake_world()), max_attempts=9)
    with pytest.raises(UsageError) as error:
        source("train", 5, ModeMix.only(FUTURE, 6))
    message = str(error.value)
    assert cause in message and "9 shots" in message and "FUTURE" in message and "\n" not in message
    assert message.startswith(f"scene '{source.prior.name}': ")
    (picture,) = tmp_path.iterdir()
    assert message.endswith(f"pictures are in {picture}")
    height, width, _ = cv2.imread(str(picture)).shape
    assert height == source.image_size[0] and width >= 5 * source.image_size[1]
    source.renderer.module = "mine.py"  # as a plug-in's: then no scene is drawn
    with pytest.raises(UsageError, match=r"^module 'mine.py': 9 shots"):
        source("train", 5, ModeMix.only(FUTURE, 6))


class Wrong(HalfEmpty):
    def render(self, setup_seed, times, angles, positions, image_size):
        return np.zeros((len(times), 16, 16, 3), np.float32)


def test_a_renderer_that_ignores_the_size_is_refused(make_source, fake_world):
    with pytest.raises(UsageError, match="image_size"):
        make_source(world=Wrong(fake_world()))("train", 0, MIXED)


@pytest.mark.parametrize(
    ("keywords", "names"),
    [
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "seed=4294967296"),
        ({"image_size": (0, 32)}, "render_size=0x32"),
        ({"max_attempts": 0}, "max_attempts=0"),
        ({"visibility": acceptance_rule(min_pixels=5_000)}, "min_pixels=5000"),
    ],
)
def test_bad_arguments_are_refused_before_the_first_picture(make_source, keywords, names):
    with pytest.raises(UsageError, match=names):
        make_source(**keywords)


def test_bad_splits_indices_and_times_are_refused(make_source, views):
    source = make_source()
    with pytest.raises(UsageError, match="'valid'"):
        source("valid", 0, MIXED)
    with pytest.raises(UsageError, match="-3"):
        source("train", -3, MIXED)
    with pytest.raises(UsageError, match="n_max"):
        make_source(views=dataclasses.replace(views, n_max=40))


def test_every_kept_ballistic_target_shows_the_ball_whole() -> None:
    """In a strong world the ball is gone from most late pictures: an empty place must not pass for a ball."""
    from o2t_jax.physics.gravity import law_for
    from o2t_jax.render.opencv.renderer import SceneRenderer
    from o2t_jax.render.scenes import get_scene

    scene = get_scene("ballistic")
    views = shot_config(dt=0.05, k_min=4, k_max=8, n_max=16, t1_max=0.1, stereo_gap=0.5)
    for gravity in (1.62, 24.8):
        renderer = SceneRenderer(scene, law_for(gravity, 0.0))
        source = PairSource(renderer, scene, views, 0, **OPTIONS | {"image_size": (64, 64)})
        _, truth, _ = held_out_samples(source, [(ModeMix((0.0, 0.0, 1.0), 9, 16), range(16))])
        assert truth is not None and truth.visible[:, TARGET].all()
        centre = truth.centroid[:, TARGET, 0]
        assert np.all((centre > 2) & (centre < 62)), gravity
