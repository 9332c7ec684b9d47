"""World `pendulum`, learned from its noisy states.

The variant is the model: jump, lstm, first_order_ode, newtonian, velocity or port_hamiltonian.

Command: python -m experiments.train --config=experiments/configs/dynamics/pendulum.py:MODEL
         five seeds in one program: --config.seeds=5
Time:    2 minutes on two cores, 4 with five seeds
Expect:  test/error about 0.07 at 0.1 s (newtonian), a twentieth of persistence (1.6), a sixth of the best linear model
         (0.45)
"""

from o2t_jax.systems import dynamics_config


def get_config(model="newtonian"):
    config = dynamics_config.default("pendulum", model)
    config.context = "known"  # the friction differs between sequences, and no motion of 1 s shows it
    return config
