"""From pictures to tracks and contact-free flights, held against the simulator that drew the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.o2t.detection import Camera, Detection, Region, as_sphere, find_blobs, median_background
from o2t_jax.data.o2t.free_flight import free_segments
from o2t_jax.data.o2t.sample import outline_centroid
from o2t_jax.data.o2t.tracking import Fix, Track, match_detections, rough_tracks
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import PROJECTILE, Setup, simulate, simulate_states
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from tests.defaults import flight_config

CONFIG = flight_config()
STEPS = np.arange(CONFIG.survey_times) * CONFIG.survey_spacing


def rig_cameras(scene, seed, size):
    positions, angles = get_scene(scene).rig(np.random.default_rng(seed))
    return [Camera.of(p, a, size) for p, a in zip(positions, angles, strict=True)]


@pytest.fixture(scope="module", params=["fall", "room"])
def surveyed(request):
    """(renderer, [(setup seed, times, tracks)]) of a few setups under a law that bends."""
    name = request.param
    renderer = SceneRenderer(get_scene(name), Gravity.hyperbolic(9.2, -9.5))
    out = []
    for seed in range(5):
        times = 0.03 * seed + STEPS
        out.append((seed, times, rough_tracks(renderer, seed, times, rig_cameras(name, seed, 768), CONFIG, 72)))
    return renderer, out


def test_tracks_are_where_the_balls_are(surveyed):
    renderer, surveys = surveyed
    room = renderer.scene.name == "room"
    errors, radii, airborne, found = [], [], 0, 0
    for seed, times, tracks in surveys:
        position, visible, radius = renderer.truth(seed, times)
        airborne += (visible & (position[..., 2] - radius > 0.1)).sum()
        for track in tracks:
            for moment, fix in track.fixes.items():
                away = np.linalg.norm(position[moment] - fix.position, axis=-1)
                ball = int(np.argmin(np.where(visible[moment], away, np.inf)))
                errors.append(away[ball])
                radii.append(fix.radius / radius[ball] - 1.0)
                found += position[moment, ball, 2] - radius[ball] > 0.1
    # Shadows lie further than this from their balls, wherever these are in the air.
    assert max(errors) < 0.15 and np.median(errors) < (0.01 if room else 0.003), errors
    assert np.abs(radii).max() < 0.1 and np.median(np.abs(radii)) < 0.02
    assert found / airborne > (0.7 if room else 0.95)


def test_segments_are_flights_without_a_contact(surveyed):
    renderer, surveys = surveyed
    count = 0
    for seed, times, tracks in surveys:
        for track in tracks:
            for run in free_segments(track, times, CONFIG):
                count += 1
                seen = np.stack([track.fixes[m].position for m in run])
                position, _, _ = renderer.truth(seed, times[list(run)])
                ball = int(np.linalg.norm(position - seen[:, None], axis=-1).mean(axis=0).argmin())
                assert np.linalg.norm(position[:, ball] - seen, axis=-1).max() < 0.05
                fine = np.linspace(times[run[0]], times[run[-1]], 200)
                states, visible = simulate_states(renderer.setup(seed), fine, renderer.gravity)
                states = states[:, ball]
                energy = 0.5 * (states[:, 3:] ** 2).sum(axis=1) + renderer.gravity.potential(states[:, 2])
                assert visible[:, ball].all() and np.ptp(energy) < 1e-4
                assert np.ptp(states[:, 3:5], axis=0).max() < 1e-9 and np.diff(states[:, 5]).max() < 0.0
    assert count >= 5


def track_of(positions, radius=0.4, sigma=0.005, seed=0):
    noise = np.random.default_rng(seed).normal(0.0, sigma, np.shape(positions))
    return Track({i: Fix(p, sigma, radius, {}) for i, p in enumerate(positions + noise)})


@pytest.mark.parametrize("law", [(9.5, 10.0), (9.0, -10.0), (9.81, 0.0), (1.62, 0.0), (24.8, 0.0)])
def test_no_flight_is_refused_for_its_law(law):
    """Whole flights to 20 m and back, and falls from there."""
    times = np.arange(12) * 0.2
    gravity = Gravity.hyperbolic(*law)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        thrown = seed % 2
        top = np.sqrt(2.0 * gravity.potential(19.0))
        start = np.array([[0.0, 0.0, 0.6 if thrown else 20.0]])
        velocity = np.array([[*rng.uniform(-5, 5, 2), rng.uniform(0.6, 1.0) * top if thrown else 0.0]])
        one = np.ones(1)
        setup = Setup(0.4 * one, np.ones((1, 3)), start, velocity, np.array([PROJECTILE]), one.astype(int), None, False)
        position, visible = simulate(setup._replace(vanishes=False), times, gravity)
        free = visible[:, 0] & (position[:, 0, 2] > 0.55)
        if free.sum() < CONFIG.min_times:
            continue
        runs = free_segments(track_of(position[free, 0], seed=seed), times[free], CONFIG)
        assert runs == [tuple(range(int(free.sum())))]


def test_bounces_rolling_and_low_hops_are_no_flights():
    times, spread = np.arange(9) * 0.2, np.zeros(9)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # A bounce at any time between the 2nd and the 8th moment.
        since = times - rng.uniform(0.2, 1.4)
        bounce = 0.4 + np.abs(since) * (rng.uniform(5, 9) - 4.8 * np.abs(since))
        path = np.stack([3.0 * times, spread, bounce], axis=1)
        for run in free_segments(track_of(path, seed=seed), times, CONFIG):
            assert (since[list(run)] > 0).all() or (since[list(run)] < 0).all()
    for slope in np.radians([10.0, 30.0, 50.0]):
        along = 0.5 * 5.0 / 7.0 * 9.8 * np.sin(slope) * times**2
        rolling = np.stack([np.cos(slope) * along, spread, 6.0 - np.sin(slope) * along], axis=1)
        assert free_segments(track_of(rolling), times, CONFIG) == []
    hop = 0.55 + 0.2 * np.abs(np.sin(np.pi * times / 0.27))
    assert free_segments(track_of(np.stack([times, spread, hop], axis=1)), times, CONFIG) == []


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (9.0, 2.0, 5.0), (-8.0, 0.0, -1.0)])
def test_the_sphere_of_an_outline_is_found_again(offset):
    """A region with a sphere's exact outline gives its direction and its angular radius, off the axis too."""
    camera = Camera.of(np.array([0.0, -20.0, 4.0]), np.array([88.0, 5.0]), 1024)
    centre, radius = np.array([0.0, 0.0, 6.0]) + offset, np.array(0.8)
    renderer_outline = outline_centroid(centre, radius, camera.position, camera.rotation, camera.intrinsics)
    region = drawn_region(centre, float(radius), camera)
    np.testing.assert_allclose(region.centre, renderer_outline, atol=0.05)
    found = as_sphere(region, camera)
    assert found is not None
    expected = (centre - camera.position) / np.linalg.norm(centre - camera.position)
    assert np.degrees(np.arccos(min(found[0] @ expected, 1.0))) < 0.01
    assert found[1] == pytest.approx(np.arcsin(radius / np.linalg.norm(centre - camera.position)), rel=0.02)


