"""Config of the toy system: python -m experiments.train --config=tests/training/toy_config.py"""

from o2t_jax.config import Field, Group, config_of
from o2t_jax.systems import base_config

FIELDS = (*base_config.FIELDS, Group("The toy", (Field("slope", 3.0, "the constant that `b` should find"),)))


def get_config():
    config = config_of(FIELDS)
    config.system = "tests.training.toy:Toy"
    config.train_steps, config.batch, config.lr = 6, 8, 0.1
    config.eval_every, config.log_every, config.checkpoint_every = 3, 2, 2
    config.compilation_cache = "off"
    return config
