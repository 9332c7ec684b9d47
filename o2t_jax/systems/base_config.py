"""The fields that systems share, in groups, each with its default and meaning. Needs no JAX.

A system's own `*_config.py` composes them: `FIELDS = (*base_config.FIELDS, BUFFER.changed(pool_size=64), Group(...))`.
"""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, Groups, check_values, config_of, flatten, is_finite
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, POSITIVE
from o2t_jax.training.writers import WRITERS

RUN = Group(
    "The run",
    (
        Field("system", "", "a name in o2t_jax.systems.SYSTEMS, or package.module:function"),
        Field("seed", 0, "seed of weights, data and random numbers", within=NOT_NEGATIVE),
        Field("train_steps", 1000, "number of updates", within=COUNT),
        Field("batch", 16, "samples per update, over all devices", within=COUNT),
        Field("lr", 1e-4, "learning rate", within=NOT_NEGATIVE),
        Field("init_from", "", "another run whose parameters to start from: DIR, DIR@best, DIR@latest or DIR@STEP"),
        Field("init_parts", (), "start only these parts from that run, such as ('encoder',); empty: all"),
        Field("freeze", (), "parts of the parameters that are not trained, such as ('encoder', 'layer.gravity_mlp')"),
        Field("seeds", 1, "runs of seed, seed + 1, ... together in one program; for samples made in JAX", within=COUNT),
    ),
)
LOG = Group(
    "Evaluation, log and checkpoints",
    (
        Field("eval_every", 500, "steps between two evaluations on held-out samples", within=COUNT),
        Field(
            "log_every",
            20,
            "steps between two log lines; each line is a mean over these steps",
            free=True,
            within=COUNT,
        ),
        Field(
            "checkpoint_every",
            500,
            "steps between two checkpoints; evaluated steps are saved too",
            free=True,
            within=COUNT,
        ),
        Field(
            "writers",
            tuple(WRITERS),
            f"where numbers and pictures are logged: {', '.join(WRITERS)}, or package.module:function",
            free=True,
        ),
        Field(
            "keep_checkpoints", 2, "latest checkpoints to keep, in addition to the best one", free=True, within=COUNT
        ),
    ),
)
MACHINE = Group(
    "The machine",
    (
        Field("device", "auto", "auto, cpu, gpu, cuda, rocm, tpu or mps", free=True),
        Field("parallel", 0, "devices of this machine to use; 0: all", free=True, within=NOT_NEGATIVE),
        Field(
            "memory_gb",
            0.0,
            "plan as if only this much host memory (GB) were free; 0: all free memory",
            free=True,
            within=NOT_NEGATIVE,
        ),
        Field(
            "cpu_tuning",
            "on",
            "on: settings of malloc, compiler and dispatch that make a CPU faster; off: default settings",
            ("on", "off"),
            free=True,
        ),
        Field("compilation_cache", "auto", "where compiled steps are kept: auto (per user), off, or a path", free=True),
    ),
)
# The fields of every system.
FIELDS = (RUN, LOG, MACHINE)

# For systems whose samples come through the replay ring (`o2t_jax.data.ring`).
BUFFER = Group(
    "The buffer",
    (
        Field("pool_size", 512, "samples that the ring holds"),
        Field("initial_fill", 64, "samples made before the first step"),
        Field(
            "render_workers",
            2,
            "workers that make samples: threads, with a process each (sampler=pairs after 2 s; a module)",
            free=True,
        ),
        Field("reuse", 2.0, "how often a sample is drawn on average"),
        Field(
            "buffer",
            "deterministic",
            "deterministic (repeatable), or free (workers and training do not wait for each other: the guide's FIFO)",
            ("deterministic", "free"),
        ),
    ),
)
OPTIMISER = Group(
    "The optimiser",
    (
        Field("weight_decay", 1e-4, "AdamW's weight decay", within=NOT_NEGATIVE),
        Field("clip", 1.0, "largest global norm of the network's gradient", within=POSITIVE),
    ),
)


def base() -> Config:
    """The shared fields at their defaults."""
    return config_of(FIELDS)


def validate(config: Config, groups: Groups = FIELDS) -> None:
    """Refuses values that are not finite, outside their field's limits or not among its choices; invalid shared fields.

    Args: `groups`, all fields of the config's system; without them the shared ones alone are checked.

    Raises:
        UsageError: names field, value and limit.
    """
    for name, value in flatten(config.to_dict()).items():
        if not is_finite(value):
            raise UsageError(f"{name}={value} is not a finite number: set --config.{name} to a finite one")
    check_values(config, groups)
    if config.init_parts and not config.init_from:
        raise UsageError(f"init_parts={config.init_parts} needs a run to start from: set --config.init_from")
    for writer in config.writers:
        WRITERS.check(writer)
