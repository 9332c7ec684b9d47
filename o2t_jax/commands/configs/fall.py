"""The curve g(z): whole flights between 0 and 20 m, seen by a static rig, cut into windows.

Command: python -m experiments.train --config=experiments/configs/fall.py --config.world.g0=9.5 --config.world.alpha=8
Time: about 6 minutes on 2 quiet cores, rendering included.
Expect: g(z) within 0.03 m/s^2 in the mean over the heights visited; g0 and alpha by its fit.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.default_scene = "fall"
    config.sampler = "flights"
    config.train_steps = 300
    config.lr = 1e-3
    config.k_min, config.k_max, config.n_max = 4, 16, 32
    config.num_setups = 96
    config.samples_per_setup = 16
    config.setups_at_once = 2
    config.pool_size = 512
    config.initial_fill = 128
    config.alpha_start = 0.15
    config.alpha_l2 = 0.01
    config.eval_every = 300
    config.checkpoint_every = 150
    return config
