"""Dynamics learned from pictures: a variational encoder, a state of positions and momenta, predictors, a decoder.

Source of the shape: Toth et al. 2020, Hamiltonian Generative Networks.
"""

from __future__ import annotations

from o2t_jax.models.dynamics.model import PictureDynamics, Sizes
from o2t_jax.models.dynamics.predictors import PREDICTORS, Predictor

__all__ = ["PREDICTORS", "PictureDynamics", "Predictor", "Sizes"]
