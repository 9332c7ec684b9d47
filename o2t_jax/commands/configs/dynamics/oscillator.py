"""World `oscillator`, learned from its noisy states.

The variant is the model: jump, lstm, first_order_ode, newtonian, velocity or port_hamiltonian.

Command: python -m experiments.train --config=experiments/configs/dynamics/oscillator.py:MODEL
         five seeds in one program: --config.seeds=5
Time:    2 minutes on two cores
Expect:  test/error a twentieth of persistence or less (newtonian)
"""

from o2t_jax.systems import dynamics_config


def get_config(model="newtonian"):
    config = dynamics_config.default("oscillator", model)
    config.context = "known"  # the friction differs between sequences, and no motion of 1 s shows it
    return config
