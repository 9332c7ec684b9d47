"""`ObjectLSTM`: the paper's baseline that reads the objects of a scene one after another."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from o2t_jax.models.discs.base import DiscModel
from o2t_jax.models.discs.inputs import Seen, flagged
from o2t_jax.models.layers import Dense, zeros
from o2t_jax.types import Array


class Reader(nn.Module):
    """One object read: `layers` x (LSTM of `width`, ReLU). `dtype` as in `DiscModel`.

    Called with the memories, the object's numbers and whether it matters; if not, the memories stay as they are.
    """

    width: int
    layers: int
    dtype: Any = None

    @nn.compact
    def __call__(
        self, memory: Any, seen: tuple[Float[Array, "rows numbers"], Bool[Array, " rows"]]
    ) -> tuple[Any, Float[Array, "rows width"]]:
        (x, matters), after = seen, []
        for i, before in enumerate(memory):
            new, x = nn.OptimizedLSTMCell(self.width, dtype=self.dtype, name=f"lstm_{i}")(before, x)
            after.append(jax.tree.map(lambda old, new: jnp.where(matters[:, None], new, old), before, new))
            x = nn.relu(x)
        return tuple(after), x


class ObjectLSTM(DiscModel):
    """LSTM layers that read the context objects and at last the disc itself, and then give its change of velocity.

    Known of the paper's baseline (Chang et al. 2017, arXiv:1612.00341, figure 2d, and their code): the focus comes
    last; a flag tells it from context; context comes in a random order, drawn for each batch, in training and in that
    of the data in simulations; objects beyond the neighbourhood are read as zeros; layers are (LSTM, ReLU), then a
    linear one. Our choices: the order, farthest first and nearest last, which is the same in training and in use and
    does not depend on the discs' order (but for objects at equal distances); objects that do not matter are left out;
    two layers of 40 (21,362 parameters, as many as `Classic`), as their number in the paper is not known to us; the
    output is added to the last velocity and starts at 0.

    Attributes: `width` of each of `layers` LSTMs.
    """

    width: int = 40
    layers: int = 2

    @nn.compact
    def velocity(self, seen: Seen, last: Float[Array, "scenes discs 2"], train: bool) -> Float[Array, "scenes discs 2"]:
        """See `DiscModel`."""
        order = jnp.argsort(-seen.distance, axis=2)
        context = jnp.take_along_axis(flagged(seen.context, 0.0), order[..., None], axis=2)
        objects = jnp.concatenate([context, flagged(seen.own, 1.0)[:, :, None]], axis=2)
        mask = jnp.take_along_axis(seen.mask, order, axis=2)
        matters = jnp.concatenate([mask, jnp.ones((*mask.shape[:2], 1), bool)], axis=2)
        rows = tuple(x.reshape(-1, *x.shape[2:]) for x in (objects, matters))
        blank = jnp.zeros((rows[0].shape[0], self.width), self.dtype or jnp.float32)
        reader = nn.scan(Reader, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        _, outputs = reader(self.width, self.layers, self.dtype, name="reader")(((blank, blank),) * self.layers, rows)
        change = Dense(2, dtype=self.dtype, kernel_init=zeros, name="out")(outputs[:, -1])
        return last + change.reshape(last.shape)


__all__ = ["ObjectLSTM", "Reader"]
