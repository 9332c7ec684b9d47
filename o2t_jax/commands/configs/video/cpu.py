"""A world model of nine kinds of physics at 32 px; the headline run of system `video`. The variant is the quantiser.

Command: python -m experiments.train --config=experiments/configs/video/cpu.py
         another quantiser: cpu.py:fsq, cpu.py:none
         one set, or a mix: add --config.sets=pendulum, or --config.sets=pendulum:2,waves:1
Time:    21 minutes on two cores that other programs also used
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import video_config

# Ten frames seen: in fewer a clip's own constant does not show against the size of a code. Frames from their own codes
# are easy, dreamt ones are not: two and eight of them in a step.
HEADLINE = {"context": 10, "recon_frames": 2, "dream_frames": 8, "clips": 2000, "train_steps": 3400}
HEADLINE |= {"eval_every": 850, "checkpoint_every": 850}

# Two training steps on two sets: whether everything runs.
SMOKE = video_config.SMALLEST | {"sets": "pendulum:2,projectile", "eval_every": 2, "probe_clips": 4}


def get_config(variant="ema"):
    """`variant`: ema, fsq, none, or smoke."""
    check_variant(variant, (*video_config.QUANTISERS, "smoke"))
    config = video_config.default()
    if variant == "smoke":
        config.update(SMOKE)
    else:
        config.update(HEADLINE)
        config.quantiser = variant
    return config
