"""Mechanics of the film's model: parabolas are exact, drag is that of the example, and places give the motion back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.data.recordings.example import GRAVITY, flight
from o2t_jax.models.recording.falling import FilmModel, LawLayer, Motion, Seen, lay

G = jnp.array([0.3, -9.0])


def test_free_flight_is_exact_forwards_and_backwards():
    start = Motion(jnp.array([[0.1, -0.2], [0.3, 0.4]]), jnp.array([[1.0, 3.0], [-2.0, 0.5]]))
    for t in (0.7, -0.4):
        there: Any = LawLayer(3, False).apply({"params": {"gravity": G}}, start, jnp.full(2, t))
        np.testing.assert_allclose(there.place, start.place + t * start.speed + 0.5 * t * t * G, atol=1e-5)
        np.testing.assert_allclose(there.speed, start.speed + t * G, atol=1e-5)


@pytest.mark.parametrize("drag", [0.0, 0.4])
def test_places_of_a_flight_give_its_motion_back_and_the_place_to_come(drag):
    times = np.array([0.0, 0.05, 0.1, 0.5])
    truth = flight(times, drag) * (1.0, -1.0)
    model = FilmModel(features=2, steps=24, drag=True, reach=9.0)
    params = {"layer": {"gravity": jnp.array([0.0, -GRAVITY]), "drag": jnp.float32(drag)}}
    place, t = jnp.asarray(truth[None, :3], jnp.float32), jnp.asarray(times[None], jnp.float32)
    seen = Seen(jnp.zeros((1, 3, 4, 4)), place, jnp.ones((1, 3)))
    there: Any = model.apply({"params": params}, seen, t[:, :3], t[:, 3], method="later")
    np.testing.assert_allclose(there[0], truth[3], atol=2e-3)  # 0.1 px of the example's 100 px/m


def test_a_later_place_tells_gravity():
    """Places alone, no pictures. The predicted place is linear in gravity, so that three predictions give it."""
    times = np.linspace(0, 0.5, 6)
    truth = jnp.asarray(flight(times) * (1.0, -1.0), jnp.float32)
    model = FilmModel(features=2, steps=4, drag=False, reach=9.0)
    t = jnp.asarray(times, jnp.float32)[None]
    seen = Seen(jnp.zeros((1, 3, 4, 4)), truth[None, :3], jnp.ones((1, 3)))

    @jax.jit
    def later(gravity: jax.Array) -> jax.Array:
        params = {"params": {"layer": {"gravity": gravity}}}
        there: Any = model.apply(params, seen, t[:, :3], t[:, 5], method="later")
        return there[0]

    none, right, up = (np.asarray(later(jnp.array(g)), np.float64) for g in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    found = np.linalg.solve(np.stack([right - none, up - none], axis=1), np.asarray(truth[5]) - none)
    np.testing.assert_allclose(found, [0.0, -GRAVITY], rtol=0, atol=0.05)


def test_the_object_is_laid_where_it_is_predicted_and_leaves_where_it_was():
    still = jnp.full((32, 40, 3), 0.3)
    v, u = np.mgrid[:32, :40]
    mask = (np.hypot(u - 10, v - 20) < 4).astype(np.float32)
    frame = jnp.where(mask[..., None] > 0, 0.9, still)
    seen = Seen(jnp.asarray(mask)[None, None], jnp.array([[[10 / 32, -20 / 32]]]), jnp.ones((1, 1)))
    picture = np.asarray(lay(frame[None, None], seen, still, jnp.array([[25 / 32, -8 / 32]])))[0]
    expected = np.where((np.hypot(u - 25, v - 8) < 4)[..., None], 0.9, still)
    np.testing.assert_allclose(picture, expected, atol=1e-3)
    gone = np.asarray(lay(frame[None, None], seen, still, jnp.array([[5.0, -8 / 32]])))[0]
    np.testing.assert_allclose(gone, still, atol=1e-5)


def test_only_what_is_near_the_largest_change_is_the_object():
    """A hand at the border and a flickering edge have a mask too, as the tower of an untrained model gives them."""
    still = jnp.full((1, 32, 40, 3), 0.3)
    v, u = np.mgrid[:32, :40]
    ball = np.hypot(u - 10, v - 20) < 4
    frame = jnp.where(ball[..., None], 0.9, still) + jnp.where((u > 36)[..., None], 0.1, 0.0)
    model = FilmModel(features=2, steps=1, drag=False, reach=9.0)
    times = jnp.array([[0.0, 0.1, 0.2]])
    params = model.init(jax.random.key(0), jnp.stack([frame, frame], axis=1), still[0], times)
    seen: Any = model.apply(params, frame[None], still[0], method="see")
    assert float(seen.mask[0, 0, :, 30:].max()) == 0.0 and float(seen.mask[0, 0, 20, 10]) > 0.1
