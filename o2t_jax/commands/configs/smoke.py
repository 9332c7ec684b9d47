"""Everything once, in seconds: for tests and for trying a new scene or module.

Command: python -m experiments.train --config=experiments/configs/smoke.py
Time: under a minute on 2 cores, nearly all of it compilation.
Expect: a finished run with checkpoints, pictures and a law file; after 6 steps the law is meaningless.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.train_steps = 6
    config.render_size = 32
    config.min_pixels = 4
    config.batch = 4
    config.pool_size = 16
    config.initial_fill = 8
    config.eval_every = 3
    config.checkpoint_every = 3
    config.log_every = 1
    config.eval_samples = 6
    return config