def drawn_region(centre, radius, camera):
    """The pixels whose rays meet the sphere, widened like a thresholded blob."""
    k = camera.intrinsics
    pixel, depth = project(centre, camera.position, camera.rotation, k)
    reach = int(2.5 * k.focal * radius / depth)
    u, v = np.meshgrid(*(np.arange(int(c) - reach, int(c) + reach) + 0.5 for c in pixel))
    ray = np.stack([(u - k.cx) / k.focal, (v - k.cy) / k.focal, np.ones_like(u)], axis=-1) @ camera.rotation
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    local = centre - camera.position
    wider = radius + 0.4 * depth / k.focal
    inside = np.sum(np.cross(ray, local) ** 2, axis=-1) < wider**2
    us, vs = u[inside], v[inside]
    box = (int(us.min()), int(vs.min()), int(us.max()) + 1, int(vs.max()) + 1)
    return Region(float(inside.sum()), (us.mean(), vs.mean()), box)


def test_flat_or_cut_regions_are_no_spheres():
    camera = Camera.of(np.array([0.0, -20.0, 4.0]), np.array([90.0, 5.0]), 256)
    assert as_sphere(Region(300.0, (100.0, 100.0), (80, 95, 120, 105)), camera) is None
    assert as_sphere(Region(314.0, (10.0, 100.0), (0, 90, 20, 110)), camera) is None
    assert as_sphere(Region(314.0, (100.0, 100.0), (90, 90, 110, 110)), camera) is not None


def test_the_background_is_the_lower_median():
    pictures = np.random.default_rng(0).integers(0, 255, (6, 8, 9, 3)).astype(np.uint8)
    pictures[:, :4] = 77
    background, varies = median_background(pictures)
    np.testing.assert_array_equal(background, np.sort(pictures, axis=0)[2])
    assert not varies[:4].any() and varies[4:].any()
    still = np.repeat(pictures[:1], 3, axis=0)
    assert find_blobs(still, Camera.of(np.zeros(3), np.zeros(2), 8), CONFIG, 8) == [[], [], []]


