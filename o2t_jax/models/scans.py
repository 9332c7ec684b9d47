"""The selective recurrence of a state-space model, in two forms with the same values.

    h[t] = exp(step[t] rate) h[t-1] + step[t] b[t] x[t],    y[t] = sum over states of c[t] h[t]

(Gu & Dao 2023, arXiv 2312.00752, equation 2 with their discretisation of section 3.5.) `o2t_jax.models.ops` chooses a
form. Shapes: `x` and `step` [B, T, E], `b` and `c` [B, T, N], `rate` [N, E] or [N, 1], negative; h [B, N, E].
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

Inner = Float[jax.Array, "batch time inner"]
Coefficients = Float[jax.Array, "batch time states"]
Rate = Float[jax.Array, "states inner"] | Float[jax.Array, "states 1"]
LONG = 512  # steps from which only every `CHUNK`-th state is kept for the backward pass
CHUNK = 32


def sequential(x: Inner, step: Inner, b: Coefficients, c: Coefficients, rate: Rate) -> Inner:
    """One step after the other.

    The backward pass keeps the states and computes decays and drives again: [B, N, E] a step instead of three times
    that. The long axis E is last, where a CPU's vectors are.
    """
    batch, time, inner = x.shape
    start = jnp.zeros((batch, b.shape[-1], inner), jnp.result_type(x, rate))
    ordered = tuple(jnp.moveaxis(v, 1, 0) for v in (x, step, b, c))

    @jax.checkpoint
    def body(h: jax.Array, now: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        x, step, b, c = now
        h = jnp.exp(step[:, None, :] * rate) * h + (step * x)[:, None, :] * b[:, :, None]
        return h, jnp.sum(c[:, :, None] * h, axis=1)

    if time < LONG:
        return jnp.moveaxis(lax.scan(body, start, ordered)[1], 0, 1)
    # A step of 0 leaves the state as it is.
    filled = [jnp.pad(v, ((0, -time % CHUNK), (0, 0), (0, 0))) for v in ordered]
    chunks = tuple(v.reshape(-1, CHUNK, *v.shape[1:]) for v in filled)
    several = jax.checkpoint(lambda h, chunk: lax.scan(body, h, chunk))
    y = lax.scan(several, start, chunks)[1]
    return jnp.moveaxis(y.reshape(-1, batch, inner)[:time], 0, 1)


def associative(x: Inner, step: Inner, b: Coefficients, c: Coefficients, rate: Rate) -> Inner:
    """All steps at once, in log2(T) rounds (Blelloch 1990): T times the memory of a state, and parallel over time."""
    decay = jnp.exp(step[:, :, None, :] * rate)
    drive = (step * x)[:, :, None, :] * b[:, :, :, None]

    def joined(before: Any, after: Any) -> Any:
        return before[0] * after[0], after[0] * before[1] + after[1]

    h = lax.associative_scan(joined, (decay, drive), axis=1)[1]
    return jnp.sum(c[:, :, :, None] * h, axis=2)


__all__ = ["CHUNK", "LONG", "associative", "sequential"]
