"""The law of `ballistic` on a laptop CPU: the default.

Command: python -m experiments.train
Time: two and a half minutes on 2 cores, compilation included; one and a half if the compiled step is cached.
Expect: g0 from 0 to the world's 9.81 m/s^2 within 1% (other worlds: --config.world.g0); FUTURE pictures that show the
ball where it will be, ahead of repeat, background and constant velocity.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.train_steps = 150
    config.lr = 1e-3
    config.eval_every = 150
    config.checkpoint_every = 75
    return config
