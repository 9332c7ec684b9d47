"""The sizes of the document: d 256, N 32, 4 layers, its transformer for words; not trained here.

Command: python -m experiments.train --config=experiments/configs/motion/original.py
         text to motion: original.py:text; 200 frames: add --config.horizon=192
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import motion_config

SIZES = {
    "width": 256,
    "states": 32,
    "layers": 4,
    "shared_rates": True,
    "text": "transformer",
    "batch": 16,
    "lr": 5e-5,
    "weight_decay": 0.01,
    "clip": 0.5,
    "lambda_physics": 0.1,
    "train_steps": 30_000,
}


def get_config(variant="physics"):
    """`variant`: physics, or text (Motion SSM, from words alone too)."""
    check_variant(variant, ("physics", "text"))
    config = motion_config.default()
    config.update(SIZES)
    if variant == "text":
        config.update({"model": "motion", "prefix_dropout": 0.7, "clip": 1.0, "train_steps": 76_500})
    return config
