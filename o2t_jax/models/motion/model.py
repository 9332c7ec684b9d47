"""Motion SSM and PhysicsSSM: from words and the first frames, or from words alone, to a clip of motion.

A clip is predicted as the correction of a guess, the base. What is seen, then the base, and flags that tell one from
the other go through a projector, Mamba layers and, in PhysicsSSM, the physics layer; a last map, zero at first, makes
the correction.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from o2t_jax.models.layers import MLP, Dense, zeros
from o2t_jax.models.motion.gate import PhysicsLayer
from o2t_jax.models.motion.poses import moved, numbers_of
from o2t_jax.models.motion.ssm import MambaStack, SSMSizes
from o2t_jax.models.motion.text import TextEncoder
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.state import physics_state
from o2t_jax.types import Array

MODELS = ("motion", "physics")
CODES = 16  # numbers of a frame that a posterior reads
FASTEST = 4.0  # Hz of a wave of time that a latent gives a share
Clip = Float[jax.Array, "batch frames joints 3"]


@dataclasses.dataclass(frozen=True)
class MotionSizes:
    """`model`, a name in `MODELS`; `ssm`; `text`, a name in `text.ENCODERS`; `gate`, a name in `gate.GATES`; `given`
    frames; `latent`, numbers that are drawn for a clip, 0 for a deterministic head."""

    model: str
    ssm: SSMSizes
    text: str
    gate: str
    given: int
    latent: int


class Moments(NamedTuple):
    """Mean and logarithm of the standard deviation of a Gaussian: [B, Z] each."""

    mean: jax.Array
    log_scale: jax.Array

    def at(self, dice: Array) -> jax.Array:
        """Its values [B, Z] for draws `dice` of a standard Gaussian."""
        return self.mean + jnp.exp(self.log_scale) * dice


class Predicted(NamedTuple):
    """`positions` [B, T, J, 3] m, the given frames among them; `gate` [B, T, width], None without a physics layer."""

    positions: jax.Array
    gate: jax.Array | None


class MotionModel(nn.Module):
    """Frames 0 to `given` - 1 are seen where `known` is 1; no other frame of the clip is."""

    sizes: MotionSizes

    @nn.compact
    def __call__(
        self,
        given: Float[Array, "batch given joints 3"],
        known: Float[Array, " batch"],
        base: Float[Array, "batch frames joints 3"],
        words: Int[Array, "batch words"],
        latent: Float[Array, "batch latent"],
        donor: Float[Array, "batch given joints 3"] | None = None,
        train: bool = False,
    ) -> Predicted:
        """Args: `base`, the guess for all T frames, from what is known; `latent`, its numbers; `donor`, the frames that
        the physics state is computed from, `given` if None."""
        sizes, width = self.sizes, self.sizes.ssm.width
        given, base, known = jnp.asarray(given), jnp.asarray(base), jnp.asarray(known)[:, None, None]
        # Where nothing is known, the given frames are the base's too: not a bit of them comes in.
        seen = jnp.where(known[..., None] > 0, given, base[:, : sizes.given])
        clip = jnp.concatenate([seen, base[:, sizes.given :]], axis=1)
        frames = clip.shape[1]
        place = self.param("place", nn.initializers.normal(0.02), (frames, width), jnp.float32)
        flag = known * (jnp.arange(frames) < sizes.given)[None, :, None]
        x = MLP((width, width), name="projector")(jnp.concatenate([numbers_of(clip), flag], axis=-1))
        x = x + place + TextEncoder(width, sizes.text, name="text")(words)[:, None]
        if sizes.latent:
            # A phase mixes waves of time, whose shares the latent sets: a sum of the two could not shift a wave.
            x = x + Dense(width, name="latent")(latent)[:, None] * waves(frames, width)
        x = MambaStack(sizes.ssm, name="ssm")(x, train)
        gate = None
        if sizes.model == "physics":
            state = physics_state(seen if donor is None else donor) * known[:, 0]
            x, gate = PhysicsLayer(sizes.ssm, sizes.gate, name="physics")(x, state)
        x = nn.silu(Dense(width, name="wide")(nn.LayerNorm(name="norm")(x)))
        change = Dense(3 * clip.shape[2], kernel_init=zeros, name="change")(x)
        found = moved(base, change, sizes.given - 1)
        start = jnp.where(known[..., None] > 0, given, found[:, : sizes.given])
        return Predicted(jnp.concatenate([start, found[:, sizes.given :]], axis=1), gate)


def waves(frames: int, width: int) -> np.ndarray:
    """Cosines and sines of time [T, width], in turn, of 0 to `FASTEST` Hz."""
    number = np.arange(width)
    rates = FASTEST * (number // 2) / max((width - 1) // 2, 1)
    turns = rates * np.arange(frames)[:, None] / RATE - 0.25 * (number % 2)
    return np.cos(2.0 * np.pi * turns).astype(np.float32)


class Prior(nn.Module):
    """What is drawn for a sentence: a Gaussian that is learned (Sohn et al. 2015)."""

    width: int
    latent: int

    @nn.compact
    def __call__(self, words: Int[Array, "batch words"]) -> Moments:
        x = TextEncoder(self.width, "bag", name="text")(words)
        return _moments(Dense(2 * self.latent, name="moments")(nn.silu(x)))


class Posterior(nn.Module):
    """What is drawn for a clip, from the whole clip and its words: for training alone (Kingma & Welling 2014)."""

    width: int
    latent: int

    @nn.compact
    def __call__(self, clip: Clip, mask: Float[Array, "batch frames"], words: Int[Array, "batch words"]) -> Moments:
        # Each frame has weights of its own: a mean over frames would lose when something happens.
        x = jnp.asarray(mask)[..., None] * MLP((self.width, CODES), name="frame")(numbers_of(clip))
        x = Dense(self.width, name="frames")(x.reshape(len(x), -1))
        x = nn.silu(x + TextEncoder(self.width, "bag", name="text")(words))
        return _moments(MLP((self.width, 2 * self.latent), name="moments")(x))


def _moments(numbers: jax.Array) -> Moments:
    mean, log_scale = jnp.split(numbers, 2, axis=-1)
    return Moments(mean, jnp.clip(log_scale, -6.0, 2.0))


__all__ = ["MODELS", "Moments", "MotionModel", "MotionSizes", "Posterior", "Predicted", "Prior", "waves"]
