"""O2T on a film of one's own; without one, on a thrown ball that is drawn on the fly. See docs/recordings.md.

Command: python -m experiments.train --config=experiments/configs/recording/cpu.py
         a film: --config.video=toss.mov --config.start=0.37 --config.end=0.99 --config.px_per_metre=399.7
         a few seconds, to try whether it runs: cpu.py:smoke
Time:    8 minutes on two cores that 20 others use
Expect:  g within 1 % of 9.81 m/s², test/mse below all rows that learn nothing
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import recording_config

SMOKE = {
    "size": 32,
    "features": 4,
    "steps": 3,
    "batch": 2,
    "train_steps": 2,
    "eval_every": 2,
    "checkpoint_every": 2,
    "log_every": 1,
}


def get_config(variant=""):
    """`variant`: smoke, or nothing."""
    check_variant(variant, ("", "smoke"))
    config = recording_config.default()
    if variant == "smoke":
        config.update(SMOKE)
    return config
