"""Quantisers by their laws: running means, codes that come back to life, straight-through gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.video.quantisers import QUANTISERS, Codebook, Continuous, FiniteScalar, nearest
from o2t_jax.systems import video_config

KEY = jax.random.key(0)


def latents(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_nearest_is_the_least_distance_for_any_number_of_rows() -> None:
    codes, rows = latents(50, 4), latents(777, 4) + 0.5
    distance = np.sum(np.square(rows[:, None] - codes), axis=-1)
    np.testing.assert_array_equal(nearest(jnp.asarray(codes), jnp.asarray(rows)), np.argmin(distance, axis=1))


def test_codebook_moves_as_computed_by_hand() -> None:
    book = Codebook(size=2, count=2, decay=0.5, dead=0.0, rows=1)
    memory = {
        "codes": jnp.array([[0.0, 0.0], [4.0, 0.0]]),
        "weights": jnp.array([2.0, 1.0]),
        "sums": jnp.array([[0.0, 0.0], [4.0, 0.0]]),
    }
    z = jnp.array([[[1.0, 0.0], [0.0, 2.0], [5.0, 1.0]]])
    found = book(memory, z)
    np.testing.assert_array_equal(found.index, [[0, 0, 1]])
    np.testing.assert_allclose(found.commitment, [[0.5, 2.0, 1.0]])
    after = book.advance(memory, book.statistics(z, found, jax.random.split(KEY, 1)), KEY)
    # weights: (2 + 2) / 2, (1 + 1) / 2; sums: (0, 0) + (1, 2), half of it; (4, 0) + (5, 1), half of it
    np.testing.assert_allclose(after["weights"], [2.0, 1.0])
    np.testing.assert_allclose(after["sums"], [[0.5, 1.0], [4.5, 0.5]])
    np.testing.assert_allclose(after["codes"], [[0.25, 0.5], [4.5, 0.5]])


def test_statistics_of_two_halves_add_up_to_those_of_the_batch() -> None:
    book = Codebook(size=4, count=8)
    memory, z, keys = book.init(KEY), jnp.asarray(latents(4, 5, 4)), jax.random.split(KEY, 4)
    of = lambda rows: book.statistics(z[rows], book(memory, z[rows]), keys[rows])  # noqa: E731
    whole, first, second = of(slice(None)), of(slice(2)), of(slice(2, None))
    for name in ("code_counts", "code_sums"):
        np.testing.assert_allclose(whole[name], first[name] + second[name], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(whole["code_rows"], np.concatenate([first["code_rows"], second["code_rows"]]))


def test_dead_codes_start_again_at_latents_and_live_ones_stay() -> None:
    book = Codebook(size=2, count=3, decay=0.9, dead=0.1, rows=4)
    far = jnp.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    memory = {"codes": far, "weights": jnp.array([1.0, 0.0, 0.0]), "sums": far}
    z = jnp.asarray(0.1 * latents(2, 3, 2))
    after = book.advance(memory, book.statistics(z, book(memory, z), jax.random.split(KEY, 2)), KEY)
    offered = z.reshape(-1, 2)
    for code in after["codes"][1:]:
        assert np.min(np.abs(offered - code).sum(axis=1)) == 0.0
    assert not np.array_equal(after["codes"][1], after["codes"][2])
    assert np.all(np.abs(after["codes"][0]) < 1.0)
    assert np.all(after["weights"][1:] > 0.0)


def test_codes_are_learned_from_nothing() -> None:
    """Eight clusters, eight codes that start anywhere: all are used, and each is a cluster's middle."""
    book = Codebook(size=2, count=8, decay=0.8, dead=0.05, rows=8)
    middles = jnp.asarray(10.0 * np.stack(np.meshgrid([0.0, 1.0, 2.0, 3.0], [0.0, 1.0]), axis=-1).reshape(8, 2))

    @jax.jit
    def step(memory: dict, key: jax.Array) -> tuple[dict, jax.Array]:
        of_which, of_noise, of_rows, of_advance = jax.random.split(key, 4)
        z = middles[jax.random.randint(of_which, (4, 32), 0, 8)] + 0.1 * jax.random.normal(of_noise, (4, 32, 2))
        found = book(memory, z)
        moments = book.statistics(z, found, jax.random.split(of_rows, 4))
        return dict(book.advance(memory, moments, of_advance)), jnp.max(found.commitment)

    memory = book.init(KEY)
    for key in jax.random.split(KEY, 60):
        memory, worst = step(memory, key)
    assert worst < 1.0
    assert len({tuple(np.round(code / 10.0)) for code in np.asarray(memory["codes"])}) == 8


@pytest.mark.parametrize("quantiser", [Codebook(size=3, count=8), FiniteScalar((5, 4, 3)), Continuous(size=3)])
def test_gradient_passes_straight_through(quantiser) -> None:
    memory, weight = quantiser.init(KEY), latents(7, 3)
    z = quantiser.bound(latents(7, 3))
    gradient = jax.grad(lambda z: jnp.sum(weight * quantiser(memory, z).codes))(z)
    np.testing.assert_allclose(gradient, weight, rtol=1e-6)


def test_finite_scalars_are_the_nearest_levels_and_have_numbers() -> None:
    quantiser = FiniteScalar((5, 4, 3))
    z = quantiser.bound(3.0 * latents(500, 3))
    found = quantiser({}, z)
    spacing = 2.0 / (np.array(quantiser.levels) - 1.0)
    assert np.all(np.abs(found.codes - z) <= 0.5 * spacing + 1e-6)
    np.testing.assert_allclose(quantiser.looked_up({}, found.index), found.codes, atol=1e-6)
    every = quantiser.looked_up({}, np.arange(quantiser.count))
    assert len({tuple(np.round(code, 3)) for code in np.asarray(every)}) == quantiser.count == 60
    assert np.all(np.isfinite(quantiser.moved(every, jnp.full_like(every, 10.0))))


def test_registry_has_what_the_config_offers() -> None:
    assert set(QUANTISERS) == set(video_config.QUANTISERS)
    for name in QUANTISERS:
        config = video_config.default()
        config.quantiser = name
        quantiser = QUANTISERS.get(name)(config)
        assert quantiser.count == (0 if name == "none" else 512)
