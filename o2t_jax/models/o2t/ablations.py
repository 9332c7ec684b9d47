"""Ablations: other paths by which the law could be learned.

The actual model reads the law from the physics branch, started from measured numbers only. These add the NN branch, or
quantities that depend on the target's camera and time, and learn a wrong law (BENCHMARKS.md, 'Ablations').
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
    """h_PARA, which depends on the target's camera and time, is added to the numbers that are read."""

    def read_from(self, evolved: phys.Evolved, observed: Observed) -> jax.Array:
        return evolved.phys + self.h_para(scale_para(observed.para[:, TARGET]))


class StartsFromTheEncoder(O2TModel):
    """The encoder's own numbers, which depend on PARA5, are added to the measured ones."""

    def start_from(self, values: jax.Array, latent: jax.Array) -> jax.Array:
        return values + latent


# Config field `law_branch` -> the model.
LAW_BRANCHES: Mapping[str, type[O2TModel]] = {
    "phys": O2TModel,
    "blend": ReadsTheBlend,
    "h_para": ReadsPara,
    "encoder": StartsFromTheEncoder,
}
