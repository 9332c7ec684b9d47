"""Registry of encoders, and the contract between an encoder and the rest of the network. Importing it needs no JAX.

An encoder is a Flax module, made as `encoder(base_ch, latent_dim, remat, dtype)` and called as
`h, skips = encoder(pictures, para_maps)`:

- `pictures` float32 [B, 4, H, W, 3] in 0..1, H and W multiples of `STRIDE`; `para_maps` float32 [B, 5, 8, 8], made by
  `inputs.ParaMaps` from the five PARA. `inputs.Stem` is the guide's first convolution, which reads both.
- `h` float32 [B, latent_dim]: the latent that W_ROT rotates, before any metric numbers are written into it.
- `skips`: `LEVELS` maps [B, H / 2^i, W / 2^i, C_i], i = 0 .. LEVELS - 1, of type `dtype`. The decoder reads the widths
  C_i from the maps, so the encoder may choose them.
- Parameters do not depend on H and W: one checkpoint serves pictures of any size. `remat`: recompute in the backward
  pass. `dtype`: compute type; parameters are float32.

`--config.encoder=NAME` chooses a registered one, `--config.encoder=package.module:Class` one of the user's own. The
memory plan (`System.activation_bytes`) is measured for `unet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from o2t_jax.registry import Registry

LEVELS = 5
STRIDE = 2**LEVELS

# (base_ch, latent_dim, remat, dtype) -> a Flax module; `Any`, since flax is not imported here.
MakeEncoder = Callable[[int, int, bool, Any], Any]

ENCODERS: Registry[MakeEncoder] = Registry(
    "encoder",
    {
        "unet": "o2t_jax.models.o2t.encoder:Encoder",
    },
    foreign=True,
)
