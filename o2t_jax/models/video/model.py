"""The world model: encoder, quantiser, convolutional GRU under actions, decoder, heads for reward and continuation.

The GRU remembers what a single picture does not show: velocities, and the clip's own constants.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.dynamics.nets import with_coordinates
from o2t_jax.models.layers import Conv, Dense, zeros
from o2t_jax.models.video.quantisers import Quantised, Quantiser
from o2t_jax.models.video.vision import SIDE, Decoder, Encoder, Pooled, Residual
from o2t_jax.types import Array, PyTree

_KEEP = 1.0  # start of the update gate's bias: it keeps three quarters


@dataclasses.dataclass(frozen=True)
class Sizes:
    """`widths` of the encoder's levels; `hidden` channels of a GRU; `layers` of GRUs; `actions`, numbers of a push."""

    widths: tuple[int, ...]
    hidden: int
    layers: int
    actions: int


class State(NamedTuple):
    """Of a dream: `memory` [B, 8, 8, layers x hidden] of the GRUs; `latents` [B, 8, 8, D] of the picture now."""

    memory: jax.Array
    latents: jax.Array


class Verdict(NamedTuple):
    """Of a map of latents: reward [B] if the episode goes on; symlog [B] of the reward if it ends; logit [B] of going
    on."""

    going_on: jax.Array
    ending: jax.Array
    logit: jax.Array


def symlog(x: Array) -> jax.Array:
    """sign(x) log(1 + |x|): large rewards as small numbers (Hafner et al. 2023)."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: Array) -> jax.Array:
    """The inverse of `symlog`."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


class ConvGRU(nn.Module):
    """A GRU (Cho et al. 2014) over a map; its gates and its candidate are 3x3 convolutions (Ballas et al. 2016)."""

    hidden: int

    @nn.compact
    def __call__(self, memory: jax.Array, x: jax.Array) -> jax.Array:
        """`memory` [B, h, w, hidden], `x` [B, h, w, C] -> the new memory."""
        both = nn.sigmoid(Conv(2 * self.hidden, name="gates")(jnp.concatenate([memory, x], axis=-1)) + _KEEP)
        keep, reset = jnp.split(both, 2, axis=-1)
        fresh = jnp.tanh(Conv(self.hidden, name="candidate")(jnp.concatenate([reset * memory, x], axis=-1)))
        return keep * memory + (1.0 - keep) * fresh


class Dynamics(nn.Module):
    """One frame on: GRUs over latents, coordinates and the push; the change of the latents from what they hold.

    Attributes: `sizes`; `size` of a latent.
    """

    sizes: Sizes
    size: int

    @nn.compact
    def __call__(self, memory: jax.Array, latents: jax.Array, action: Any) -> tuple[jax.Array, jax.Array]:
        """`memory` [B, 8, 8, M], `latents` [B, 8, 8, D], `action` [B, A] -> the new memory, the change [B, 8, 8, D]."""
        sizes = self.sizes
        pushes = jnp.broadcast_to(jnp.asarray(action)[:, None, None], (*latents.shape[:3], sizes.actions))
        given = with_coordinates(jnp.concatenate([latents, pushes], axis=-1))
        x, memories = given, []
        for i, before in enumerate(jnp.split(memory, sizes.layers, axis=-1)):
            x = ConvGRU(sizes.hidden, name=f"gru{i}")(before, x if i == 0 else jnp.concatenate([x, given], axis=-1))
            memories.append(x)
        # What holds for the whole clip, such as gravity, comes to every pixel at once.
        overall = Dense(sizes.hidden, name="overall")(jnp.mean(x, axis=(1, 2)))[:, None, None]
        x = Residual(name="residual")(Conv(sizes.hidden, name="head")(jnp.concatenate([x, latents], axis=-1)) + overall)
        change = Conv(self.size, kernel=1, kernel_init=zeros, name="change")(nn.silu(x))
        return jnp.concatenate(memories, axis=-1), change


