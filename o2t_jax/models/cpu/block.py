"""Residual blocks in the form that is fast on a CPU: their biases take one pass over a map in all, not three per block.

Adding a bias and summing its gradient are passes over a map. A GroupNorm does both at no cost, and the biases of maps
that are summed can be summed first. They are therefore carried through the operation and added once, at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from o2t_jax.models.cpu.convolution import conv
from o2t_jax.models.cpu.norm import add_bias, biased_group_norm
from o2t_jax.models.ops import Block


def res_blocks(x: jax.Array, bias: jax.Array | None, blocks: Sequence[Block], groups: int) -> jax.Array:
    """`ops.res_blocks`."""
    scale = blocks[0][0].scale  # biases are carried in the norms' own type, even if the maps are bfloat16
    waiting = jnp.zeros_like(scale) if bias is None else bias.astype(scale.dtype)
    for first, second in blocks:
        y = conv(biased_group_norm(x, waiting, first.scale, first.shift, groups, True), first.kernel)
        between = first.bias.astype(scale.dtype)
        y = conv(biased_group_norm(y, between, second.scale, second.shift, groups, True), second.kernel)
        x, waiting = x + y, waiting + second.bias.astype(scale.dtype)
    return add_bias(x, waiting.astype(x.dtype))
