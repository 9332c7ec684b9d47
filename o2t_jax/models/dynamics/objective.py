"""The two objectives: one bound over an open-loop roll-out ("hgn"), and windows with stopped latents ("detached").

Both take frames [B, T + 1, S, S, c] in 0..1, actions [B, T, A], and keys [B]; a sample's noise comes from its own key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.models.dynamics.model import PictureDynamics, decode_all, roll_out
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
    """
    k = model.sizes.frames
    frames, actions = batch["frames"], batch["actions"]
    mean, log_variance = model.apply({"params": params}, frames[:, :k], method="encode")
    latent = mean + jnp.exp(0.5 * log_variance) * _noise(keys, mean.shape[1:])
    z = model.apply({"params": params}, latent, actions[:, : k - 1], method="to_state")
    track = roll_out(model, params, z, actions[:, k - 1 :], batch["dt"], inner)
    track = jnp.concatenate([z[:, None], track], axis=1)
    target = frames[:, k - 1 :]
    count = track.shape[1]
    if 0 < weights.decoded < count:
        chosen = jax.vmap(lambda key: _choose(key, count, weights.decoded))(keys)
        track, target = (jax.vmap(lambda x, i: x[i])(x, chosen) for x in (track, target))
    error = jnp.square(decode_all(model, params, track) - target)
    pixels = _sum_of_pixels(error * pixel_weights(frames, target, weights.focus))
    kl = divergence(mean, log_variance, weights.free_bits)
    return count * pixels + weights.beta * kl, {"pixels": _sum_of_pixels(error), "kl": kl}


def detached(
    model: PictureDynamics, weights: Weights, params: PyTree, batch: Any, keys: Any, inner: int
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Encodes every window of K frames; a variational autoencoder of each, and a predictor of stopped latents.

    The loss [B]: squared error of the decoded windows' last frames, summed over pixels, and beta KL, means over windows,
    + weight x mean squared error of the states one step ahead, both states stopped. A predictor with a memory carries
    it along the sequence; its input is the encoded state at every step.
    """
    k = model.sizes.frames
    frames, actions = batch["frames"], batch["actions"]
    count = frames.shape[1] - k + 1
    windows = jnp.stack([frames[:, i : i + k] for i in range(count)], axis=1)
    between = jnp.stack([actions[:, i : i + k - 1] for i in range(count)], axis=1)
    apply = lambda *args, method: model.apply({"params": params}, *args, method=method)  # noqa: E731
    mean, log_variance = apply(_joined(windows), method="encode")
    latent = mean + jnp.exp(0.5 * log_variance) * _noise(keys, (count, *mean.shape[1:])).reshape(mean.shape)
    split = lambda x: x.reshape(-1, count, *x.shape[1:])  # noqa: E731
    drawn = split(apply(latent, _joined(between), method="to_state"))
    target = frames[:, k - 1 :]
    error = jnp.square(decode_all(model, params, drawn) - target)
    pixels = _sum_of_pixels(error * pixel_weights(frames, target, weights.focus))
    kl = jnp.mean(split(divergence(mean, log_variance, weights.free_bits)), axis=1)

    known = jax.lax.stop_gradient(split(apply(mean, _joined(between), method="to_state")))
    state, misses = apply(known[:, 0], method="start"), []
    for t in range(count - 1):
        state = {**state, "z": known[:, t]}
        for _ in range(inner):
            state = apply(state, actions[:, k - 1 + t], batch["dt"] / inner, method="step")
        misses.append(jnp.mean(jnp.square(state["z"] - known[:, t + 1]).reshape(known.shape[0], -1), axis=-1))
    miss = jnp.mean(jnp.stack(misses), axis=0)
    loss = pixels + weights.beta * kl + weights.predictor * miss
    return loss, {"pixels": _sum_of_pixels(error), "kl": kl, "predictor": miss}


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
