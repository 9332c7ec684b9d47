"""The document's modern network and recipe: AdamW, batches of 2,048, 200 million windows. See docs/discs.md.

Command: python -m experiments.train --config=experiments/configs/discs/modern.py
         in bfloat16: modern.py:bfloat16
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import discs_config


def get_config(variant="float32"):
    """`variant`: float32 or bfloat16, the network's arithmetic."""
    check_variant(variant, discs_config.PRECISIONS)
    config = discs_config.default("modern")
    config.update(
        {
            "precision": variant,
            "lr": 1e-3,
            "weight_decay": 1e-4,
            "warmup": 0.1,
            "batch": 2048,
            "train_steps": 97_657,
            "eval_every": 2_000,
            "checkpoint_every": 2_000,
            "log_every": 200,
            "n_scenes": 35_000,
            "collision_share": 0.0,
            "neighbourhood": 3.5,
            "clip": 1.0,
        }
    )
    return config
