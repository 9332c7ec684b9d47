"""World `spring`, learned from its noisy states.

The variant is the model: jump, lstm, first_order_ode, velocity or port_hamiltonian; the state has momenta, so that
newtonian, which needs velocities, is refused.

Command: python -m experiments.train --config=experiments/configs/dynamics/spring.py:MODEL
         five seeds in one program: --config.seeds=5
Time:    a few minutes on two cores
Expect:  a falling loss; no figure of this world is claimed
"""

from o2t_jax.systems import dynamics_config


def get_config(model="port_hamiltonian"):
    return dynamics_config.default("spring", model)
