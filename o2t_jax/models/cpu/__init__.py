"""The forms of `o2t_jax.models.ops` that XLA compiles well for a CPU: the same values, computed in another way.

No other module depends on these; `ops.use("cpu")` replaces the plain forms by them. Each file states the properties of
XLA:CPU that it is made for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from o2t_jax.models.cpu.attention import attention
from o2t_jax.models.cpu.block import res_blocks
from o2t_jax.models.cpu.convolution import conv
from o2t_jax.models.cpu.filters import separable
from o2t_jax.models.cpu.gather import bilinear
from o2t_jax.models.cpu.norm import group_norm
from o2t_jax.models.cpu.recurrence import selective_scan
from o2t_jax.models.cpu.rotation import cayley
from o2t_jax.models.cpu.stem import stem
from o2t_jax.models.cpu.upsampling import upsample_conv

# Operation -> its form for a CPU.
TWINS: Mapping[str, Callable] = {
    "attention": attention,
    "bilinear": bilinear,
    "cayley": cayley,
    "conv": conv,
    "group_norm": group_norm,
    "res_blocks": res_blocks,
    "selective_scan": selective_scan,
    "separable": separable,
    "stem": stem,
    "upsample_conv": upsample_conv,
}
