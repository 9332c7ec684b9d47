"""System `dynamics` once through everything, in seconds; it learns nothing.

Command: python -m experiments.train --config=experiments/configs/dynamics/smoke.py
Time:    seconds after compilation
Expect:  that it ends
"""

from o2t_jax.systems import dynamics_config


def get_config(model="newtonian"):
    config = dynamics_config.default("pendulum", model)
    config.update({"width": 8, "batch": 4, "horizon": 3, "window": 4, "context": "inferred", "steps": 8})
    config.update({"train_steps": 20, "eval_every": 20, "checkpoint_every": 20, "log_every": 10})
    config.update({"test_starts": 6, "test_horizon": 1.0, "long_steps": 10, "dt_values": (0.1, 0.2)})
    return config
