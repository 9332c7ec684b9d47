"""The planar renderer: sub-pixel positions and areas, order, translation, gradients, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.physics.environment import idle, simulate
from o2t_jax.physics.envs import get_environment
from o2t_jax.physics.envs.look import BALL
from o2t_jax.physics.primitives import Drawing, View, discs, inside, layers, segments
from o2t_jax.render.planar import draw, to_bytes

WHITE, BLACK = [1.0], [0.0]
PIXEL = 0.125  # m; a power of two, so that whole pixels are whole numbers


def seen(shapes, height=32, width=40):
    """White shapes on black; the world's zero is the middle of the picture."""
    view = View(jnp.zeros(2), 0.5 * PIXEL * height, jnp.array(BLACK))
    return np.asarray(jax.jit(draw, static_argnums=(1, 2))(Drawing(shapes, view), height, width))[..., 0]


def centroid(picture):
    """World x and y, m."""
    height, width = picture.shape
    y, x = np.mgrid[:height, :width] + 0.5
    total = picture.sum()
    return np.array([(picture * x).sum() / total - width / 2, height / 2 - (picture * y).sum() / total]) * PIXEL


@pytest.mark.parametrize("radius", [1.0, 1.7, 3.0, 6.4])
def test_a_disc_has_its_place_and_area_wherever_it_lies_in_a_pixel(radius):
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (24, 2)) * PIXEL
    pictures = [seen(discs(place[None], radius * PIXEL, WHITE)) for place in places]
    found = np.array([centroid(picture) for picture in pictures])
    assert np.abs(found - places).max() < 0.02 * PIXEL
    np.testing.assert_allclose([picture.sum() for picture in pictures], np.pi * radius**2, rtol=0.01)


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_a_segment_has_its_place_and_area_in_any_direction(radius):
    for turn in np.linspace(0.0, np.pi, 9):
        half = 7.0 * PIXEL * np.array([np.cos(turn), np.sin(turn)])
        picture = seen(segments(-half[None], half[None], radius * PIXEL, WHITE))
        np.testing.assert_allclose(picture.sum(), np.pi * radius**2 + 4 * 7.0 * radius, rtol=0.01)
        np.testing.assert_allclose(centroid(picture), 0.0, atol=0.02 * PIXEL)


def test_an_edge_is_about_a_pixel_wide():
    row = seen(discs(np.zeros((1, 2)), 8.0 * PIXEL, WHITE), 33, 33)[16]
    assert ((row > 0.02) & (row < 0.98)).sum() <= 4
    fine = seen(segments(np.array([[-99.0, 0.0]]), np.array([[99.0, 0.0]]), 0.1 * PIXEL, WHITE))
    np.testing.assert_allclose(fine.sum(axis=0), 0.2, rtol=0.02)  # a thin line fades, with the right total


@pytest.mark.parametrize(("right", "up"), [(3, 0), (-2, 5)])
def test_moving_by_whole_pixels_moves_the_picture_exactly(right, up):
    place = np.array([[0.4321, -0.1234]], np.float32)
    shapes = lambda p: layers(discs(p, 0.33, WHITE), segments(p, p + 0.6875, 0.15, WHITE, 0.5))  # noqa: E731
    shift = PIXEL * np.array([right, up], np.float32)
    place = np.round(place * 2**16) / 2**16  # no digits that moving it would round away
    still, moved = seen(shapes(place)), seen(shapes(place + shift))
    np.testing.assert_array_equal(np.roll(still, (-up, right), (0, 1)), moved)
    assert still.max() > 0.9


def test_up_is_up_and_right_is_right():
    picture = seen(discs(np.array([[1.0, 1.5]]), 0.3, WHITE))
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert row < 16 and column > 20


