"""The two objectives: one bound over an open-loop roll-out ("hgn"), and windows with stopped latents ("detached").

Both take frames [B, T + 1, S, S, c] in 0..1, actions [B, T, A], and keys [B]; a sample's noise comes from its own key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.models.dynamics.model import PictureDynamics, decode_all, roll_out, run
from o2t_jax.types import PyTree


class Weights(NamedTuple):
    """`beta` of the KL term; `free_bits`, nats of each latent entry that cost nothing; `predictor`, weight of the
    predictor's loss (detached only); `decoded`, how many of a roll-out's frames a step decodes, drawn at random (0: all
    of them); `focus`, see `pixel_weights`."""

    beta: float
    free_bits: float
    predictor: float
    decoded: int
    focus: float
    consistency: float


def divergence(mean: jax.Array, log_variance: jax.Array, free_bits: float) -> jax.Array:
    """KL [B] in nats of N(mean, variance) from N(0, 1), summed over entries; each costs at least `free_bits`."""
    each = 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1.0 - log_variance)
    return jnp.sum(jnp.maximum(each, free_bits).reshape(each.shape[0], -1), axis=-1)


def hgn(
    model: PictureDynamics, weights: Weights, params: PyTree, batch: Any, keys: Any, inner: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Encodes the first K frames once, rolls out, decodes all frames from the K-th on: one evidence lower bound.

    The loss [B]: squared error summed over pixels, channels and frames, + beta KL(first latent). Where only some frames
    are decoded, their sum is scaled up to all of them. Metric `pixels` is that of one frame.
    + consistency x mean squared distance, times the frames, of the rolled-out state from the state (stopped) encoded
    from the K frames up to one later time, drawn at random: so that directions which the decoder does not see cannot
    drift away beyond the horizon of the training.
    """
    k = model.sizes.frames
    frames, actions = batch["frames"], batch["actions"]
    mean, log_variance = run(model, params, "encode", frames[:, :k])
    latent = mean + jnp.exp(0.5 * log_variance) * _noise(keys, mean.shape[1:])
    z = run(model, params, "to_state", latent, actions[:, : k - 1])
    track = roll_out(model, params, z, actions[:, k - 1 :], batch["dt"], inner)
    track = jnp.concatenate([z[:, None], track], axis=1)
    target = frames[:, k - 1 :]
    count, miss = track.shape[1], jnp.zeros(())
    if weights.consistency:
        miss = _distance(model, params, track, frames, actions, keys)
    if 0 < weights.decoded < count:
        chosen = jax.vmap(lambda key: _choose(key, count, weights.decoded))(keys)
        track, target = (jax.vmap(lambda x, i: x[i])(x, chosen) for x in (track, target))
    error = jnp.square(decode_all(model, params, track) - target)
    pixels = _sum_of_pixels(error * pixel_weights(frames, target, weights.focus))
    kl = divergence(mean, log_variance, weights.free_bits)
    loss = count * (pixels + weights.consistency * miss) + weights.beta * kl
    parts = {"pixels": _sum_of_pixels(error), "kl": kl}
    return loss, parts | {"distance": miss} if weights.consistency else parts


