"""The fields that every system's config shares. A system's own `*_config.py` starts from `base()` and adds to it.

Needs no JAX, so that `--help` and a mistyped field are answered at once.
"""

from __future__ import annotations

import math

from ml_collections import ConfigDict

from o2t_jax.errors import UsageError
from o2t_jax.training.workdir import Config, flatten


def base() -> Config:
    """Shared fields with their defaults. `ConfigDict` gives each field the type of its default."""
    config = ConfigDict()
    config.system = ""  # a name in o2t_jax.systems.SYSTEMS, or package.module:function
    config.seed = 0  # of weights, data and random numbers
    config.train_steps = 1000  # updates in all
    config.batch = 16  # samples an update, over all devices
    config.lr = 1e-4  # learning rate
    config.eval_every = 500  # steps between two evaluations on held-out samples
    config.log_every = 20  # steps between two log lines, each a mean over those steps
    config.checkpoint_every = 500  # steps between two checkpoints; evaluated steps are saved too
    config.keep_checkpoints = 2  # latest checkpoints to keep, beside the best one
    config.init_from = ""  # another run's workdir whose parameters to start from; DIR@best, DIR@latest or DIR@STEP
    config.init_parts = ()  # of that run, only these parts, such as ("encoder",); empty: all
    config.freeze = ()  # parts of the parameters that are not trained, such as ("encoder", "layer.gravity_mlp")
    config.seeds = 1  # runs with seeds seed, seed + 1, ... side by side in one program (samples made in JAX only)
    config.device = "auto"  # auto, cpu, gpu, cuda, rocm, tpu or mps
    config.parallel = 0  # devices of this machine to use; 0: all
    config.memory_gb = 0.0  # plan as if only so much host memory were free; 0: what is free
    config.cpu_tuning = "on"  # on: settings of malloc, compiler and dispatch that make a CPU faster; off: none of them
    config.compilation_cache = "auto"  # where compiled steps are kept: auto (per user), off, or a path
    # Fields that may differ when a run is resumed, because they do not change what is computed.
    config.free_fields = (
        "log_every",
        "checkpoint_every",
        "keep_checkpoints",
        "device",
        "parallel",
        "memory_gb",
        "cpu_tuning",
        "compilation_cache",
    )
    return config


_AT_LEAST_ONE = ("train_steps", "batch", "seeds", "eval_every", "log_every", "checkpoint_every", "keep_checkpoints")


def validate(config: Config) -> None:
    """Refuses shared fields that no system can work with, and NaN or infinity in any field.

    Raises:
        UsageError: names field, value and limit.
    """
    for name, value in flatten(config.to_dict()).items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise UsageError(f"{name}={value} is not a finite number: set --config.{name} to one")
    for name in _AT_LEAST_ONE:
        if config[name] < 1:
            raise UsageError(f"{name}={config[name]} must be at least 1: set --config.{name}")
    if config.init_parts and not config.init_from:
        raise UsageError(f"init_parts={config.init_parts} are parts of another run: name it by --config.init_from")
    if config.lr < 0:
        raise UsageError(f"lr={config.lr} must not be negative: set --config.lr")
    if config.seed < 0:
        raise UsageError(f"seed={config.seed} must not be negative: set --config.seed")
    if config.memory_gb < 0:
        raise UsageError(f"memory_gb={config.memory_gb} must not be negative: set --config.memory_gb")
