"""What the world model is trained on: pictures from codes, pictures from dreams, latents one and more frames ahead."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from o2t_jax.models.video.model import VideoModel, decode_all, encode_all, follow, quantise, run, symlog
from o2t_jax.types import Array, Batch, PyTree


@dataclasses.dataclass(frozen=True)
class Weights:
    """Of the parts of the loss, and how many frames are decoded.

    Attributes: `context`, frames that are seen; `square`, `absolute`, of errors of a pixel; `latent`, of squared
    distances of predicted latents; `commit`, of latents from their codes; `bright`, how much more a white pixel counts
    than a black one; `recon_frames`, `dream_frames`, frames of each clip that are decoded in a step, drawn at random;
    `judged`, of reward and continuation, where a batch has them; `rewards`, how much more a reward's squared error
    counts than the cross-entropy of continuation.
    """

    context: int
    square: float
    absolute: float
    latent: float
    commit: float
    bright: float
    recon_frames: int
    dream_frames: int
    judged: float
    rewards: float = 1.0


def objective(
    model: VideoModel, weights: Weights, params: PyTree, extra: PyTree, batch: Batch, keys: Array
) -> tuple[jax.Array, dict[str, jax.Array], Any]:
    """Loss [b] of each clip, its parts [b], statistics for the codebook.

    `batch`: `pictures` [b, T, S, S] 0 to 1; `actions` [b, T - 1, A]; `weight` [b], of a clip's squared errors; perhaps
    `rewards` [b, T] and `continues` [b, T].
    """
    truth, actions = jnp.asarray(batch["pictures"]), batch["actions"]
    of_recon, of_dream, of_codes = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
    latents = encode_all(model, params, truth)
    found = quantise(model, extra, latents)
    horizon = truth.shape[1] - weights.context
    dreamt = follow(model, params, found.codes[:, : weights.context], actions, horizon)[0].latents
    parts = {
        "recon": _of_some(model, weights, params, found.codes, truth, batch["weight"], of_recon, weights.recon_frames),
        "dream": _of_some(
            model,
            weights,
            params,
            dreamt[:, weights.context - 1 :],
            truth[:, weights.context :],
            batch["weight"],
            of_dream,
            weights.dream_frames,
        ),
        # No velocity is seen in a single frame: from the second prediction on.
        "latent": weights.latent
        * jnp.mean(jnp.square(dreamt[:, 1:] - jax.lax.stop_gradient(latents[:, 2:])), axis=(1, 2, 3, 4)),
        "commit": weights.commit * jnp.mean(found.commitment, axis=(1, 2, 3)),
    }
    if "rewards" in batch:
        both = jnp.concatenate([found.codes, dreamt[:, weights.context - 1 :]], axis=1)
        parts["judged"] = weights.judged * _judged(model, weights, params, both, batch)
    return jnp.sum(jnp.stack(list(parts.values())), axis=0), parts, model.quantiser.statistics(latents, found, of_codes)


def _of_some(
    model: VideoModel,
    weights: Weights,
    params: PyTree,
    latents: jax.Array,
    truth: jax.Array,
    weight: Array,
    keys: jax.Array,
    count: int,
) -> jax.Array:
    """Error [b] of `count` decoded frames of each clip, drawn without replacement."""
    frames = truth.shape[1]
    if count < frames:
        chosen = jax.vmap(lambda key: jax.random.permutation(key, frames)[:count])(keys)
        latents, truth = (jax.vmap(lambda x, i: x[i])(x, chosen) for x in (latents, truth))
    error = decode_all(model, params, latents) - truth
    square = jnp.mean((1.0 + weights.bright * truth) * jnp.square(error), axis=(1, 2, 3))
    return weights.square * jnp.asarray(weight) * square + weights.absolute * jnp.mean(jnp.abs(error), axis=(1, 2, 3))


def _judged(model: VideoModel, weights: Weights, params: PyTree, latents: jax.Array, batch: Batch) -> jax.Array:
    """Error [b] of reward and continuation: of the codes of all frames, then of the frames that were dreamt."""
    b, t = latents.shape[:2]
    found = run(model, params, "verdict", latents.reshape(b * t, *latents.shape[2:]))
    going_on, ending, logit = (x.reshape(b, t) for x in found)
    dreamt = t - batch["rewards"].shape[1]
    rewards, on = (jnp.concatenate([x, x[:, -dreamt:]], axis=1) for x in (batch["rewards"], batch["continues"]))
    missed = on * jnp.square(going_on - rewards) + (1.0 - on) * jnp.square(ending - symlog(rewards))
    return jnp.mean(weights.rewards * missed + optax.sigmoid_binary_cross_entropy(logit, on), axis=1)


__all__ = ["Weights", "objective"]
