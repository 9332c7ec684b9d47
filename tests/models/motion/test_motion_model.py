"""Motion models: bones keep their lengths, what is not known does not come in, gates do what their names say."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.motion.gate import GATES, PhysicsLayer
from o2t_jax.models.motion.model import Moments, MotionModel, MotionSizes, Posterior, Prior, waves
from o2t_jax.models.motion.objective import Weights, divergence, penalties
from o2t_jax.models.motion.poses import moved, numbers_of, with_bones
from o2t_jax.models.motion.ssm import SSMSizes
from o2t_jax.models.motion.text import ENCODERS, WORDS, TextEncoder, word_numbers
from o2t_jax.physics.motion.measures import measures
from o2t_jax.physics.motion.skeleton import OURS, STANDING
from o2t_jax.physics.motion.state import CHANNELS

SSM = SSMSizes(width=8, states=2, layers=1, shared_rates=False, scan="auto", dropout=0.0)
SIZES = MotionSizes("physics", SSM, "bag", "learned", given=4, latent=2)
WEIGHTS = Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
RNG = np.random.default_rng(0)


def standing(frames: int) -> np.ndarray:
    """[1, frames, J, 3]: upright, arms stretched out."""
    places = np.array(OURS.offsets, np.float32)
    places[0, 1] += STANDING
    for i, parent in enumerate(OURS.parents[1:], 1):
        places[i] += places[parent]
    return np.repeat(places[None, None], frames, axis=1)


def lengths(positions: Any) -> np.ndarray:
    parents = np.array(OURS.parents[1:])
    return np.linalg.norm(np.asarray(positions)[..., 1:, :] - np.asarray(positions)[..., parents, :], axis=-1)


def test_bones_get_their_lengths_and_true_ones_stay() -> None:
    pose = standing(2)
    np.testing.assert_allclose(with_bones(pose), pose, atol=1e-6)
    bent = with_bones(pose + RNG.normal(0.0, 0.1, pose.shape).astype(np.float32))
    np.testing.assert_allclose(lengths(bent), np.broadcast_to(lengths(pose), (1, 2, 20)), rtol=1e-5)
    with np.errstate(all="raise"):
        slope = jax.grad(lambda x: jnp.sum(with_bones(x)))(jnp.zeros((21, 3)))
    assert np.all(np.isfinite(slope))  # even where a bone has no direction


def test_the_way_of_the_hips_is_the_sum_of_their_velocity_from_the_last_given_frame() -> None:
    change = np.zeros((1, 6, 63), np.float32)
    np.testing.assert_allclose(moved(standing(6), jnp.asarray(change), 2), standing(6), atol=1e-6)
    change[..., 2] = 2.0  # m/s ahead
    found = np.asarray(moved(standing(6), jnp.asarray(change), 2)) - standing(6)
    np.testing.assert_allclose(found[0, :, 0, 2], 0.1 * (np.arange(6) - 2), atol=1e-6)
    np.testing.assert_allclose(found[0], np.broadcast_to(found[0, :, :1], (6, 21, 3)), atol=1e-6)


def test_numbers_of_a_frame_do_not_look_ahead() -> None:
    positions = RNG.normal(size=(5, 21, 3)).astype(np.float32)
    later = positions.copy()
    later[3:] += 1.0
    np.testing.assert_array_equal(numbers_of(positions)[:3], numbers_of(later)[:3])
    assert not np.allclose(numbers_of(positions)[3], numbers_of(later)[3])


@pytest.fixture(scope="module")
def model() -> tuple[MotionModel, Any, dict[str, Any]]:
    """A model away from its start, and what it is given."""
    model = MotionModel(SIZES)
    given = {
        "given": standing(4) + RNG.normal(0.0, 0.05, (2, 4, 21, 3)).astype(np.float32),
        "known": np.ones(2, np.float32),
        "base": np.repeat(standing(10), 2, axis=0),
        "words": np.stack([word_numbers(x) for x in ("walk", "run")]),
        "latent": np.zeros((2, 2), np.float32),
    }
    params = jax.jit(model.init)(jax.random.key(0), **given)
    noisy = jax.tree.map(lambda x: x + 0.1 * np.random.default_rng(1).normal(size=x.shape).astype(x.dtype), params)
    return model, noisy, given


def test_given_frames_stay_and_bones_keep_their_lengths(model) -> None:
    network, params, given = model
    found = np.asarray(network.apply(params, **given).positions)
    np.testing.assert_array_equal(found[:, :4], given["given"])
    np.testing.assert_allclose(lengths(found[:, 4:]), np.broadcast_to(lengths(standing(1))[0], (2, 6, 20)), rtol=1e-4)


def test_words_and_draws_make_a_difference_and_unknown_frames_make_none(model) -> None:
    network, params, given = model
    apply = jax.jit(lambda **changes: network.apply(params, **{**given, **changes}).positions)
    usual = np.asarray(apply())
    assert np.abs(np.asarray(apply(words=given["words"][::-1])) - usual)[:, 4:].max() > 1e-4
    assert np.abs(np.asarray(apply(latent=given["latent"] + 1.0)) - usual)[:, 4:].max() > 1e-4
    unknown = np.zeros(2, np.float32)
    alone = apply(known=unknown)
    np.testing.assert_array_equal(alone, apply(known=unknown, given=given["given"] + 1.0))
    assert np.abs(np.asarray(alone) - usual).max() > 1e-4


def test_the_physics_state_comes_from_the_given_frames_or_from_the_donor(model) -> None:
    network, params, given = model
    apply = jax.jit(lambda **changes: network.apply(params, **{**given, **changes}).positions)
    np.testing.assert_allclose(apply(), apply(donor=given["given"]), atol=1e-5)
    assert np.abs(np.asarray(apply() - apply(donor=given["given"][::-1]))).max() > 1e-4


@pytest.mark.parametrize("gate", GATES)
def test_a_gate_does_what_its_name_says(gate) -> None:
    layer = PhysicsLayer(SSM, gate)
    x, physics = (jnp.asarray(RNG.normal(size=s), jnp.float32) for s in ((1, 5, 8), (1, CHANNELS)))
    params: Any = jax.jit(layer.init)(jax.random.key(0), x, physics)
    weights = jnp.asarray(RNG.normal(size=x.shape), jnp.float32)

    def change(x: jax.Array, physics: jax.Array) -> Any:
        found: Any = layer.apply(params, x, physics)
        return jnp.sum(weights * (found[0] - x)), found[1]

    (of_x, of_physics), gates = jax.jit(jax.grad(change, argnums=(0, 1), has_aux=True))(x, physics)
    assert bool(jnp.any(jnp.abs(of_x) > 1e-4)) == (gate != "zero")
    assert bool(jnp.any(of_physics != 0.0)) == (gate != "one")
    if gate == "learned":
        assert 0.0 < float(jnp.min(gates)) < float(jnp.max(gates)) < 1.0
    if gate != "learned":
        one = jax.eval_shape(PhysicsLayer(SSM, "learned").init, jax.random.key(0), x, physics)
        assert jax.tree.map(lambda v: v.shape, params) == jax.tree.map(lambda v: v.shape, one)


@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_of_a_sentence_means_nothing(kind) -> None:
    encoder = TextEncoder(8, kind)
    words = word_numbers("a person walks")[None]
    params = encoder.init(jax.random.key(0), words)
    longer = jax.jit(encoder.apply)(params, words)
    moved_on = jax.tree.map(lambda x: x, params)
    moved_on["params"]["embedding"]["embedding"] = moved_on["params"]["embedding"]["embedding"].at[0].add(5.0)
    np.testing.assert_allclose(jax.jit(encoder.apply)(moved_on, words), longer, atol=1e-5)


def test_words_are_numbers_of_their_own_and_a_long_sentence_is_cut() -> None:
    walk, run = word_numbers("A person: Walks!"), word_numbers("a person runs")
    assert (walk[:2] == run[:2]).all() and walk[2] != run[2] and not walk[3:].any()
    assert len(word_numbers("word " * 50)) == WORDS and not word_numbers("").any()


def test_a_penalty_is_lowered_by_its_gradient() -> None:
    """A body that sinks, slides and shakes: a step against the gradient of each penalty lowers what it measures."""
    sliding = standing(8)
    sliding[..., 2] += 0.05 * np.arange(8)[None, :, None]
    shaking = standing(8) + RNG.normal(0.0, 0.02, (1, 8, 21, 3)).astype(np.float32)
    clips = {
        "skate": sliding,
        "penetration": standing(8) - np.array([0.0, 0.05, 0.0], np.float32),
        "float": standing(8) + np.array([0.0, 0.2, 0.0], np.float32),
        "jerk": shaking,
    }
    together = jnp.concatenate([jnp.asarray(clip, jnp.float32) for clip in clips.values()])

    def own(x: jax.Array) -> jax.Array:
        """The measure that each clip is made for."""
        return jnp.stack([measures(x)[name][i] for i, name in enumerate(clips)])

    slope = jax.jit(jax.grad(lambda x: sum(penalties(WEIGHTS, x)[name][i] for i, name in enumerate(clips))))(together)
    assert np.all(np.abs(slope).max((1, 2, 3)) > 0.0)
    step = together - 1e-3 * slope / jnp.max(jnp.abs(slope), axis=(1, 2, 3), keepdims=True)
    before, after = jax.jit(jax.vmap(own))(jnp.stack([together, step]))
    assert np.all(after < before), dict(zip(clips, after - before, strict=True))


def test_a_foot_is_not_lifted_to_end_its_skating() -> None:
    sliding = standing(8)
    sliding[..., 2] += 0.05 * np.arange(8)[None, :, None]
    slope = jax.grad(lambda x: jnp.sum(penalties(WEIGHTS, x)["skate"]))(jnp.asarray(sliding))
    assert np.all(slope[..., 1] == 0.0) and np.any(slope[..., 2] != 0.0)


def test_a_posterior_sees_no_frame_that_is_not_there() -> None:
    network = Posterior(8, 2)
    clip, mask = standing(6), np.array([[1, 1, 1, 1, 0, 0]], np.float32)
    words = word_numbers("walk")[None]
    params: Any = network.init(jax.random.key(0), clip, mask, words)
    other = clip.copy()
    other[:, 4:] += 1.0
    apply = jax.jit(network.apply)
    for a, b in zip(apply(params, clip, mask, words), apply(params, other, mask, words), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_divergence_of_two_gaussians_is_the_mean_of_the_logarithm_of_their_ratio() -> None:
    one = Moments(jnp.array([[0.5, -1.0]]), jnp.array([[-0.5, 0.2]]))
    other = Moments(jnp.array([[0.0, 1.0]]), jnp.array([[0.3, 0.1]]))
    drawn = one.mean + jnp.exp(one.log_scale) * RNG.normal(size=(200_000, 2))

    def log_density(of: Moments) -> jax.Array:
        return -of.log_scale - 0.5 * jnp.square((drawn - of.mean) * jnp.exp(-of.log_scale))

    ratio = jnp.mean(jnp.sum(log_density(one) - log_density(other), axis=-1))
    np.testing.assert_allclose(divergence(one, other)[0], ratio, rtol=0.02)
    assert float(divergence(one, one)[0]) == 0.0


def test_shares_of_waves_of_time_make_a_wave_of_any_phase() -> None:
    basis = waves(64, 16)
    for phase in (0.3, 1.1, 2.5):
        asked = np.cos(2.0 * np.pi * (4.0 * 2 / 7) * np.arange(64) / 20.0 + phase)  # the third of 8 rates, 20 frames/s
        shares = np.linalg.lstsq(basis[:, 4:6], asked, rcond=None)[0]
        np.testing.assert_allclose(basis[:, 4:6] @ shares, asked, atol=1e-4)


def test_what_is_expected_of_words_is_of_these_words() -> None:
    network = Prior(8, 2)
    words = np.stack([word_numbers(text) for text in ("walk", "run", "walk")])
    params: Any = network.init(jax.random.key(0), words)
    for values in jax.jit(network.apply)(params, words):
        np.testing.assert_array_equal(values[0], values[2])
        assert np.all(np.abs(values[0] - values[1]) > 1e-4)
