"""The network's first convolution without its 23 channels, which are sums of 17 planes that are small or already exist.

A convolution of the channels equals one of the planes (RGB of pictures 1..4, then PARA 1..5) with the sums absorbed
into its kernel. Interleaving the channels would take longer than the convolution.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models.cpu.convolution import conv
from o2t_jax.models.cpu.norm import add_bias
from o2t_jax.models.ops import GREY, INPUT_CHANNELS, NUM_INPUTS, enlarge, input_channels


def _sums_of_planes() -> np.ndarray:
    """[17, 23]: the channels as sums of planes."""
    sums = np.zeros((3 * NUM_INPUTS + NUM_INPUTS + 1, INPUT_CHANNELS))
    para = 3 * NUM_INPUTS
    for i in range(NUM_INPUTS):
        sums[3 * i : 3 * i + 3, 4 * i : 4 * i + 3] = np.eye(3)
        sums[para + i, 4 * i + 3] = 1.0
    sums[-1, 4 * NUM_INPUTS] = 1.0
    for channel, (i, j) in enumerate(combinations(range(NUM_INPUTS), 2), 4 * NUM_INPUTS + 1):
        sums[3 * j : 3 * j + 3, channel] = GREY
        sums[3 * i : 3 * i + 3, channel] -= GREY
    return sums


SUMS_OF_PLANES = _sums_of_planes()


def stem(pictures: jax.Array, para_maps: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """`ops.stem`. In bfloat16 the channels are made nevertheless: planes would round the differences."""
    b, _, height, width, _ = pictures.shape
    if kernel.dtype == jnp.bfloat16:
        return conv(input_channels(pictures, para_maps).astype(kernel.dtype), kernel, bias)
    pictures, para_maps = (v.astype(kernel.dtype) for v in (pictures, para_maps))
    sums = jnp.asarray(SUMS_OF_PLANES, kernel.dtype)
    kernel = jnp.einsum("pc,hwcf->hwpf", sums, kernel, precision=jax.lax.Precision.HIGHEST)
    of_colours, of_para = jnp.split(kernel, [3 * NUM_INPUTS], axis=2)
    colours = jnp.moveaxis(pictures, 1, 3).reshape(b, height, width, -1)
    y = conv(colours, of_colours) + convolve_enlarged(para_maps, of_para, height, width)
    return y if bias is None else add_bias(y, bias)


def _shifted_enlargement(size: int, to: int, dtype: jnp.dtype) -> jax.Array:
    """[to, 3 size]: the matrix of `enlarge` along one side, moved by each tap of a 3x3 kernel, zero outside."""
    matrix = jnp.pad(enlarge(jnp.eye(size, dtype=dtype)[None, None], to, size)[0, 0], ((1, 1), (0, 0)))
    return jnp.stack([matrix[tap : tap + to] for tap in range(3)], axis=1).reshape(to, 3 * size)


def convolve_enlarged(maps: jax.Array, kernel: jax.Array, height: int, width: int) -> jax.Array:
    """3x3 'same' convolution of the enlarged `maps` [B, P, h, w] by `kernel` [3, 3, P, F] -> [B, height, width, F].

    Enlarging is a product with a matrix from either side, and a tap of the kernel shifts that matrix. The kernel is
    therefore applied to the small maps, and the large maps are never made, neither here nor in the gradients.
    """
    b, _, h, w = maps.shape
    features = kernel.shape[3]
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    taps = product("bphw,ijpf->bihjwf", maps, kernel).reshape(b, 3 * h, 3 * w, features)
    across, down = (_shifted_enlargement(*sizes, maps.dtype) for sizes in ((w, width), (h, height)))
    rows = product("xw,bhwf->bhxf", across, taps).reshape(b, 3 * h, width * features)
    # The large product in the order in which it is read: `einsum` would transpose it.
    pixels = jax.lax.dot_general(down, rows, (((1,), (1,)), ((), ())), precision=jax.lax.Precision.HIGHEST)
    return jnp.swapaxes(pixels, 0, 1).reshape(b, height, width, features)
