"""The document's classic network and recipe: RMSprop, batches of 50, 60 million windows. See docs/discs.md.

Command: python -m experiments.train --config=experiments/configs/discs/classic.py
         the re-implementation's one pair map in place of the paper's two: classic.py:joint
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import discs_config


def get_config(variant="two"):
    """`variant`: two or joint, the pair layer."""
    check_variant(variant, discs_config.PAIRS)
    config = discs_config.default("classic")
    config.update(
        {
            "pair": variant,
            "optimiser": "rmsprop",
            "lr": 3e-4,
            "batch": 50,
            "train_steps": 1_200_000,
            "eval_every": 20_000,
            "checkpoint_every": 20_000,
            "log_every": 2_000,
            "n_scenes": 35_000,
            "collision_share": 0.0,
            "neighbourhood": 3.5,
            "clip": 0.0,
        }
    )
    return config
