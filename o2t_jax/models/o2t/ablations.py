"""Ablations: what else the law could be learned by.

The model proper reads the physics branch of what was measured. These mix into it the NN branch, or what knows the
target's camera and time, and learn a wrong law (BENCHMARKS.md, 'Ablations').
"""

from __future__ import annotations

from collections.abc import Mapping

import jax

from o2t_jax.geometry.para import TARGET
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.models.o2t.guide import blend
from o2t_jax.models.o2t.inputs import scale_para
from o2t_jax.models.o2t.network import O2TModel, Observed


class ReadsTheBlend(O2TModel):
    """Read out from both branches, blended."""

    def read_from(self, evolved: phys.Evolved, observed: Observed) -> jax.Array:
        return blend(evolved, observed.n)


class ReadsPara(O2TModel):
    """h_PARA, which knows the target's camera and time, is added to the numbers that are read."""

    def read_from(self, evolved: phys.Evolved, observed: Observed) -> jax.Array:
        return evolved.phys + self.h_para(scale_para(observed.para[:, TARGET]))


class StartsFromTheEncoder(O2TModel):
    """The encoder's own numbers, which know PARA5, are added to what is measured."""

    def start_from(self, values: jax.Array, latent: jax.Array) -> jax.Array:
        return values + latent


# Config field `law_branch` -> the model.
LAW_BRANCHES: Mapping[str, type[O2TModel]] = {
    "phys": O2TModel,
    "blend": ReadsTheBlend,
    "h_para": ReadsPara,
    "encoder": StartsFromTheEncoder,
}
