"""The model of pictures as one Flax module, whose parts are named as its parameters are, and its roll-out."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax

from o2t_jax.models.cores.unroll import unroll
from o2t_jax.models.dynamics.nets import halves
from o2t_jax.models.dynamics.predictors import Predictor, is_flat, make_predictor
from o2t_jax.models.dynamics.vision import Decoder, Encoder, Transform
from o2t_jax.types import PyTree


class Sizes(NamedTuple):
    """Sizes of the networks: see `Encoder`, `Transform`, `Decoder` and `Predictor`.

    `frames` K that the encoder sees; `channels` of the latent, half of them positions; `side`, pixels of its map.
    """

    frames: int
    channels: int
    side: int
    encoder_widths: tuple[int, ...]
    encoder_depths: tuple[int, ...]
    transform_hidden: int
    decoder_widths: tuple[int, ...]
    predictor_hidden: int
    picture_channels: int


class PictureDynamics(nn.Module):
    """Encoder, transform, predictor and decoder: parts `encoder`, `transform`, `predictor`, `decoder`."""

    predictor_name: str
    sizes: Sizes
    integrator: str = ""

    def setup(self) -> None:
        sizes, flat = self.sizes, is_flat(self.predictor_name)
        self.encoder = Encoder(sizes.encoder_widths, sizes.encoder_depths, sizes.channels, flat)
        self.transform = Transform(sizes.transform_hidden, sizes.channels, flat)
        self.decoder = Decoder(sizes.decoder_widths, sizes.picture_channels, sizes.side, flat)
        self.predictor: Predictor = make_predictor(
            self.predictor_name, channels=sizes.channels, hidden=sizes.predictor_hidden, integrator=self.integrator
        )

    def __call__(self, frames: jax.Array, actions: jax.Array, action: jax.Array, h: Any) -> jax.Array:
        """Every part once, for `init`: frames [B, K, S, S, c], actions [B, K - 1, A], action [B, A]."""
        mean, _ = self.encode(frames)
        state = self.start(self.to_state(mean, actions))
        return self.decode(self.step(state, action, h)["z"])

    def encode(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance of the latent of `frames` [B, K, S, S, c] in 0..1."""
        return self.encoder(frames)

    def to_state(self, latent: jax.Array, actions: jax.Array) -> jax.Array:
        """The state z at the last of the encoder's frames; `actions` [B, K - 1, A] between them."""
        return self.transform(latent, actions)

    def start(self, z: jax.Array) -> PyTree:
        """The predictor's state at the first z."""
        return self.predictor.start(z)

    def step(self, state: PyTree, action: jax.Array, h: Any, context: Any = None) -> PyTree:
        """One inner step of the predictor."""
        return self.predictor(state, action, h, context)

    def decode(self, z: jax.Array) -> jax.Array:
        """Pictures [B, S, S, c] in 0..1 of the positions in z."""
        return self.decoder(halves(z)[0])


def run(model: PictureDynamics, params: PyTree, method: str, *inputs: Any) -> Any:
    """A method of the model with these parameters."""
    return model.apply({"params": params}, *inputs, method=method)


def roll_out(
    model: PictureDynamics, params: PyTree, z: jax.Array, actions: jax.Array, dt: Any, inner: int
) -> jax.Array:
    """States [B, T, ...] after each of `actions` [B, T, A], from `z` [B, ...], open loop.

    Args: `dt` s, [] or [B]; `inner`, steps of the predictor in one of dt.
    """

    def core(state: PyTree, action: jax.Array, dt: Any, context: Any) -> PyTree:
        for _ in range(inner):
            state = run(model, params, "step", state, action, dt / inner, context)
        return state

    state = run(model, params, "start", z)
    return unroll(core, state, actions, dt)[1]["z"]


def decode_all(model: PictureDynamics, params: PyTree, z: jax.Array) -> jax.Array:
    """Pictures [B, T, S, S, c] of states [B, T, ...]."""
    flat = run(model, params, "decode", z.reshape(-1, *z.shape[2:]))
    return flat.reshape(*z.shape[:2], *flat.shape[1:])


__all__ = ["PictureDynamics", "Sizes", "decode_all", "roll_out", "run"]
