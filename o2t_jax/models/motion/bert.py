"""Sentences to unit vectors by BERT's encoder and a mean over its tokens, as MiniLM's retrievers have it.

Devlin et al. 2019 (arXiv 1810.04805), Reimers & Gurevych 2019 (arXiv 1908.10084). The layers' names are those of the
files that are read, so that weights need no table of names.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from o2t_jax.errors import UsageError
from o2t_jax.types import Array

_NEVER = -1e9
_MOST, _MOST_LAYERS = 2**24, 1000  # of any size, and of the layers, which are traced one by one


@dataclasses.dataclass(frozen=True)
class BertSizes:
    """The fields of a folder's config.json that matter."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    vocab_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: str) -> BertSizes:
        """Raises: UsageError where a size is missing or no count, or the network is none of these."""
        if not isinstance(values, Mapping):
            raise UsageError(f"{where} is no config.json of BERT")
        if (
            values.get("hidden_act", "gelu") != "gelu"
            or values.get("position_embedding_type", "absolute") != "absolute"
        ):
            raise UsageError(f"{where}: only BERT with gelu and absolute positions is known")
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            found = cls(**{name: value for name, value in values.items() if name in known})
        except TypeError as error:
            raise UsageError(f"{where} is no config.json of BERT ({error})") from None
        counts = {name: value for name, value in vars(found).items() if name != "layer_norm_eps"}
        for name, value in counts.items():
            most = _MOST_LAYERS if name == "num_hidden_layers" else _MOST
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise UsageError(f"{where}: {name}={value!r} must be a whole number from 1 to {most}")
        small = found.layer_norm_eps
        if isinstance(small, bool) or not isinstance(small, int | float) or not 0.0 <= small < 1.0:
            raise UsageError(f"{where}: layer_norm_eps={small!r} must be a number of at least 0 and below 1")
        if found.hidden_size % found.num_attention_heads:
            raise UsageError(f"{where}: hidden_size is no multiple of num_attention_heads={found.num_attention_heads}")
        return found


class SentenceEncoder(nn.Module):
    """Numbers of tokens and 1 where there is one -> vectors of length 1."""

    sizes: BertSizes

    @nn.compact
    def __call__(self, numbers: Int[Array, "b t"], there: Int[Array, "b t"]) -> Float[jax.Array, "b d"]:
        size, there = self.sizes, jnp.asarray(there)
        embed = lambda name, count: nn.Embed(count, size.hidden_size, name=f"embeddings.{name}_embeddings")  # noqa: E731
        x = embed("word", size.vocab_size)(jnp.asarray(numbers))
        x = x + embed("position", size.max_position_embeddings)(jnp.arange(there.shape[1]))
        x = self._norm("embeddings")(x + embed("token_type", size.type_vocab_size)(jnp.zeros(1, jnp.int32)))
        for i in range(size.num_hidden_layers):
            x = self._layer(f"encoder.layer.{i}", x, there)
        weights = there[..., None].astype(x.dtype)
        mean = jnp.sum(x * weights, axis=1) / jnp.maximum(jnp.sum(weights, axis=1), 1.0)
        return mean / jnp.maximum(jnp.linalg.norm(mean, axis=-1, keepdims=True), 1e-12)

    def _layer(self, name: str, x: jax.Array, there: jax.Array) -> jax.Array:
        size = self.sizes
        heads = lambda y: y.reshape(*y.shape[:2], size.num_attention_heads, -1)  # noqa: E731
        q, k, v = (heads(self._dense(f"{name}.attention.self.{part}", x)) for part in ("query", "key", "value"))
        score = jnp.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
        share = jax.nn.softmax(jnp.where(there[:, None, None] > 0, score, _NEVER))
        seen = jnp.einsum("bhqk,bkhd->bqhd", share, v).reshape(x.shape)
        x = self._norm(f"{name}.attention.output")(x + self._dense(f"{name}.attention.output.dense", seen))
        wide = nn.gelu(self._dense(f"{name}.intermediate.dense", x, size.intermediate_size), approximate=False)
        return self._norm(f"{name}.output")(x + self._dense(f"{name}.output.dense", wide))

    def _dense(self, name: str, x: jax.Array, width: int = 0) -> jax.Array:
        return nn.Dense(width or self.sizes.hidden_size, name=name)(x)

    def _norm(self, name: str) -> nn.LayerNorm:
        return nn.LayerNorm(self.sizes.layer_norm_eps, name=f"{name}.LayerNorm", use_fast_variance=False)


def params_of(tensors: Mapping[str, np.ndarray], sizes: BertSizes, where: str) -> dict[str, dict[str, np.ndarray]]:
    """The encoder's parameters from a file's tensors. Raises: UsageError where one is missing or has another shape."""
    plain = {name.removeprefix("bert."): x for name, x in tensors.items()}
    params: dict[str, dict[str, np.ndarray]] = {}
    for layer, parts in _shapes(sizes).items():
        for part, shape in parts.items():
            name = f"{layer}.{'bias' if part == 'bias' else 'weight'}"
            if name not in plain:
                raise UsageError(f"{where} has no {name}: it is none of this BERT")
            x = plain[name].T if part == "kernel" else plain[name]
            if x.shape != shape.shape:
                raise UsageError(f"{where}: {name} has shape {x.shape}, but config.json says {shape.shape}")
            params.setdefault(layer, {})[part] = np.asarray(x, np.float32)
    return params


@functools.lru_cache(maxsize=8)
def _shapes(sizes: BertSizes) -> Any:
    one = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    return jax.eval_shape(lambda n, t: SentenceEncoder(sizes).init(jax.random.key(0), n, t), one, one)["params"]


__all__ = ["BertSizes", "SentenceEncoder", "params_of"]
