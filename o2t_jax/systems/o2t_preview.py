"""A scene of O2T as a film, before anything is trained: what camera 1 of a training sample sees, from t1 on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from o2t_jax.geometry.para import LEFT_1

if TYPE_CHECKING:
    from o2t_jax.systems.o2t import O2TSystem


def film(system: O2TSystem, seed: int, steps: int, size: int) -> UInt8[np.ndarray, "T size size 3"]:
    """Pictures of the scene's own renderer, steps + 1 of them, `config.dt` s apart; sample number `seed` of training.

    The camera stands still, so the ball may leave the picture, as it may in training after n_max steps.

    Raises: UsageError where no sample of the scene is accepted; the line says why.
    """
    sample = system.source("train", seed, system.ahead)
    shot, count = sample.shot, steps + 1
    times = shot.times[LEFT_1] + system.config.dt * np.arange(count)
    angles, positions = (np.repeat(each[LEFT_1][None], count, axis=0) for each in (shot.angles, shot.positions))
    return np.asarray(system.source.renderer.render(sample.setup_seed, times, angles, positions, (size, size)))


__all__ = ["film"]
