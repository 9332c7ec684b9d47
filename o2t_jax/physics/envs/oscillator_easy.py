"""`oscillator_easy`: the oscillator with unit mass and stiffness and the same friction in every sequence."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from o2t_jax.physics.envs.base import Ranges
from o2t_jax.physics.envs.oscillator import Oscillator


class OscillatorEasyParams(NamedTuple):
    """`mass` kg, `stiffness` N/m, `damping` N s/m."""

    mass: Any = 1.0
    stiffness: Any = 1.0
    damping: Any = 0.1


class OscillatorEasy(Oscillator):
    """m x'' = F - c x' - k x as in `Oscillator`, with other constants and nothing that differs between sequences."""

    name = "oscillator_easy"
    Params = OscillatorEasyParams
    RANGES: ClassVar[Ranges] = {}


__all__ = ["OscillatorEasy", "OscillatorEasyParams"]