class VideoModel(nn.Module):
    """All parts. A method is called as `model.apply({"params": params}, ..., method="encode")`; `run` is short for it.

    Attributes: `sizes`; `quantiser`, whose memory is passed where it is needed.
    """

    sizes: Sizes
    quantiser: Quantiser

    def setup(self) -> None:
        self.encoder = Encoder(self.sizes.widths, self.quantiser.size)
        self.decoder = Decoder(self.sizes.widths)
        self.dynamics = Dynamics(self.sizes, self.quantiser.size)
        self.reward_head = Pooled(2)
        self.continue_head = Pooled(1)

    def __call__(self, pictures: jax.Array, action: jax.Array) -> Any:
        """Everything once, for `init`: `pictures` [B, S, S], `action` [B, A]."""
        latents = self.encode(pictures)
        after = self.step(self.still(latents), latents, action)
        return self.decode(after.latents), self.judged(after.latents)

    def encode(self, pictures: Float[Array, "batch S S"]) -> jax.Array:
        """Latents [B, 8, 8, D], not quantised."""
        return self.quantiser.bound(self.encoder(jnp.asarray(pictures)))

    def decode(self, latents: Float[Array, "batch 8 8 entries"]) -> jax.Array:
        """Pictures [B, S, S], 0 to 1."""
        return self.decoder(jnp.asarray(latents))

    def still(self, latents: Array) -> jax.Array:
        """The memory [B, 8, 8, M] before anything was seen."""
        return jnp.zeros((len(latents), SIDE, SIDE, self.sizes.layers * self.sizes.hidden))

    def step(self, memory: Array, latents: Array, action: Array) -> State:
        """One frame on from `latents`, which are seen or dreamt."""
        after, change = self.dynamics(memory, latents, action)
        return State(after, self.quantiser.moved(latents, change))

    def judged(self, latents: Float[Array, "batch 8 8 entries"]) -> tuple[jax.Array, jax.Array]:
        """Expected reward [B] of being there, and the logit [B] that the episode goes on."""
        found = self.verdict(latents)
        on = nn.sigmoid(found.logit)
        return on * found.going_on + (1.0 - on) * symexp(found.ending), found.logit

    def verdict(self, latents: Float[Array, "batch 8 8 entries"]) -> Verdict:
        """Reward and continuation apart: a bonus at the end is a jump, and what a head regresses is smooth."""
        rewards = self.reward_head(latents)
        return Verdict(rewards[:, 0], rewards[:, 1], self.continue_head(latents)[:, 0])


def run(model: VideoModel, params: PyTree, method: str, *args: Any) -> Any:
    """A method of the model."""
    return model.apply({"params": params}, *args, method=method)


def encode_all(model: VideoModel, params: PyTree, pictures: Float[Array, "batch frames S S"]) -> jax.Array:
    """Latents [B, T, 8, 8, D] of clips."""
    return _over_frames(lambda x: run(model, params, "encode", x), jnp.asarray(pictures))


def decode_all(model: VideoModel, params: PyTree, latents: Float[Array, "batch frames 8 8 entries"]) -> jax.Array:
    """Pictures [B, T, S, S] of maps of latents."""
    return _over_frames(lambda x: run(model, params, "decode", x), jnp.asarray(latents))


def quantise(model: VideoModel, extra: PyTree, latents: Array) -> Quantised:
    """Latents and the codes for them."""
    return model.quantiser(extra.get("codebook", {}), latents)


def follow(
    model: VideoModel, params: PyTree, seen: Float[Array, "batch seen 8 8 entries"], actions: Array, steps: int
) -> tuple[State, State]:
    """From C seen frames to `steps` dreamt ones, frame after frame, without a loop in the program.

    XLA:CPU runs the gradient of a convolution in `lax.scan` an order of magnitude slower than outside of it.

    Args: `actions` [B, at least C + steps - 1, A], the t-th between frames t and t + 1.
    Returns: memories [B, C + steps - 1, 8, 8, M] and latents [B, C + steps - 1, 8, 8, D], the t-th after the step from
        frame t; and the last state.
    """
    seen, actions = jnp.asarray(seen), jnp.asarray(actions)
    context = seen.shape[1]
    state = State(run(model, params, "still", seen), seen[:, 0])
    track = []
    for t in range(context + steps - 1):
        latents = seen[:, t] if t < context else state.latents
        state = run(model, params, "step", state.memory, latents, actions[:, t])
        track.append(state)
    return State(*(jnp.stack(parts, axis=1) for parts in zip(*track, strict=True))), state


def _over_frames(function: Any, x: jax.Array) -> jax.Array:
    b, t = x.shape[:2]
    y = function(x.reshape(b * t, *x.shape[2:]))
    return y.reshape(b, t, *y.shape[1:])


__all__ = [
    "ConvGRU",
    "Dynamics",
    "Sizes",
    "State",
    "Verdict",
    "VideoModel",
    "decode_all",
    "encode_all",
    "follow",
    "quantise",
    "run",
    "symexp",
    "symlog",
]
