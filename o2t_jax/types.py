"""Shared types: array aliases and the protocols between parts of the library.

Conventions used everywhere:

- World frame: right-handed, z up, ground at z = 0; metres, seconds, kilograms. Azimuth 0 looks along +x,
  90 along +y; elevation is positive upwards; angles are in degrees at every public border.
- Pictures are RGB, `uint8[H, W, 3]`; the centre of pixel (row i, column j) lies at (u, v) = (j + 0.5, i + 0.5).
- Gravity g(z) > 0 points down: vertical acceleration is -g(z).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from o2t_jax.results import Result

Array = jax.Array | np.ndarray
PyTree = Any
Batch = Mapping[str, Array]
Metrics = Mapping[str, Array]


@runtime_checkable
class Renderer(Protocol):
    """Makes pictures of one world. The project's scenes and plugged-in modules share this interface."""

    def render(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        observer_positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """`times` [T] s, `angles` [T, 2] (azimuth, elevation) deg, `observer_positions` [T, 3] m -> uint8 [T, H, W, 3].

        `setup_seed` picks the initial conditions; the same arguments give the same bytes. `image_size` is (H, W).
        """
        ...


class BatchIterator(Protocol):
    """Endless batches with a small, JSON-serialisable position, which a new iterator is made with to go on from it."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __next__(self) -> Batch: ...

    def get_state(self) -> dict[str, Any]: ...


class Evaluator(Protocol):
    """Measures a model on fixed held-out data. Yields pairs (name, result), each name once."""

    def __call__(self, state: PyTree) -> Iterator[tuple[str, Result]]: ...


class SampleSource(Protocol):
    """Samples that are a pure function of (split, index), so that they can be written once (`experiments.generate`).

    Attributes: `name`, of the folder that the sets lie in; `description`, JSON types: what the samples are made of, in
    which a stored set must agree to be read in this source's place (the seed is apart: another one gives samples of
    the same kind); `seed`; `splits`, name -> number of samples that is stored by default; `spec`, name -> shape and
    dtype of one sample, in the order in which they are stored.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> Mapping[str, Any]: ...

    @property
    def seed(self) -> int: ...

    @property
    def splits(self) -> Mapping[str, int]: ...

    @property
    def spec(self) -> Mapping[str, jax.ShapeDtypeStruct]: ...

    def make(self, split: str, indices: np.ndarray) -> Mapping[str, Array]:
        """Samples `indices` int [B]: arrays [B, ...] by the names of `spec`. A sample's bits do not depend on B."""
        ...


__all__ = ["Array", "Batch", "BatchIterator", "Evaluator", "Metrics", "PyTree", "Renderer", "SampleSource"]
