"""How a person moves on after 8 frames, on made gaits; the headline run of system `motion`.

Command: python -m experiments.train --config=experiments/configs/motion/cpu.py
         another variant: cpu.py:text, cpu.py:stochastic, cpu.py:ungated, ...
         recorded clips: add --config.clips=PATH
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import motion_config

# Two training steps on a few clips: whether everything runs.
SMOKE = {
    "n_clips": 32,
    "given": 6,
    "horizon": 10,
    "least": 16,
    "width": 8,
    "states": 2,
    "layers": 1,
    "latent": 2,
    "prefix_dropout": 0.5,
    "batch": 4,
    "train_steps": 2,
    "eval_every": 2,
    "validation_clips": 16,
    "test_clips": 16,
    "draws": 2,
}
TEXT = {"model": "motion", "prefix_dropout": 0.7}
# Legs weigh as much as the hips' way, or their phase is not learned; nearly all clips are of words alone.
STOCHASTIC = {
    **TEXT,
    "prefix_dropout": 0.9,
    "latent": 16,
    "divergence": 3e-3,
    "pose": 30.0,
    "train_steps": 3000,
}
VARIANTS = {
    "gated": {},
    "motion": {"model": "motion"},
    "ungated": {"gate": "concatenated"},
    "zero": {"gate": "zero"},
    "one": {"gate": "one"},
    "shuffled": {"shuffled": True},
    "free": {"lambda_physics": 0.0},
    "text": TEXT,
    "stochastic": STOCHASTIC,
    "smoke": SMOKE,
}


def get_config(variant="gated"):
    """`variant`: gated (learned gate), ungated (physics state concatenated), zero and one (gate held there), shuffled
    (physics state of another clip), free (no penalties), motion (no physics layer), text (words alone too), stochastic
    (numbers drawn for a clip), or smoke."""
    check_variant(variant, VARIANTS)
    config = motion_config.default()
    config.update(VARIANTS[variant])
    return config
