"""The guide's free gauge at the size of `cpu`, for comparison with it: same pictures, same times, scaled phases.

Command: python -m experiments.train --config=experiments/configs/seed_cpu.py
Time: about 2 minutes on 2 cores.
Expect: a falling picture loss and a g0 near zero. At the guide's learning rate it can move by 0.015 m/s^2 in 300 steps,
and no rate would give it the unit m/s^2.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.gauge = "free"
    config.compose = False
    config.train_steps = 300
    config.lr = 1e-4
    config.eval_every = 300
    config.checkpoint_every = 150
    return config
