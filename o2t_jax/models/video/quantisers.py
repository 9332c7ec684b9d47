"""From latents to codes: a codebook of running means, finite scalar quantisation, or none.

A quantiser holds no trained parameter. What it remembers lies in the state's `extra`, and moves by `advance` from the
`statistics` of a whole batch, so that devices and micro-batches do not change it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from o2t_jax.registry import Registry
from o2t_jax.types import Array

_BLOCK = 256  # rows whose distances from all codes fit a core's cache: several times faster than all at once
_TINY = 1e-6
_SMALL = 1e-2  # added to a mean square: a dream normalises every frame, and gradients at zero multiply by its root
_OFFERED = 1024  # latents of a whole batch for codes to start again from: what a statistic may gather
_EDGE = 0.999  # of the range of scalar quantisation, whose ends the hyperbolic tangent never reaches

Latents = Float[Array, "*batch entries"]
Memory = Mapping[str, Array]


class Quantised(NamedTuple):
    """`codes` as the inputs, their gradient passed straight through; `index` [...] int32, which code; `commitment`
    [...], squared distance of a latent from its code."""

    codes: Latents
    index: Int[Array, " *batch"]
    commitment: Float[Array, " *batch"]


class Quantiser(Protocol):
    """A new one is one class and one line in `QUANTISERS`.

    Attributes: `count` of codes, 0 where there are none; `size`, entries of a latent.
    """

    @property
    def count(self) -> int: ...

    @property
    def size(self) -> int: ...

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        """What is remembered at the start."""
        ...

    def bound(self, x: Latents) -> jax.Array:
        """Any numbers -> a latent."""
        ...

    def moved(self, z: Latents, change: Latents) -> jax.Array:
        """A latent after a change of any size."""
        ...

    def __call__(self, memory: Memory, z: Latents) -> Quantised: ...

    def looked_up(self, memory: Memory, index: Int[Array, " *batch"]) -> jax.Array:
        """The codes of these numbers."""
        ...

    def statistics(self, z: Latents, found: Quantised, keys: jax.Array) -> dict[str, jax.Array]:
        """What `advance` needs of b samples: latents [b, ..., size], a key for each. Those whose name ends in `rows`
        are joined over a batch, the others added up."""
        ...

    def advance(self, memory: Memory, statistics: Mapping[str, Array], key: jax.Array) -> Memory:
        """What is remembered after a step."""
        ...


def nearest(codes: Float[Array, "codes entries"], rows: Float[Array, "rows entries"]) -> Int[jax.Array, " rows"]:
    """The number of the code at the least Euclidean distance from each row; the first where several are."""
    padded = jnp.pad(rows, ((0, -len(rows) % _BLOCK), (0, 0))).reshape(-1, _BLOCK, rows.shape[-1])
    squares, numbers = jnp.sum(jnp.square(codes), axis=-1), jnp.arange(len(codes), dtype=jnp.int32)

    def block(part: jax.Array) -> jax.Array:
        distance = squares - 2.0 * part @ jnp.transpose(codes)
        least = jnp.min(distance, axis=-1, keepdims=True)
        # A second minimum: XLA:CPU runs `argmin` four times slower.
        return jnp.min(jnp.where(distance <= least, numbers, len(codes) - 1), axis=-1)

    return jax.lax.map(block, padded).reshape(-1)[: len(rows)]


def _through(z: Latents, codes: jax.Array) -> jax.Array:
    """The codes, with the gradient of `z` (Bengio, Leonard & Courville 2013)."""
    z = jnp.asarray(z)
    return z + jax.lax.stop_gradient(codes - z)


def _rms(x: Latents) -> jax.Array:
    x = jnp.asarray(x)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + _SMALL)


@dataclasses.dataclass(frozen=True)
class Continuous:
    """Latents as they are, of root mean square 1: the row beside the others."""

    size: int
    count: int = 0

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        """See `Quantiser`."""
        return {}

    def bound(self, x: Latents) -> jax.Array:
        """See `Quantiser`."""
        return _rms(x)

    def moved(self, z: Latents, change: Latents) -> jax.Array:
        """See `Quantiser`."""
        return _rms(jnp.asarray(z) + change)

    def __call__(self, memory: Memory, z: Latents) -> Quantised:
        nothing = jnp.zeros(z.shape[:-1])
        return Quantised(jnp.asarray(z), nothing.astype(jnp.int32), nothing)

    def looked_up(self, memory: Memory, index: Array) -> jax.Array:
        """There is no code."""
        raise NotImplementedError("latents that are not quantised have no codes")

    def statistics(self, z: Latents, found: Quantised, keys: jax.Array) -> dict[str, jax.Array]:
        """See `Quantiser`."""
        return {}

    def advance(self, memory: Memory, statistics: Mapping[str, Array], key: jax.Array) -> Memory:
        """See `Quantiser`."""
        return memory


@dataclasses.dataclass(frozen=True)
class Codebook(Continuous):
    """Codes that are running means of the latents nearest to them (van den Oord et al. 2017, appendix A.1).

    A code whose running count falls below `dead` of a batch's mean count starts again at a latent of the batch, drawn
    in proportion to its squared quantising error. `rows`: such latents offered by each sample.
    """

    count: int = 512
    decay: float = 0.98
    dead: float = 0.002
    rows: int = 32

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        """`codes` [count, size], `weights` [count] running counts, `sums` [count, size] running sums."""
        codes = _rms(jax.random.normal(key, (self.count, self.size)))
        return {"codes": codes, "weights": jnp.zeros(self.count), "sums": jnp.zeros_like(codes)}

    def __call__(self, memory: Memory, z: Latents) -> Quantised:
        still = jax.lax.stop_gradient(z)
        index = nearest(memory["codes"], still.reshape(-1, self.size)).reshape(z.shape[:-1])
        codes = jax.lax.stop_gradient(self.looked_up(memory, index))
        return Quantised(_through(z, codes), index, jnp.mean(jnp.square(z - codes), axis=-1))

    def looked_up(self, memory: Memory, index: Array) -> jax.Array:
        """See `Quantiser`."""
        return jnp.asarray(memory["codes"])[index]

    def statistics(self, z: Latents, found: Quantised, keys: jax.Array) -> dict[str, jax.Array]:
        """Counts and sums of the latents of each code; latents for codes to start again from."""
        z, error = jax.lax.stop_gradient((z, found.commitment))
        rows, index = jnp.reshape(z, (-1, self.size)), found.index.reshape(-1)
        counts = jnp.zeros(self.count).at[index].add(1.0)
        sums = jnp.zeros((self.count, self.size)).at[index].add(rows)
        offered = min(self.rows, error[0].size)

        def draw(key: jax.Array, rows: jax.Array, error: jax.Array) -> jax.Array:
            # The largest of log weight + Gumbel noise: a draw without replacement.
            score = jnp.log(error.reshape(-1) + _TINY**2) + jax.random.gumbel(key, (error.size,))
            return rows.reshape(-1, self.size)[jax.lax.top_k(score, offered)[1]]

        drawn = jax.vmap(draw)(keys, z, error)
        return {"code_counts": counts, "code_sums": sums, "code_rows": drawn.reshape(-1, self.size)}

    def advance(self, memory: Memory, statistics: Mapping[str, Array], key: jax.Array) -> Memory:
        """See `Quantiser`."""
        keep, counts = self.decay, statistics["code_counts"]
        weights = keep * memory["weights"] + (1.0 - keep) * counts
        sums = keep * memory["sums"] + (1.0 - keep) * statistics["code_sums"]
        codes = sums / jnp.maximum(weights, _TINY)[:, None]
        mean = jnp.mean(counts)
        dead = weights < self.dead * mean
        rows = jax.random.permutation(key, statistics["code_rows"])
        fresh = rows[(jnp.cumsum(dead) - 1) % len(rows)]
        # It gets half of the mean count, to live long enough to be found.
        weights = jnp.where(dead, 0.5 * mean, weights)
        codes = jnp.where(dead[:, None], fresh, codes)
        return {"codes": codes, "weights": weights, "sums": codes * weights[:, None]}


@dataclasses.dataclass(frozen=True)
class FiniteScalar:
    """Each entry, -1 to 1, rounded to one of its `levels` (Mentzer et al. 2023): no codebook, nothing to move."""

    levels: tuple[int, ...] = (8, 8, 8)

    @property
    def count(self) -> int:
        """Codes: all combinations."""
        return math.prod(self.levels)

    @property
    def size(self) -> int:
        """Entries."""
        return len(self.levels)

    def init(self, key: jax.Array) -> dict[str, jax.Array]:
        """Nothing is remembered."""
        return {}

    def bound(self, x: Latents) -> jax.Array:
        """See `Quantiser`."""
        return _EDGE * jnp.tanh(x)

    def moved(self, z: Latents, change: Latents) -> jax.Array:
        """See `Quantiser`."""
        inside = jnp.clip(z / _EDGE, -_EDGE, _EDGE)  # codes lie at the ends, where the inverse is infinite
        return self.bound(jnp.arctanh(inside) + change)

    def __call__(self, memory: Memory, z: Latents) -> Quantised:
        top = jnp.asarray(self.levels, jnp.float32) - 1.0
        steps = jnp.round(0.5 * (jax.lax.stop_gradient(z) + 1.0) * top)
        codes = 2.0 * steps / top - 1.0
        index = jnp.sum(steps.astype(jnp.int32) * self._places, axis=-1)
        return Quantised(_through(z, codes), index, jnp.zeros(z.shape[:-1]))

    def looked_up(self, memory: Memory, index: Array) -> jax.Array:
        """See `Quantiser`."""
        levels = jnp.asarray(self.levels)
        return 2.0 * (jnp.asarray(index)[..., None] // self._places % levels) / (levels - 1.0) - 1.0

    def statistics(self, z: Latents, found: Quantised, keys: jax.Array) -> dict[str, jax.Array]:
        """See `Quantiser`."""
        return {}

    def advance(self, memory: Memory, statistics: Mapping[str, Array], key: jax.Array) -> Memory:
        """See `Quantiser`."""
        return memory

    @property
    def _places(self) -> jax.Array:
        return jnp.asarray([math.prod(self.levels[:i]) for i in range(self.size)])


QUANTISERS: Registry[Callable[[Any], Quantiser]] = Registry(
    "quantiser",
    {
        "ema": lambda config: Codebook(
            config.code_size,
            config.codes,
            config.code_decay,
            config.code_dead,
            max(1, min(32, _OFFERED // config.batch)),
        ),
        "fsq": lambda config: FiniteScalar(tuple(config.fsq_levels)),
        "none": lambda config: Continuous(config.code_size),
    },
)
"""Name -> a function of the config."""


__all__ = ["QUANTISERS", "Codebook", "Continuous", "FiniteScalar", "Quantised", "Quantiser", "nearest"]