def detached(
    model: PictureDynamics, weights: Weights, params: PyTree, batch: Any, keys: Any, inner: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Encodes every window of K frames; a variational autoencoder of each, and a predictor of stopped latents.

    The loss [B]: squared error of the windows' last frames, summed over pixels, and beta KL, means over windows,
    + weight x mean squared error of the states one step ahead, both states stopped. A predictor with a memory carries
    it along the sequence; its input is the encoded state at every step.
    """
    k = model.sizes.frames
    frames, actions = batch["frames"], batch["actions"]
    count = frames.shape[1] - k + 1
    windows = jnp.stack([frames[:, i : i + k] for i in range(count)], axis=1)
    between = jnp.stack([actions[:, i : i + k - 1] for i in range(count)], axis=1)
    mean, log_variance = run(model, params, "encode", _joined(windows))
    latent = mean + jnp.exp(0.5 * log_variance) * _noise(keys, (count, *mean.shape[1:])).reshape(mean.shape)
    split = lambda x: x.reshape(-1, count, *x.shape[1:])  # noqa: E731
    drawn = split(run(model, params, "to_state", latent, _joined(between)))
    target = frames[:, k - 1 :]
    error = jnp.square(decode_all(model, params, drawn) - target)
    pixels = _sum_of_pixels(error * pixel_weights(frames, target, weights.focus))
    kl = jnp.mean(split(divergence(mean, log_variance, weights.free_bits)), axis=1)

    known = jax.lax.stop_gradient(split(run(model, params, "to_state", mean, _joined(between))))
    first = run(model, params, "start", known[:, 0])
    miss = _one_step_ahead(model, params, first, known, actions[:, k - 1 :], batch["dt"] / inner, inner)
    loss = pixels + weights.beta * kl + weights.predictor * miss
    return loss, {"pixels": _sum_of_pixels(error), "kl": kl, "predictor": miss}


def _one_step_ahead(
    model: PictureDynamics, params: PyTree, state: PyTree, known: jax.Array, actions: jax.Array, h: Any, inner: int
) -> jax.Array:
    """Mean squared error [B] of the states after each of `known` [B, T + 1, ...] but the last, under `actions`."""

    def body(state: PyTree, now: tuple[jax.Array, ...]) -> tuple[PyTree, jax.Array]:
        z, action, after = now
        state = {**state, "z": z}
        for _ in range(inner):
            state = run(model, params, "step", state, action, h)
        return state, jnp.mean(jnp.square(state["z"] - after).reshape(z.shape[0], -1), axis=-1)

    by_time = tuple(jnp.moveaxis(x, 1, 0) for x in (known[:, :-1], actions, known[:, 1:]))
    return jnp.mean(jax.lax.scan(body, state, by_time)[1], axis=0)


def _distance(
    model: PictureDynamics, params: PyTree, track: jax.Array, frames: jax.Array, actions: jax.Array, keys: Any
) -> jax.Array:
    """Mean squared distance [B] of `track` [B, T, ...] from the encoded state at one time after the first."""
    k, count = model.sizes.frames, track.shape[1]
    later = jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 2), (), 1, count))(keys)
    cut = lambda x, size: jax.vmap(lambda x, t: jax.lax.dynamic_slice_in_dim(x, t, size))(x, later)  # noqa: E731
    mean, _ = run(model, params, "encode", cut(frames, k))
    known = run(model, params, "to_state", mean, cut(actions, k - 1))
    apart = jnp.square(cut(track, 1)[:, 0] - jax.lax.stop_gradient(known))
    return jnp.mean(apart.reshape(apart.shape[0], -1), axis=-1)


def pixel_weights(frames: jax.Array, target: jax.Array, focus: float) -> jax.Array:
    """1 + focus x the target's distance from the sequence's mean picture, 1 being a distance of 1 in all channels.

    It draws attention to what moves. Only pictures enter.
    """
    still = jnp.mean(frames, axis=1, keepdims=True)
    return 1.0 + focus * jnp.mean(jnp.abs(target - still), axis=-1, keepdims=True)


def _sum_of_pixels(error: jax.Array) -> jax.Array:
    """[B, T, S, S, c] -> [B]: sum over pixels and channels, mean over frames."""
    return jnp.mean(jnp.sum(error, axis=(2, 3, 4)), axis=1)


def _choose(key: jax.Array, count: int, chosen: int) -> jax.Array:
    return jax.random.choice(jax.random.fold_in(key, 1), count, (chosen,), replace=False)


def _noise(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def _joined(x: jax.Array) -> jax.Array:
    return x.reshape(-1, *x.shape[2:])


__all__ = ["Weights", "detached", "divergence", "hgn", "pixel_weights"]
