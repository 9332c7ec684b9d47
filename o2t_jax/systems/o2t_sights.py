"""A trained O2T network as the evaluation asks for it: `evaluation.o2t.sights.SightsBalls`."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.o2t.sights import BallRays
from o2t_jax.models.o2t.network import O2TModel
from o2t_jax.models.o2t.stereo import Sighting
from o2t_jax.types import PyTree


class O2TSights:
    """The mask tower and matting of `model` with `params`; no picture, law or latent state is computed."""

    def __init__(self, model: O2TModel, params: PyTree) -> None:
        self._model, self._params = model, params

    def sight(self, pictures: np.ndarray, para: np.ndarray, corner: np.ndarray | None = None) -> BallRays:
        """`O2TModel.sight`; see `SightsBalls` for the arguments."""
        return _as_rays(_sight(self._model, self._params, pictures, para, corner))

    def sight_close(self, pictures: np.ndarray, factor: int) -> BallRays:
        """`O2TModel.sight_close`; see `SightsBalls` for the arguments."""
        return _as_rays(_sight_close(self._model, self._params, pictures, factor))


@functools.partial(jax.jit, static_argnums=0)
def _sight(model: O2TModel, params: PyTree, pictures: jax.Array, para: jax.Array, corner: jax.Array | None) -> Sighting:
    return model.apply({"params": params}, _as_float(pictures), para, corner, method="sight")  # type: ignore[return-value]


@functools.partial(jax.jit, static_argnums=(0, 3))
def _sight_close(model: O2TModel, params: PyTree, pictures: jax.Array, factor: int) -> Sighting:
    return model.apply({"params": params}, _as_float(pictures), factor, method="sight_close")  # type: ignore[return-value]


def _as_float(pictures: jax.Array) -> jax.Array:
    return pictures.astype(jnp.float32) / 255.0


def _as_rays(found: Sighting) -> BallRays:
    return BallRays(np.asarray(found.direction), np.asarray(found.sin_radius), np.asarray(found.seen))


__all__ = ["O2TSights"]
