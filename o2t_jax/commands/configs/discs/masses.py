"""Discs with masses of 1, 5 or 25, and the question which one the first disc has. The variant is the speed.

Command: python -m experiments.train --config=experiments/configs/discs/masses.py:fast
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import discs_config

SPEEDS = {"original": 60.0, "fast": 600.0}


def get_config(variant="original"):
    """`variant`: original, or fast for ten times its speed."""
    check_variant(variant, SPEEDS)
    config = discs_config.default("relative")
    config.env.masses = (1.0, 5.0, 25.0)
    config.env.speed = SPEEDS[variant]
    return config
