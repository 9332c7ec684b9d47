"""The guide's network, exactly: pictures -> h48 -> W_ROT -> PhysLayer -> blend -> W_ROT^T -> + h_PARA -> picture.

Read `inputs`, `encoder`, `rotation`, `phys_layer` and `decoder` after it. Nothing here ties the latent to metres, so g0
need not equal the world's; `network.O2TModel` adds that tie. B samples, pictures of H x W px, D = 48.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from o2t_jax.geometry.para import TARGET
from o2t_jax.models.layers import MLP
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.models.o2t.decoder import Decoder
from o2t_jax.models.o2t.encoder import Encoder
from o2t_jax.models.o2t.encoders import MakeEncoder
from o2t_jax.models.o2t.inputs import ParaMaps, scale_para
from o2t_jax.models.o2t.rotation import CayleyRotation, rotate
from o2t_jax.physics.forces import NONE

SEEN = slice(0, TARGET)  # the pictures that a prediction is made from


class GuideModel(nn.Module, kw_only=True):
    """The guide's network. Any height and width divisible by 32; `n` counts from t1, 0..n_max, and t = n dt."""

    base_ch: int
    latent_dim: int
    dt: float
    n_max: int
    remat: bool
    dtype: Any
    encoder_type: MakeEncoder = Encoder

    def setup(self) -> None:
        self.make_parts()

    def make_parts(self, used_slots: int = 0, zero_last: bool = False, force: str = NONE.name) -> None:
        """For `setup`. `used_slots` of the latent carry metric numbers; `zero_last`: the decoder starts at zero;
        `force`: one of `physics.forces.FORCES`, learned for the used slots."""
        self.inputs = ParaMaps()
        self.encoder = self.encoder_type(self.base_ch, self.latent_dim, self.remat, self.dtype)
        self.rotation = CayleyRotation(self.latent_dim)
        self.layer = phys.PhysLayer(self.latent_dim, self.dt, self.n_max, used_slots, force)
        self.h_para = MLP((64, self.latent_dim))
        self.decoder = Decoder(self.base_ch, self.remat, zero_last=zero_last, dtype=self.dtype)

    def __call__(self, pictures: jax.Array, para: jax.Array, n: jax.Array, visited: jax.Array) -> jax.Array:
        """The target picture, float32 [B, H, W, 3] in 0..1.

        Args: `pictures` float32 [B, 4, H, W, 3] in 0..1; `para` float32 [B, 5, 6]; `n` int32 [B], steps to the target;
        `visited` [bins], the height histogram of the state.
        """
        latent, matrix, skips = self.encode(pictures, para)
        evolved = self.layer(latent, n, visited)  # two branches, [B, D] each, n steps on
        return nn.sigmoid(self.decoder(self.to_decoder(matrix, blend(evolved, n), para), skips))

    def encode(self, pictures: jax.Array, para: jax.Array) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
        """The rotated latent [B, D], W_ROT [D, D], and the encoder's five skips [B, H/2^i, W/2^i, C_i]."""
        para_maps = self.inputs(para)  # [B, 5, 8, 8]
        h48, skips = self.encoder(pictures, para_maps)
        matrix = self.rotation()
        return rotate(matrix, h48), matrix, skips

    def to_decoder(self, matrix: jax.Array, latent: jax.Array, para: jax.Array) -> jax.Array:
        """W_ROT^T latent + h_PARA(PARA5): [B, D]."""
        return rotate(matrix.T, latent) + self.h_para(scale_para(para[:, TARGET]))


def blend(evolved: phys.Evolved, n: jax.Array) -> jax.Array:
    """Both branches [B, D], weighted by w_nn(n) (O2T guide, 'Physics Evolution')."""
    weight = phys.blend_weight(n.astype(evolved.nn.dtype))[:, None]
    return weight * evolved.nn + (1.0 - weight) * evolved.phys