def test_the_last_is_in_front_and_opacity_mixes():
    red, green, blue = np.eye(3)
    view = View(jnp.zeros(2), 1.0, jnp.array(blue))
    both = layers(discs(np.zeros((1, 2)), 0.5, red), discs(np.zeros((1, 2)), 0.25, green, 0.5))
    picture = draw(Drawing(both, view), 31, 31)
    np.testing.assert_allclose(picture[15, 15], 0.5 * red + 0.5 * green, atol=1e-6)
    np.testing.assert_allclose(picture[15, 10], red, atol=1e-6)
    np.testing.assert_allclose(picture[0, 0], blue, atol=1e-6)
    assert to_bytes(picture).dtype == jnp.uint8 and to_bytes(picture)[15, 15].tolist() == [128, 128, 0]
    gone = both._replace(opacity=jnp.zeros(2))
    np.testing.assert_array_equal(draw(Drawing(gone, view), 31, 31), np.broadcast_to(blue, (31, 31, 3)))
    np.testing.assert_array_equal(inside(Drawing(both, view._replace(half_height=0.3))), [False, True])


def test_gradients_are_those_of_finite_differences():
    """Gradients by positions, radii, colours, opacities and view, for discs (segments of length 0) and segments."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        shapes = layers(
            segments(rng.normal(size=(2, 2)), rng.normal(size=(2, 2)), [0.2, 0.03], rng.uniform(size=(2, 3))),
            discs(np.array([[0.0625, 0.0625], [0.3, 0.2]]), [0.3, 0.2], rng.uniform(size=(2, 3)), 0.7),
        )
        drawing = Drawing(shapes, View(jnp.zeros(2), 1.0, jnp.array([0.1, 0.2, 0.3])))
        weights = rng.normal(size=(16, 16, 3))
        loss = jax.jit(lambda drawing: jnp.sum(weights * draw(drawing, 16, 16)))
        slope = jax.jit(jax.grad(loss))(drawing)
        for part in range(3):  # each with its own direction, so that none hides the other
            random = np.random.default_rng(part)
            way = jax.tree.map(lambda x, random=random: 1e-6 * random.normal(size=np.shape(x)), drawing)
            # A disc stays one: its two ends move together.
            way.primitives.end[2:] = way.primitives.start[2:]
            move = lambda sign, way=way: jax.tree.map(lambda x, w: x + sign * w, drawing, way)  # noqa: E731
            expected = (loss(move(1.0)) - loss(move(-1.0))) / 2.0
            found = sum(np.sum(a * b) for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(way), strict=True))
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_it_is_batched_and_any_size():
    places = np.random.default_rng(0).normal(size=(3, 2, 2))
    shapes = jax.vmap(lambda p: discs(p, 0.2, jnp.ones(3)))(places)
    view = View(jnp.zeros(2), 2.0, jnp.zeros(3))
    together = jax.vmap(lambda s: draw(Drawing(s, view), 24, 17))(shapes)
    assert together.shape == (3, 24, 17, 3)
    alone = draw(Drawing(jax.tree.map(lambda x: x[1], shapes), view), 24, 17)
    np.testing.assert_allclose(together[1], alone, atol=1e-6)


def test_a_worlds_motion_is_drawn_in_one_call():
    """The pendulum's bob is at the place given by its angle, in every picture."""
    env = get_environment("pendulum")
    track = simulate(env, env.reset(jax.random.key(2), env.params), idle(env, 7), 0.1, env.params)
    pictures = jax.vmap(lambda state: draw(env.draw(state, env.params), 64, 64))(track)
    scale = 32 / env.draw(jax.tree.map(lambda x: x[0], track), env.params).view.half_height
    columns = np.asarray(32 + scale * jnp.sin(track.angle)).astype(int)
    rows = np.asarray(32 + scale * jnp.cos(track.angle)).astype(int)
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) > 4
    np.testing.assert_allclose(pictures[np.arange(8), rows, columns], np.tile(BALL, (8, 1)), atol=0.01)


def test_many_primitives_need_no_more_memory_than_a_few_pictures():
    """As counted by the compiler for 900 discs: forward and for the gradient."""
    count, side = 900, 64
    picture = side * side * 3 * 4
    view = View(jnp.zeros(2), 1.0, jnp.zeros(3))

    def loss(places):
        return jnp.sum(draw(Drawing(discs(places, 0.1, jnp.ones(3)), view), side, side))

    places = jax.ShapeDtypeStruct((count, 2), jnp.float32)
    need = [jax.jit(f).lower(places).compile().memory_analysis().temp_size_in_bytes for f in (loss, jax.grad(loss))]
    assert need[0] < 12 * picture
    assert need[1] < 80 * picture
