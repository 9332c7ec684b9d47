"""The fields of system `dynamics`: a world that is pushed, its states, and a model of them. Needs no JAX.

The fields `env.*` are those of the world that the config names; `fields(config)` gives them.
"""

from __future__ import annotations

import math

from o2t_jax.config import Config, Field, Group, config_of, put, unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, POSITIVE, Limits
from o2t_jax.physics.env_parameters import PARAMETERS, RANGES
from o2t_jax.systems import base_config

MODELS = ("first_order_ode", "jump", "lstm", "newtonian", "port_hamiltonian", "velocity")  # the cores' own names
CONTEXTS = ("none", "known", "inferred")
INTEGRATORS = ("euler", "semi_implicit", "leapfrog", "rk4", "dopri5")
MOST_WINDOW = 20
MOST_PIECES = 50  # grid steps of the test in the longest dt
DATA = Group(
    "Data: sequences of the world under random actions",
    (
        Field("dt", (0.1,), "steps, s; several: each sequence has one of them"),
        Field("hold", 0.1, "time that an action is held, s, in the evaluation at every dt", within=POSITIVE),
        Field(
            "noise",
            0.1,
            "standard deviation of the Gaussian noise on each observed entry, in its unit",
            within=NOT_NEGATIVE,
        ),
        Field("n_seqs", 0, "training sequences; 0: new ones at every step", within=NOT_NEGATIVE),
        Field(
            "dataset",
            "",
            "a set written by python -m experiments.generate to train on, such as pendulum/latest; empty: on the fly",
        ),
        Field("steps", 60, "steps of a sequence; windows of window + horizon steps are cut from it", within=COUNT),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("model", "newtonian", "the dynamics core: a name in o2t_jax.models.cores.CORES"),
        Field("width", 64, "width of the hidden layers", within=COUNT),
        Field("depth", 2, "their number", within=COUNT),
        Field(
            "integrator",
            "rk4",
            "of models that are differential equations",
            INTEGRATORS,
        ),
        Field("inner", 0.05, "longest step of the integrator, s", within=POSITIVE),
        Field(
            "reversible", False, "newtonian: no velocity in the force; port_hamiltonian: H = T(p) + V(q), no friction"
        ),
        Field("context", "none", "what the model knows of the parameters that vary", CONTEXTS),
        Field("context_size", 1, "numbers that are inferred, with context=inferred"),
    ),
)
TRAINING = Group(
    "What is learned from",
    (
        Field("horizon", 10, "steps of the rollout in the loss; 1: one-step matching, more: shooting", within=COUNT),
        Field(
            "window",
            10,
            "noisy steps before it, for the start and an inferred context; 0: the noisy state itself",
            within=Limits(0, MOST_WINDOW),
        ),
        Field(
            "smooth",
            True,
            "in the loss, estimate the start from the whole rollout's noisy states; False: from before it",
        ),
        Field("clip", 1.0, "largest global norm of the gradient", within=POSITIVE),
    ),
)
TEST = Group(
    "The test: rollouts from clean starts",
    (
        Field("test_starts", 200, "held-out sequences", within=COUNT),
        Field("test_horizon", 10.0, "their length, s", within=POSITIVE),
        Field(
            "long_steps",
            0,
            "steps of long motion without pushes, for energy drift and phase error; 0: none",
            within=NOT_NEGATIVE,
        ),
        Field("dt_values", (0.05, 0.1, 0.2, 0.5), "steps at which they are predicted, s"),
    ),
)


def fields(config: Config | None = None) -> tuple[Group, ...]:
    """The groups of a config of this system: `env.*` are the parameters of its world (`pendulum` without a config)."""
    return groups(world_name(config, "pendulum"))


def world_name(config: Config | None, default: str) -> str:
    """The config's `env.name`; `default` where there is no config, or it does not say."""
    named = config.get("env") if config is not None else None
    return default if named is None else named.get("name", default)


def groups(world: str) -> tuple[Group, ...]:
    """The groups of a config about this world. Raises: UsageError for a world that is not known."""
    return (
        base_config.RUN.changed(system="dynamics", train_steps=1500, batch=64, lr=3e-3),
        base_config.LOG.changed(eval_every=1500, checkpoint_every=1500, log_every=100),
        base_config.MACHINE,
        world_group(world),
        DATA,
        MODEL,
        TRAINING,
        TEST,
    )


