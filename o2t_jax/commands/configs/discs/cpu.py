"""Four discs in a box, predicted frame by frame; the headline run of system `discs`. The variant is the model.

Command: python -m experiments.train --config=experiments/configs/discs/cpu.py
         another model: cpu.py:classic, cpu.py:modern, cpu.py:no_pairwise, cpu.py:lstm
Time:    7 minutes on two busy cores
Expect:  test/mse_ratio below 0.001, test/collision_mse_ratio below 0.001, test/cosine_share above 0.95
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import discs_config

SMOKE = {
    "n_scenes": 20,
    "frames": 12,
    "rollout_steps": 10,
    "test_scenes": 8,
    "batch": 8,
    "width": 8,
    "train_steps": 2,
    "eval_every": 2,
    "final_tests": False,
}


def get_config(variant="relative"):
    """`variant`: relative, classic, modern, no_pairwise, lstm, or smoke."""
    check_variant(variant, (*discs_config.MODELS, "smoke"))
    config = discs_config.default("relative" if variant == "smoke" else variant)
    if config.model != "relative":
        config.update({"neighbourhood": 3.5, "lr": 2e-3, "clip": 1.0})
    if variant == "smoke":
        config.update(SMOKE)
    return config
