"""The camera model: no change without effects; with them pictures stay a pure function of the arguments."""

import pickle

import numpy as np
import pytest

from o2t_jax.physics.gravity import Gravity
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from o2t_jax.render.sensor import Sensor, picture_rng
from o2t_jax.systems.o2t_parts import make_renderer
from o2t_jax.types import Renderer
from tests.systems.small import small_config

BARE = SceneRenderer(get_scene("ballistic"), Gravity.constant(9.81))
TIMES = np.array([0.0, 0.2, 0.2])
ANGLES = np.array([[0.0, 5.0], [0.0, 5.0], [1.0, 5.0]])
PLACES = np.array([[-8.0, 0.0, 2.0]] * 3)
SIZE = (24, 32)


def noise(picture, rng):
    return np.clip(picture + rng.normal(0.0, 4.0, picture.shape), 0, 255).astype(np.uint8)


def test_without_effects_it_is_the_renderer():
    sensor = Sensor(BARE)
    assert isinstance(sensor, Renderer)
    np.testing.assert_array_equal(
        sensor.render(3, TIMES, ANGLES, PLACES, SIZE), BARE.render(3, TIMES, ANGLES, PLACES, SIZE)
    )
    assert sensor.scene is BARE.scene and sensor.truth(3, TIMES)[0].shape == BARE.truth(3, TIMES)[0].shape
    assert not hasattr(sensor, "module_sha256")  # an attribute that a renderer lacks is missing in its sensor too
    assert pickle.loads(pickle.dumps(sensor)).render(3, TIMES, ANGLES, PLACES, SIZE).shape == (3, *SIZE, 3)


def test_with_noise_pictures_are_still_pure_in_their_arguments():
    sensor, clean = Sensor(BARE, (noise,)), BARE.render(3, TIMES, ANGLES, PLACES, SIZE)
    noisy = sensor.render(3, TIMES, ANGLES, PLACES, SIZE)
    assert noisy.dtype == np.uint8 and 2.0 < np.std(noisy.astype(float) - clean) < 5.0
    alone = [sensor.render(3, TIMES[i : i + 1], ANGLES[i : i + 1], PLACES[i : i + 1], SIZE)[0] for i in (2, 0, 1)]
    np.testing.assert_array_equal(np.stack(alone), noisy[[2, 0, 1]])
    broadcast = sensor.render(3, TIMES[:2], ANGLES[:1], PLACES[0], SIZE)  # one pose for both
    np.testing.assert_array_equal(broadcast, noisy[:2])
    np.testing.assert_array_equal(BARE.render(3, TIMES, ANGLES, PLACES, SIZE), clean)


def test_effects_follow_each_other():
    negative = Sensor(BARE, (lambda picture, rng: picture // 2, lambda picture, rng: 255 - picture))
    clean = BARE.render(1, TIMES, ANGLES, PLACES, SIZE)
    np.testing.assert_array_equal(negative.render(1, TIMES, ANGLES, PLACES, SIZE), 255 - clean // 2)


@pytest.mark.parametrize("change", [0, 1, 2, 3, 4, 5, 6])
def test_a_pictures_random_numbers_are_its_own(change):
    """Another seed, time, angle or place gives uncorrelated random numbers."""
    numbers = [5.0, 0.2, 10.0, 5.0, -8.0, 0.0, 2.0]
    other = list(numbers)
    other[change] += 1 if change == 0 else 1e-9
    draw = lambda n: picture_rng(int(n[0]), n[1], np.array(n[2:4]), np.array(n[4:])).normal(size=2000)  # noqa: E731
    np.testing.assert_array_equal(draw(numbers), draw(numbers))
    assert abs(np.corrcoef(draw(numbers), draw(other))[0, 1]) < 0.1
    zero = [5.0, -0.0, 10.0, 5.0, -8.0, -0.0, 2.0]
    np.testing.assert_array_equal(draw(zero), draw([abs(n) if n == 0 else n for n in zero]))


def test_the_o2t_system_sees_through_a_sensor_that_changes_nothing():
    renderer, _ = make_renderer(small_config())
    assert isinstance(renderer, Sensor) and not renderer.effects
    given = (3, TIMES, ANGLES, PLACES, SIZE)
    assert renderer.render(*given).tobytes() == renderer.renderer.render(*given).tobytes()
