"""The template of a system: a pushed oscillator, learned from its states (docs/new_system.md).

Command: python -m experiments.train --config=experiments/configs/toy.py
         five seeds in one program: --config.seeds=5
Time:    half a minute on two cores
Expect:  stiffness / mass 4.00 1/s^2, test/error below a hundredth of both baselines that learn nothing
"""

from o2t_jax.systems import toy_config


def get_config():
    return toy_config.default()