def test_two_balls_are_not_crossed():
    """All pairings of two balls' blobs over four cameras: only the two true ones meet."""
    cameras = rig_cameras("room", 3, 1024)
    balls = [(np.array([9.0, 1.0, 5.0]), 0.4), (np.array([-11.0, -2.0, 5.0]), 0.45)]
    blobs = []
    for camera in cameras:
        directions = [(c - camera.position) / np.linalg.norm(c - camera.position) for c, _ in balls]
        angles = [float(np.arcsin(r / np.linalg.norm(c - camera.position))) for c, r in balls]
        row = [Detection((0.0, 0.0), (0, 0, 1, 1), d, a, True, None) for d, a in zip(directions, angles, strict=True)]
        blobs.append(row[::-1] if len(blobs) % 2 else row)
    fixes = sorted(match_detections(blobs, cameras), key=lambda s: -s.position[0])
    assert [len(s.blobs) for s in fixes] == [4, 4]
    for fix, (centre, radius) in zip(fixes, balls, strict=True):
        np.testing.assert_allclose(fix.position, centre, atol=1e-9)
        assert fix.radius == pytest.approx(radius)


class Alike(type(get_scene("room"))):
    """Two balls of one radius and one colour that fly past each other; the second leaves by x = 0."""

    def sample(self, rng):
        y = rng.uniform(-1.0, 1.0)
        position = np.array([[4.0, y, 4.0], [10.0, y + rng.uniform(-1.5, 1.5), 4.0]])
        velocity = np.array([[3.0, rng.uniform(-1, 1), 7.0], [-6.5, rng.uniform(-1, 1), 6.5]])
        return Setup(np.full(2, 0.45), np.full((2, 3), 0.5), position, velocity, np.full(2, PROJECTILE), np.ones(2))


def test_a_flight_is_one_ball_where_two_are_alike_and_one_goes():
    """What ties windows to one ball is how it moves: a track may change balls where they pass, a flight never."""
    renderer, flights, crossed = SceneRenderer(Alike(), Gravity.hyperbolic(9.2, -9.5)), [0, 0], 0
    for seed in range(8):
        times = 0.03 * seed + STEPS
        position, visible, _ = renderer.truth(seed, times)
        assert visible[:, 0].all() and not visible[-1, 1]
        for track in rough_tracks(renderer, seed, times, rig_cameras("room", seed, 768), CONFIG, 72):
            away = {m: np.linalg.norm(position[m] - s.position, axis=-1) for m, s in track.fixes.items()}
            assert all(visible[m, d.argmin()] and d.min() < 0.15 for m, d in away.items()), "a ball that is gone"
            crossed += len({int(d.argmin()) for d in away.values()}) > 1
            for run in free_segments(track, times, CONFIG):
                balls = {int(away[m].argmin()) for m in run}
                assert len(balls) == 1, (seed, run)
                flights[balls.pop()] += 1
    assert flights[0] >= 8 and flights[1] >= 3 and crossed, (flights, crossed)


@pytest.mark.parametrize("name", ["fall", "room"])
def test_rigs_are_pure_and_see_the_balls(name):
    scene, camera, rng = get_scene(name), intrinsics_for(64, 64), np.random.default_rng(5)
    for a, b in zip(*(scene.rig(np.random.default_rng(1)) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(a, b)
    seen = []
    for _ in range(60):
        positions, angles = scene.rig(rng)
        assert positions.shape == (4, 3) and angles.shape == (4, 2)
        assert (positions[:, 2] >= 1.5).all() and (positions[:, 2] <= 3.0).all()
        setup = scene.sample(rng)
        place, visible = simulate(setup, np.array([0.5]), Gravity.constant(9.5))
        rotation = world_to_camera(angles[:, 0], angles[:, 1])[:, None]
        pixels, depth = project(place[0], positions[:, None], rotation, camera)
        inside = (depth > 0.5) & (np.minimum(pixels, 64.0 - pixels).min(axis=-1) > 1.0)
        seen += (inside.sum(axis=0) >= 2)[visible[0]].tolist()
        middle = np.array([0.0, 0.0])
        bearing = np.degrees(np.arctan2(*(positions[:2, :2] - middle).T[::-1]))
        assert 30.0 <= min((bearing[0] - bearing[1]) % 360.0, (bearing[1] - bearing[0]) % 360.0) <= 90.0
    assert np.mean(seen) > 0.9
