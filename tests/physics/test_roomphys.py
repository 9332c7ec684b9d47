"""The simulator against an independent renderer: positions of balls in pictures of the public RoomPhys benchmark.

Source: Obs2Law-Arena, room_phys, practice module `a1e` (Apache-2.0), whose law is published; set-ups as printed by its
`describe_scene_a1e(seed)` (three decimals: uncertain to a few hundredths of a metre at the ramp); centroids in px
measured in its pictures of 512 x 384 (and 256 x 384) px by thresholding the difference from the empty room.
"""

import numpy as np
import pytest

from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import FALL, PROJECTILE, RAMP, Setup, simulate
from o2t_jax.physics.room.ramp import Ramp, ball_on_ramp

LAW = Gravity.hyperbolic(9.570756, 5.670786)
OFFSETS = np.array([-0.15, -0.05, 0.15, 0.3, 0.45, 0.6])

# seed: kind, radius, position, velocity, ramp (slope, theta, h, w, foot x, y), time of the ramp's contact, centroids
HITS = {
    312: (
        (FALL, 0.492, [12.716, -5.239, 11.466], [0.0, 0.0, 0.0], (20.1, 26.2, 1.21, 2.61, 11.06, -7.06), 1.43),
        [[315.5, 201.1], [316.1, 230.8], [306.4, 211.3], [294.6, 176.0], [280.8, 140.3], [263.8, 103.7]],
    ),
    343: (
        (PROJECTILE, 0.446, [10.439, 6.068, 0.983], [2.904, 2.941, 5.393], (20.7, 8.1, 1.41, 2.17, 14.48, 8.1), 1.094),
        [[248.7, 243.3], [255.8, 254.0], [267.4, 239.8], [275.9, 225.0], [284.6, 215.4], [293.6, 211.2]],
    ),
    904: (
        (PROJECTILE, 0.342, [7.396, -7.136, 0.899], [6.528, 1.246, 2.317], (10.7, 150.9, 1.4, 2.1, 9.07, -4.7), 0.501),
        [[305.6, 264.6], [325.0, 269.5], [358.3, 260.0], [380.7, 254.5], [402.0, 255.5], [422.5, 262.8]],
    ),
    1100: (
        (PROJECTILE, 0.295, [9.117, 5.021, 1.35], [2.753, 3.238, 3.062], (32.1, 24.5, 1.44, 2.27, 11.47, 7.86), 0.853),
        [[271.7, 261.6], [278.7, 272.7], [282.0, 259.2], [281.8, 244.5], [281.8, 235.4], [281.7, 232.2]],
    ),
}


def ramp_from(slope, theta, height, width, x, y):
    return Ramp(slope, height, width, (x, y), 90.0 - theta)


def one(kind, radius, position, velocity, ramp):
    arrays = [np.array([a], float) for a in (radius, (0.5, 0.5, 0.5), position, velocity)]
    return Setup(*arrays, kind=np.array([kind]), side=np.array([1]), ramp=ramp)


@pytest.mark.parametrize("integrator", ["exact", "benchmark"])
@pytest.mark.parametrize("seed", HITS)
def test_reflection_at_the_ramp(seed, integrator):
    (kind, radius, position, velocity, ramp, time), centroids = HITS[seed]
    setup = one(kind, radius, position, velocity, ramp_from(*ramp))
    balls, visible = simulate(setup, time + OFFSETS, LAW, integrator)
    eye = np.array([ramp[4] - 1.0, ramp[5] - 13.0, 2.5])
    pixels, _ = project(balls[:, 0], eye, world_to_camera(90.0, 5.0), intrinsics_for(384, 512))
    assert visible.all()
    np.testing.assert_allclose(pixels, centroids, atol=0.4)


@pytest.mark.parametrize("integrator", ["exact", "benchmark"])
def test_rolling_and_hopping_on_at_the_foot(integrator):
    ramp = ramp_from(27.3, 160.5, 1.58, 2.16, 11.01, 10.93)
    setup = one(RAMP, 0.6, [11.832, 8.617, 1.944], [0.0, 0.0, 0.0], ramp)
    # The printed centre equals the one that the project's geometry gives for a ball that touches the surface.
    length = ramp.height / np.sin(np.radians(27.3))
    along = (1.944 - 0.6 * np.cos(np.radians(27.3))) / np.sin(np.radians(27.3))
    np.testing.assert_allclose(ball_on_ramp(ramp, 0.6, along / length), setup.position[0], atol=0.01)

    times = np.arange(0.9, 2.01, 0.1)
    balls, _ = simulate(setup, times, LAW, integrator)
    eye = np.array([11.01 + 0.334 * 2 + 9 * 0.943, 10.93 - 2 * 0.943 + 9 * 0.334 + 2, 1.8])
    pixels, _ = project(balls[:, 0], eye, world_to_camera(199.5, -5.0), intrinsics_for(384, 256))
    rolling = [[88.2, 178.7], [97.9, 183.6], [108.5, 189.1], [120.1, 195.1], [132.7, 201.6]]
    hopping = [
        [146.2, 201.6],
        [160.0, 197.4],
        [173.8, 196.6],
        [187.5, 199.3],
        [201.2, 202.2],
        [215.0, 197.6],
        [228.8, 196.6],
    ]
    # Leaving the ramp where the ball first touches the ground would be 2.5 px behind at the end, and hop 4 px off.
    np.testing.assert_allclose(pixels, rolling + hopping, atol=0.7)
