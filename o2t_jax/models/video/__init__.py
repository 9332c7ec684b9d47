"""The world model of system `video`: pictures to codes, codes moved on under actions, codes to pictures."""

from o2t_jax.models.video.model import Sizes, State, VideoModel
from o2t_jax.models.video.quantisers import QUANTISERS, Quantiser

__all__ = ["QUANTISERS", "Quantiser", "Sizes", "State", "VideoModel"]
