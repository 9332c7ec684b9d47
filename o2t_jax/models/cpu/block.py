"""A residual block in the form that is fast on a CPU: its biases take no passes over a map of their own.

Adding a bias and summing up its gradient are passes over a map. The GroupNorm between the block's two convolutions does
either for nothing, and the second bias is added together with the two maps.
"""

from __future__ import annotations

import jax

from o2t_jax.models.cpu.convolution import unbiased_conv
from o2t_jax.models.cpu.norm import add_bias, biased_group_norm, group_norm
from o2t_jax.models.ops import NormConv


def res_block(x: jax.Array, first: NormConv, second: NormConv, groups: int) -> jax.Array:
    """`ops.res_block`."""
    y = unbiased_conv(group_norm(x, first.scale, first.shift, groups, silu=True), first.kernel)
    bias = first.bias.astype(second.scale.dtype)  # the norm's own type, also where the maps are bfloat16
    y = biased_group_norm(y, bias, second.scale, second.shift, groups, True)
    return add_bias(x + unbiased_conv(y, second.kernel), second.bias)
