"""Config of the toy system: python -m experiments.train --config=tests/training/toy_config.py"""

from o2t_jax.systems.base_config import base


def get_config():
    config = base()
    config.system = "tests.training.toy:Toy"
    config.slope = 3.0  # the constant that `b` should find
    config.train_steps, config.batch, config.lr = 6, 8, 0.1
    config.eval_every, config.log_every, config.checkpoint_every = 3, 2, 2
    config.compilation_cache = "off"
    return config
