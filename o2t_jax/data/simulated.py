"""Sequences of simulated worlds, made on the device: a pure function of (seed, split, index).

Any sequence can be made again from its three numbers, and their number is not limited. A system calls `sequences` in
its `make_batch` (see `systems/toy.py`); `batch_at` serves iterators on the host; `SequenceSource` offers them to
`experiments.generate`, which writes them once (docs/data.md).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.records import named_leaves
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Environment, checked_dt, observed, simulate
from o2t_jax.types import Array

SPLITS = {"train": 0, "validation": 1, "test": 2}
STORED = {"train": 800, "validation": 100, "test": 100}
_BLOCK = 64  # sequences that one call of the compiled program makes
_MAX_INDEX = 2**32 - 1  # the largest number that `jax.random.fold_in` takes


def sequence_key(seed: Any, split: int, index: Any) -> jax.Array:
    """The random key of one sequence; each split has a stream of its own. All three may be traced."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), split), index)


def split_number(split: str) -> int:
    """The number of a split's stream. Raises: UsageError for an unknown one."""
    if split not in SPLITS:
        raise UsageError(f"split {split!r} is unknown: choose one of {', '.join(SPLITS)}")
    return SPLITS[split]


def in_blocks(make: Callable[[np.ndarray], Any], indices: np.ndarray, block: int) -> Any:
    """`make(indices)`, leaves [B, ...] on the host, by calls with `block` of the B >= 1 indices, the last one padded.

    The bits of a sample then do not depend on the others asked for: XLA may round differently for another batch size.
    """
    padded = np.resize(indices, -(-len(indices) // block) * block)
    blocks = [make(part) for part in padded.reshape(-1, block)]
    return jax.tree.map(lambda *parts: np.concatenate(parts)[: len(indices)], *blocks)


def make_sequence(env: Environment, key: jax.Array, steps: int, dts: tuple[float, ...]) -> dict[str, Any]:
    """One sequence of T = `steps` steps under random actions, from a random start, with parameters of its own.

    Returns: `states`, observed, [T + 1, D]; `actions` [T, A], the t-th acting between states t and t + 1; `params`, the
    world's parameters; `dt` [] s, one of `dts`; `events`, how often [T, K] each named event happened in step t.
    """
    of_params, of_start, of_actions, of_dt = jax.random.split(key, 4)
    params = env.draw_params(of_params)
    actions = env.actions.sample(of_actions, (steps,))
    dt = jax.random.choice(of_dt, jnp.asarray(dts))
    track = simulate(env, env.reset(of_start, params), actions, dt, params)
    return {
        "states": observed(env, track, params),
        "actions": actions,
        "params": params,
        "dt": dt,
        "events": jax.vmap(env.events, (0, None))(jax.tree.map(lambda x: x[1:], track), params),
    }


@dataclasses.dataclass(frozen=True)
class SimulatedSequences:
    """A world's sequences of `steps` steps of one of `dts` s each.

    Raises: UsageError for a dt that the world cannot take, or no steps.
    """

    env: Environment
    steps: int
    dts: tuple[float, ...]
    seed: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps={self.steps}: a sequence has at least 1 step")
        if not self.dts:
            raise UsageError("no dt is given: name at least one step in s")
        for dt in self.dts:
            checked_dt(self.env, dt)

    @functools.cached_property
    def _make(self) -> Callable[..., dict[str, Any]]:
        def one(seed: Any, split: Any, index: Any) -> dict[str, Any]:
            return make_sequence(self.env, sequence_key(seed, split, index), self.steps, self.dts)

        return jax.jit(jax.vmap(one, (None, None, 0)))

    def batch(self, split: str, indices: Array, seed: Any = None) -> dict[str, Any]:
        """Sequences `indices` int [B] of a split, leaves [B, ...] as in `make_sequence`.

        Args: `seed`, in place of the set's own; may be traced, so that `jax.vmap` over it makes the data of several
        runs. Raises: UsageError for an unknown split, or an index below 0 or beyond 2^32 - 1.

        The bits of a sequence do not depend on the others asked for (`in_blocks`), but for a traced seed and
        `sequences`.
        """
        indices = np.asarray(indices)
        if indices.size and not (indices.min() >= 0 and indices.max() <= _MAX_INDEX):
            wrong = indices.min() if indices.min() < 0 else indices.max()
            raise UsageError(f"sequence index {wrong} is outside 0 to {_MAX_INDEX}")
        indices, seed = indices.astype(np.uint32), self.seed if seed is None else seed
        if isinstance(seed, jax.core.Tracer) or not indices.size:
            return self.sequences(split, indices, seed)
        return jax.tree.map(jnp.asarray, in_blocks(lambda block: self.sequences(split, block, seed), indices, _BLOCK))

    def sequences(self, split: str, indices: Array, seed: Any) -> dict[str, Any]:
        """As `batch`, under a trace: `indices` uint32 [B] and `seed` may be traced."""
        return self._make(seed, split_number(split), indices)

    def batch_at(self, split: str, step: int, size: int, seed: Any = None) -> dict[str, Any]:
        """The batch of a training step: `size` sequences that no other step has."""
        return self.batch(split, step * size + np.arange(size, dtype=np.int64), seed)


def _shortest(value: Any) -> Any:
    """A number, or nested lists of them, with the digits that single precision has: 0.1 in place of 0.10000000149."""
    return np.asarray(value).astype(str).astype(float).tolist()


@dataclasses.dataclass(frozen=True)
class SequenceSource:
    """Simulated sequences as samples to store: see `types.SampleSource`.

    A sample has `states`, `actions`, `dt`, `params/<name>` and `events/<name>` as `make_sequence` returns them.
    """

    data: SimulatedSequences

    @property
    def name(self) -> str:
        """The world's."""
        return self.data.env.name

    @property
    def seed(self) -> int:
        """The sequences' own."""
        return self.data.seed

    @property
    def splits(self) -> Mapping[str, int]:
        """Streams of their own (`sequence_key`): no sequence is in two of them."""
        return STORED

    @property
    def description(self) -> dict[str, Any]:
        """World, its constants, the ranges of those drawn per sequence, number of steps, dt s."""
        env = self.data.env
        constants = {name: _shortest(value) for name, value in named_leaves(env.params).items()}
        law = getattr(env, "gravity", None)
        return {
            "env": env.name,
            **({"law": law.law} if law else {}),
            "params": {name: value for name, value in constants.items() if name not in env.ranges},
            "ranges": {name: list(limits) for name, limits in env.ranges.items()},
            "steps": self.data.steps,
            "dts": list(self.data.dts),
        }

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """See `types.SampleSource`."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        one = jax.eval_shape(lambda: make_sequence(self.data.env, jax.random.key(0), self.data.steps, self.data.dts))
        return named_leaves(one)

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """`SimulatedSequences.batch`, on the host."""
        return {name: np.asarray(leaf) for name, leaf in named_leaves(self.data.batch(split, indices)).items()}


__all__ = [
    "SPLITS",
    "SequenceSource",
    "SimulatedSequences",
    "in_blocks",
    "make_sequence",
    "sequence_key",
    "split_number",
]
