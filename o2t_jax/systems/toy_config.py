"""The toy system's config, the start of `experiments/configs/toy.py`. Needs no JAX."""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of
from o2t_jax.limits import COUNT
from o2t_jax.systems import base_config

TOY = Group(
    "The toy: a pushed oscillator, learned from its states",
    (
        Field("core", "newtonian", "the dynamics core: a name in o2t_jax.models.cores.CORES"),
        Field("width", 32, "width of the core's two hidden layers", within=COUNT),
        Field("dt", 0.1, "one step, s"),
        Field("horizon", 10, "steps of a training sequence", within=COUNT),
        Field("env.stiffness", 2.0, "hidden truth: the spring's stiffness, N/m"),
        Field("env.damping", 0.1, "hidden truth: its friction, N s/m"),
    ),
)
FIELDS = (
    base_config.RUN.changed(system="toy", train_steps=600, batch=64, lr=3e-3),
    base_config.LOG.changed(eval_every=300, checkpoint_every=300, log_every=50),
    base_config.MACHINE,
    TOY,
)


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)
