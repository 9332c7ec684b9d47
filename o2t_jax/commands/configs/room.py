"""The room of RoomPhys, or a module that draws it: two balls, bounces, a ramp; the law only from contact-free flights.

Command: python -m experiments.train --config=experiments/configs/room.py --config.world.g0=9.5 --config.world.alpha=8
         (for a module: --config.module=PATH [--config.module_python=PATH]; see docs/roomphys.md)
Time: about 10 minutes on 2 quiet cores in this project's own room; a sealed module's 864 pictures take 5 minutes more.
Expect: g(z) within 0.1 m/s^2 in the mean over the heights visited; sharper by experiments.roomphys' refinement.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.default_scene = "room"
    config.sampler = "flights"
    config.camera_size = 1024
    config.render_size = 64
    config.train_steps = 300
    config.lr = 1e-3
    config.k_min, config.k_max, config.n_max = 4, 16, 32
    config.num_setups = 24
    config.survey_cache = 64
    config.samples_per_setup = 16
    config.setups_at_once = 2
    config.pool_size = 512
    config.initial_fill = 128
    config.alpha_start = 0.15
    config.alpha_l2 = 0.01
    config.eval_every = 300
    config.checkpoint_every = 150
    return config
