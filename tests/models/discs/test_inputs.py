"""Inputs of models of discs: the document's numbers, walls as objects, what matters."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.discs.inputs import STATIC_MASS, cleaned, others, pair_distances, see, see_walls

from .scenes import ROOM, SIZE, SPEED, make_frames


@partial(jax.jit, static_argnames=("neighbourhood", "relative", "walls"))
def seen_in(frames, **fields):
    return see(cleaned(frames), SIZE, SPEED, **fields)


def test_the_numbers_are_those_of_the_document():
    frames = make_frames(1, 3, obstacle=True)
    seen = seen_in(frames)

    def numbers(disc: int) -> np.ndarray:
        x, v = frames.position[0, :, disc] / 800.0, frames.velocity[0, :, disc] / 60.0
        mass = np.array([[STATIC_MASS if disc == 2 else frames.mass[0, disc]]] * 2)
        return np.concatenate([x, v, mass], axis=-1).ravel()

    assert seen.own.shape == (1, 3, 10) and seen.context.shape == (1, 3, 2, 10)
    for disc in range(3):
        assert np.allclose(seen.own[0, disc], numbers(disc))
        for k in (0, 1):
            assert np.allclose(seen.context[0, disc, k], numbers((disc + k + 1) % 3))
            assert np.allclose(seen.pairs()[0, disc, k], [*numbers(disc), *numbers((disc + k + 1) % 3)])
    assert seen.mask.all()


def test_relative_numbers_are_differences_from_the_focus():
    frames = make_frames(1, 2)
    frames.velocity[:, 0] *= 0.5
    seen = seen_in(frames, relative=True)
    place, velocity = frames.position[0] / 800.0, frames.velocity[0] / 60.0
    of_context = seen.context[0, 0, 0].reshape(2, 5)
    assert np.allclose(of_context[:, :2], place[:, 1] - place[:, 0], atol=1e-6)
    assert np.allclose(of_context[:, 2:4], velocity[:, 1] - velocity[:, 0], atol=1e-6)
    assert np.allclose(of_context[:, 4], frames.mass[0, 1])
    own = seen.own[0, 0].reshape(2, 5)
    assert np.allclose(own[0, :2], place[0, 0] - place[1, 0], atol=1e-6) and (own[1, :2] == 0.0).all()
    assert np.allclose(own[:, 2:4], velocity[:, 0]) and np.allclose(own[:, 4], frames.mass[0, 0])


def test_others_are_all_but_the_disc_itself():
    found = others(jnp.arange(5)[None])
    for disc in range(5):
        assert sorted(found[0, disc].tolist()) == sorted({*range(5)} - {disc})
    assert others(jnp.zeros((2, 1, 3))).shape == (2, 1, 0, 3)


def test_what_matters_is_present_and_near():
    frames = make_frames(1, 4)
    frames.position[0, 1] = [[100, 100], [310, 100], [311, 100], [100, 150]]
    frames.present[0, 3] = False
    mask = seen_in(frames, neighbourhood=3.5).mask[0]
    assert mask[0].tolist() == [True, False, False]  # at 3.5 radii, beyond, not present
    assert seen_in(frames).mask[0, 0].tolist() == [True, True, False]
    frames.radius[0, 0] = 80.0
    assert seen_in(frames, neighbourhood=3.5).mask[0, 0].tolist() == [True, True, False]


def test_walls_are_seen_from_their_closest_point():
    frames = make_frames(4, 3)
    frames.walls.ends[:, 0] = np.random.default_rng(1).uniform(0, 600, (4, 2, 2))  # anywhere
    place, velocity = frames.position[:, 1], frames.velocity[:, 1]
    found = jax.jit(see_walls)(place, velocity, frames.walls)
    share = np.linspace(0.0, 1.0, 20_001)[:, None]
    for scene in range(4):
        for wall, (start, end) in enumerate(frames.walls.ends[scene]):
            points = start + share * (end - start)
            for disc in range(3):
                away = points - place[scene, disc]
                least = np.linalg.norm(away, axis=-1).min()
                assert found.distance[scene, disc, wall] == pytest.approx(least, abs=0.05)
                vector = np.asarray(found.vector[scene, disc, wall])
                assert np.linalg.norm(vector) == pytest.approx(least, abs=0.05)
                assert np.allclose(found.point[scene, disc, wall], place[scene, disc] + vector, atol=1e-3)
                expected = velocity[scene, disc] @ vector / np.linalg.norm(vector)
                assert found.approach[scene, disc, wall] == pytest.approx(expected, abs=1e-2)


def test_walls_are_objects_at_rest_with_a_flag():
    frames = make_frames(1, 2)
    frames.position[0, 1, 0] = [100.0, 250.0]
    frames.walls.present[0, 1] = False
    seen = seen_in(frames, neighbourhood=3.5, walls=True)
    assert seen.own.shape == (1, 2, 12) and seen.context.shape == (1, 2, 1 + 4, 12)
    left = seen.context[0, 0, 1 + 3].reshape(2, 6)
    assert np.allclose(left, [[0.0, 250.0 / 800.0, 0.0, 0.0, STATIC_MASS, 1.0]] * 2)
    assert (seen.own[0].reshape(2, 2, 6)[..., 5] == 0.0).all()
    # bottom 250 px away, right not present, top 350 px, left 100 px; 3.5 radii are 210 px
    assert seen.mask[0, 0, 1:].tolist() == [False, False, False, True]
    moving = seen_in(frames, relative=True, walls=True).context[0, 0, 1 + 3].reshape(2, 6)
    assert np.allclose(moving[:, 2:4], -frames.velocity[0, :, 0] / SPEED)
    assert np.allclose(moving[1, :2], [-100.0 / 800.0, 0.0], atol=1e-6)


def test_gradients_of_distances_are_finite_at_zero():
    frames = make_frames(1, 2)
    frames.position[:, :, 1] = frames.position[:, :, 0] = [0.0, 300.0]  # both on the left wall
    assert ROOM[3, :, 0].tolist() == [0.0, 0.0]

    def total(place):
        seen = see_walls(place, jnp.asarray(frames.velocity[:, 1]), frames.walls)
        return jnp.sum(pair_distances(place)) + jnp.sum(seen.distance) + jnp.sum(seen.approach)

    assert np.isfinite(jax.jit(jax.grad(total))(jnp.asarray(frames.position[:, 1]))).all()


def test_cleaned_frames_are_finite():
    frames = make_frames(1, 3, obstacle=True)
    frames.present[0, 0], frames.walls.present[0, 0] = False, False
    frames.position[0, :, 0], frames.velocity[0, :, 0], frames.mass[0, 0] = np.nan, np.inf, np.nan
    frames.walls.ends[0, 0] = np.nan
    found = jax.jit(cleaned)(frames)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
    assert (found.position[:, :, 1:] == frames.position[:, :, 1:]).all() and found.mass[0, 1] == frames.mass[0, 1]
