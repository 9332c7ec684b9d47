"""The objective: finite where pictures are empty, smaller for better dreams, blind to what is not decoded."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.video import Sizes, VideoModel
from o2t_jax.models.video.objective import Weights, objective
from o2t_jax.models.video.quantisers import Codebook

WEIGHTS = Weights(
    context=2,
    square=100.0,
    absolute=2.0,
    latent=1.0,
    commit=0.25,
    bright=1.0,
    recon_frames=2,
    dream_frames=3,
    judged=1.0,
)
FRAMES, SIZE = 8, 16


@pytest.fixture(scope="module")
def made():
    model = VideoModel(Sizes((6,), 5, 1, 2), Codebook(size=4, count=16))
    params = model.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE)), jnp.zeros((1, 2)))["params"]
    return model, params, {"codebook": model.quantiser.init(jax.random.key(1))}


def batch(pictures: np.ndarray, **more: np.ndarray) -> dict:
    actions = np.zeros((len(pictures), FRAMES - 1, 2), np.float32)
    return {"pictures": pictures, "actions": actions, "weight": np.ones(len(pictures), np.float32), **more}


def test_gradients_of_empty_pictures_stay_small(made) -> None:
    """A dream normalises its latents at every frame: a latent of zero would multiply a gradient ten times over."""
    model, params, extra = made
    memory = extra["codebook"]
    keys = jax.random.split(jax.random.key(2), 2)

    @jax.jit
    def step(params, memory):
        def loss(params):
            found = objective(model, WEIGHTS, params, {"codebook": memory}, batch(black), keys)
            return jnp.mean(found[0]), found[2]

        gradient, moments = jax.grad(loss, has_aux=True)(params)
        return gradient, model.quantiser.advance(memory, moments, jax.random.key(3))

    black = np.zeros((2, FRAMES, SIZE, SIZE), np.float32)
    for _ in range(3):
        gradient, memory = step(params, memory)
        assert np.sqrt(sum(float(jnp.sum(jnp.square(x))) for x in jax.tree.leaves(gradient))) < 1e3


def test_reward_and_continuation_count_where_there_are_any(made) -> None:
    model, params, extra = made
    keys = jax.random.split(jax.random.key(2), 2)
    pictures = np.random.default_rng(0).random((2, FRAMES, SIZE, SIZE)).astype(np.float32)
    plain = jax.jit(lambda x: objective(model, WEIGHTS, params, extra, x, keys)[:2])
    loss, parts = plain(batch(pictures))
    assert loss.shape == (2,) and "judged" not in parts
    np.testing.assert_allclose(loss, sum(parts.values()), rtol=1e-6)
    rewards, continues = np.full((2, FRAMES), 3.0, np.float32), np.ones((2, FRAMES), np.float32)
    judged = plain(batch(pictures, rewards=rewards, continues=continues))[1]["judged"]
    # The heads start at zero: an error of 3, and one bit of doubt.
    np.testing.assert_allclose(judged, 9.0 + np.log(2.0), rtol=1e-5)


def test_a_clip_of_twice_the_weight_has_twice_the_squared_error(made) -> None:
    model, params, extra = made
    keys = jax.random.split(jax.random.key(2), 2)
    pictures = np.random.default_rng(0).random((2, FRAMES, SIZE, SIZE)).astype(np.float32)
    weights = dataclasses.replace(WEIGHTS, absolute=0.0)
    of = jax.jit(
        lambda weight: objective(model, weights, params, extra, {**batch(pictures), "weight": weight}, keys)[1]
    )
    once, twice = of(np.ones(2, np.float32)), of(np.array([1.0, 2.0], np.float32))
    for name in ("recon", "dream"):
        np.testing.assert_allclose(twice[name], once[name] * np.array([1.0, 2.0]), rtol=1e-5)
    np.testing.assert_array_equal(twice["latent"], once["latent"])
