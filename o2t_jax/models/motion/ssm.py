"""The selective state-space layer, Mamba (Gu & Dao 2023, arXiv 2312.00752, figure 3), and stacks of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.models import ops, scans
from o2t_jax.models.layers import Dense, ones, zeros

TAPS = 4  # of the causal convolution
EXPAND = 2
SLOWEST, FASTEST = 0.001, 0.1  # steps at the start, spread evenly in their logarithm
SCANS = {"auto": ops.selective_scan, "sequential": scans.sequential, "associative": scans.associative}
Sequence = Float[jax.Array, "batch time width"]


@dataclasses.dataclass(frozen=True)
class SSMSizes:
    """`width` of the sequence; `states` of a channel; `layers`; `shared_rates`, one set of decay rates for all channels
    of a layer, as in the document, or one for each; `scan`, a name in `SCANS`; `dropout`, share of dropped units."""

    width: int
    states: int
    layers: int
    shared_rates: bool
    scan: str
    dropout: float


class Mamba(nn.Module):
    """One layer: two projections, a causal convolution by channel, the selective recurrence, a gate.

    Step, b and c are functions of the input at that time; the decay rates start at -1 to -N. No output depends on a
    later input.
    """

    sizes: SSMSizes

    @nn.compact
    def __call__(self, x: Sequence) -> Sequence:
        sizes = self.sizes
        inner, rank = EXPAND * sizes.width, math.ceil(sizes.width / 16)
        u, gate = jnp.split(Dense(2 * inner, use_bias=False, name="in")(x), 2, axis=-1)
        u = nn.silu(_CausalConv(name="conv")(u))
        low, b, c = jnp.split(
            Dense(rank + 2 * sizes.states, use_bias=False, name="selected")(u), [rank, rank + sizes.states], axis=-1
        )
        step = nn.softplus(Dense(inner, bias_init=_steps, name="step")(low))
        rates = self.param("log_rate", _log_rates, (sizes.states, 1 if sizes.shared_rates else inner))
        y = SCANS[sizes.scan](u, step, b, c, -jnp.exp(rates))
        y = (y + self.param("skip", ones, (inner,), jnp.float32) * u) * nn.silu(gate)
        return Dense(sizes.width, use_bias=False, name="out")(y)


class MambaStack(nn.Module):
    """Residual, pre-normalised layers."""

    sizes: SSMSizes

    @nn.compact
    def __call__(self, x: Sequence, train: bool = False) -> Sequence:
        """Args: `train`, whether units are dropped (needs a random stream `dropout`)."""
        for i in range(self.sizes.layers):
            y = Mamba(self.sizes, name=f"mamba{i}")(nn.LayerNorm(name=f"norm{i}")(x))
            x = x + nn.Dropout(self.sizes.dropout, deterministic=not train)(y)
        return x


class _CausalConv(nn.Module):
    """Each channel over this time and the `TAPS` - 1 before it, as shifted products, which no backend does badly."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", _uniform_taps, (TAPS, x.shape[-1]))
        bias = self.param("bias", zeros, (x.shape[-1],), jnp.float32)
        before = jnp.pad(x, ((0, 0), (TAPS - 1, 0), (0, 0)))
        return bias + sum(kernel[i] * before[:, i : i + x.shape[1]] for i in range(TAPS))


def _uniform_taps(key: Any, shape: tuple[int, ...]) -> jax.Array:
    limit = TAPS**-0.5
    return jax.random.uniform(key, shape, jnp.float32, -limit, limit)


def _log_rates(key: Any, shape: tuple[int, ...]) -> jax.Array:
    """Rates of 1 to N, the same in every channel (S4D-real, Gu et al. 2022)."""
    return jnp.broadcast_to(jnp.log(jnp.arange(1.0, shape[0] + 1))[:, None], shape)


def _steps(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Biases whose softplus is spread from `SLOWEST` to `FASTEST`."""
    step = jnp.exp(jax.random.uniform(key, shape, dtype, np.log(SLOWEST), np.log(FASTEST)))
    return step + jnp.log(-jnp.expm1(-step))


__all__ = ["SCANS", "Mamba", "MambaStack", "SSMSizes"]
