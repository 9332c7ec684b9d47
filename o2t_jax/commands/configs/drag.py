"""A force that is no g(z): `ballistic` in air, where quadratic drag slows the balls, learned beside g0.

Command: python -m experiments.train --config=experiments/configs/drag.py
Time: a few minutes on 2 cores (four minutes of CPU time).
Expect: g0 within 1% of the world's 9.81 m/s^2, drag within 10% of 9.81 / 15^2 = 0.0436 1/m (a fall ends at 15 m/s), and
its 95% interval (`experiments.readout`). --config.learn_force=none trains the same world without the term.

Another world: --config.world.g0=3.71 --config.world.drag=0.01649. Over 6 m of height nothing tells a slope of g(z) from
drag, so that the height term stays at zero (alpha_start=1).
"""

from o2t_jax.systems import o2t_config

TERMINAL_SPEED = 15.0


def get_config():
    config = o2t_config.default()
    config.world.force = "quadratic_drag"
    config.world.drag = 9.81 / TERMINAL_SPEED**2
    config.learn_force = "quadratic_drag"
    config.train_steps = 400
    config.lr = 1e-3
    config.alpha_start = 1.0
    config.shoot_rounds = 4
    config.eval_every = 400
    config.checkpoint_every = 200
    return config