def world_group(world: str) -> Group:
    """`env.name`, the world's parameters `env.*`, and `vary`. Raises: UsageError for a world that is not known."""
    if world not in PARAMETERS:
        raise unknown_choice("env.name", world, PARAMETERS)
    own = [Field(f"env.{name}", p.default, f"{p.meaning}, {p.unit}") for name, p in PARAMETERS[world].items()]
    vary = tuple(f"{name}:{low:g}:{high:g}" for name, (low, high) in RANGES[world].items())
    return Group(
        "The world",
        (
            Field("env.name", world, "a name in o2t_jax.physics.envs.ENVIRONMENTS"),
            *own,
            Field("vary", vary, "parameters drawn for each sequence: NAME:LOW:HIGH,...; empty: none"),
        ),
    )


def default(world: str = "pendulum", model: str = "newtonian") -> Config:
    """All fields at their defaults, for this world and model. Raises: UsageError for a name that is not known."""
    if model not in MODELS:
        raise unknown_choice("model", model, MODELS)
    config = config_of(groups(world))
    put(config, "model", model)
    return config


def ranges_of(config: Config) -> dict[str, tuple[float, float]]:
    """Parameter -> (low, high) of those that differ between sequences. Raises: UsageError where `vary` is not valid."""
    world, found = config.env.name, {}
    for text in config.vary:
        name, *limits = str(text).split(":")
        if name not in PARAMETERS[world]:
            raise unknown_choice(f"vary={text!r}: parameter", name, PARAMETERS[world])
        try:
            low, high = (float(limit) for limit in limits)
        except ValueError:
            raise UsageError(f"vary={text!r} is not NAME:LOW:HIGH: write --config.vary={name}:0.1:0.5") from None
        if not low < high:
            raise UsageError(f"vary={text!r}: give the lower limit first and a higher one after it")
        if config.env[name] != PARAMETERS[world][name].default:
            raise UsageError(
                f"env.{name}={config.env[name]:g} would have no effect, as vary={text!r} draws it for each sequence: "
                "set --config.vary= to draw nothing, or leave it out"
            )
        found[name] = (low, high)
    return found


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields, the world its own."""
    ranges_of(config)
    if config.context != "none" and not config.vary:
        raise UsageError(f"context={config.context} needs a parameter that varies: set --config.vary, or context=none")
    if config.context == "inferred" and (config.window < 2 or config.context_size < 1):
        raise UsageError(
            f"context=inferred with window={config.window} and context_size={config.context_size}: they must be at "
            "least 2 and 1"
        )
    if config.context == "inferred" and not config.noise:
        raise UsageError("context=inferred with noise=0: a context is fitted in units of the noise: set --config.noise")
    if config.steps < config.window + config.horizon:
        raise UsageError(
            f"steps={config.steps} is below window + horizon = {config.window + config.horizon}: set --config.steps"
        )
    if config.dataset and (config.n_seqs or config.seeds > 1):
        raise UsageError(
            f"dataset={config.dataset} holds its own sequences, and trains one seed at a time: set --config.n_seqs=0 "
            "and --config.seeds=1"
        )
    for name in ("dt", "dt_values"):
        check_steps(name, config[name])
    check_test_times(config)


def check_test_times(config: Config) -> None:
    """Refuses times of the test that have no common grid of a reasonable size. Raises: UsageError."""
    times = {"hold": config.hold, "dt": config.dt[0]} | {f"dt_values {dt:g}": dt for dt in config.dt_values}
    for name, time in times.items():
        if not math.isclose(time * 1000, round(time * 1000), abs_tol=1e-6) or time < 0.001:
            raise UsageError(f"{name}: {time:g} s is not a multiple of 1 ms, as times of the test must be")
    longest = max(config.dt[0], *config.dt_values)
    grid = math.gcd(*(round(time * 1000) for time in times.values())) / 1000
    if longest / grid > MOST_PIECES:
        raise UsageError(
            f"dt_values={tuple(config.dt_values)} and hold={config.hold:g} s have a common grid of {grid:g} s, more "
            f"than {MOST_PIECES} of which are in {longest:g} s: choose times with a longer common divisor"
        )
    if config.test_horizon < longest:
        raise UsageError(
            f"test_horizon={config.test_horizon:g} s is shorter than a step of {longest:g} s: set "
            "--config.test_horizon, or shorter --config.dt_values"
        )


def check_steps(name: str, values: tuple) -> None:
    """Refuses a field that is not some steps above 0 s. Raises: UsageError."""
    for dt in values:
        if isinstance(dt, bool) or not isinstance(dt, int | float) or not (0 < dt < math.inf):
            raise UsageError(f"{name}={dt!r}: a step must be a number of seconds above 0: set --config.{name}=0.1,0.2")
    if not values:
        raise UsageError(f"{name} is empty: give at least one step in s, such as --config.{name}=0.1")


FIELDS = fields
