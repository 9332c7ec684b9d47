"""The fields of system `video`: a world model of pictures under actions. Needs no JAX."""

from __future__ import annotations

import math

from o2t_jax.config import Config, Field, Group, config_of, unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.limits import BELOW_ONE, COUNT, NOT_NEGATIVE, at_least
from o2t_jax.systems import base_config

PHYSICS = (
    *("bouncing_balls", "pendulum", "spring_mass", "multi_ball", "projectile"),
    *("double_pendulum", "falling_shapes", "waves", "orbits"),
)
DIGITS = "moving_digits"
TASKS = ("pusher", "cartpole")  # of the agent (docs/agent.md); they have rewards, and are in no mix by themselves
SETS = (*PHYSICS, DIGITS, *TASKS)
QUANTISERS = ("ema", "fsq", "none")
SIZES = (32, 64)
SIDE = 8  # of the map of latents

DATA = Group(
    "Data: clips of one set or of several",
    (
        Field("sets", "physics", "sets and weights, such as a:2,b:1 or pendulum; physics: the nine; all: digits too"),
        Field("digits", "", "file of digits for moving_digits: .npz or MNIST's IDX; empty: scikit-learn's"),
        Field("size", 32, "height and width of a picture, px"),
        Field("frames", 30, "frames of a clip; windows are cut anywhere in it"),
        Field(
            "clips",
            1000,
            "training clips of each set, made once at the start; 0: the original's number",
            within=NOT_NEGATIVE,
        ),
        Field(
            "dataset",
            "",
            "stored sets A,B (python -m experiments.generate) to train on, for a single set; empty: made here",
        ),
        Field("context", 5, "frames that the model sees", within=at_least(2)),
        Field("horizon", 10, "frames that it then predicts in training and in the test", within=COUNT),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("widths", (24, 48), "channels of the encoder's levels, each half the size of the one before"),
        Field("hidden", 48, "channels of a convolutional GRU", within=COUNT),
        Field("layers", 1, "GRUs, one on top of the other", within=COUNT),
        Field("quantiser", "ema", "from latents to codes", QUANTISERS),
        Field("codes", 512, "ema: codes of the codebook", within=at_least(2)),
        Field("code_size", 16, "ema, none: numbers of a latent", within=COUNT),
        Field("code_decay", 0.98, "ema: decay of the running means", within=BELOW_ONE),
        Field(
            "code_dead",
            0.002,
            "ema: share of the mean count below which a code starts again elsewhere",
            within=NOT_NEGATIVE,
        ),
        Field("fsq_levels", (8, 8, 8), "fsq: levels of each number of a latent"),
    ),
)
TRAINING = Group(
    "What is learned from",
    (
        Field("square", 100.0, "weight of a pixel's squared error", within=NOT_NEGATIVE),
        Field("absolute", 2.0, "weight of its absolute error", within=NOT_NEGATIVE),
        Field(
            "latent",
            1.0,
            "weight of the squared distance of predicted latents from those of the true frames",
            within=NOT_NEGATIVE,
        ),
        Field("commit", 0.25, "weight of the squared distance of latents from their codes", within=NOT_NEGATIVE),
        Field(
            "bright",
            1.0,
            "how much more the squared error of a white pixel counts than that of a black one",
            within=NOT_NEGATIVE,
        ),
        Field(
            "even",
            1.0,
            "1: squared errors of a set are divided by its variance; 0: not; between: a power of it",
            within=NOT_NEGATIVE,
        ),
        Field("recon_frames", 4, "frames of each clip that are decoded from their own codes in a step", within=COUNT),
        Field("dream_frames", 5, "predicted frames of each clip that are decoded in a step", within=COUNT),
        Field("judged", 1.0, "weight of reward and continuation, where clips have them", within=NOT_NEGATIVE),
        Field(
            "rewards",
            1.0,
            "how much more a reward's squared error counts than a continuation's cross-entropy",
            within=NOT_NEGATIVE,
        ),
        Field("clip", 1.0, "largest global norm of the gradient", within=NOT_NEGATIVE),
        Field("warm_up", 100, "steps in which the learning rate rises; it falls by a cosine then", within=NOT_NEGATIVE),
    ),
)
TEST = Group(
    "The test",
    (
        Field("test_clips", 128, "held-out clips of each set", within=COUNT),
        Field(
            "probe_clips",
            200,
            "training clips of each set that linear probes are fitted to; 0: no probes",
            within=NOT_NEGATIVE,
        ),
        Field("validation_clips", 16, "held-out clips of each set that choose the best checkpoint", within=COUNT),
    ),
)


FIELDS = (
    base_config.RUN.changed(system="video", train_steps=2500, batch=18, lr=2e-3),
    base_config.LOG.changed(eval_every=500, checkpoint_every=500, log_every=50),
    base_config.MACHINE,
    DATA,
    MODEL,
    TRAINING,
    TEST,
)


# Two steps of the smallest model on a few short clips: what the smoke variants of configs have in common.
SMALLEST = {
    "frames": 8,
    "clips": 8,
    "context": 2,
    "horizon": 3,
    "widths": (8, 8),
    "hidden": 8,
    "codes": 16,
    "code_size": 4,
    "recon_frames": 2,
    "dream_frames": 2,
    "batch": 4,
    "train_steps": 2,
    "test_clips": 4,
    "validation_clips": 2,
}


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)


def mix_of(text: str) -> dict[str, float]:
    """Set -> its share of the clips, from "a:2,b:1". Raises: UsageError for an unknown set or weights that are none."""
    text = {"physics": ",".join(PHYSICS), "all": ",".join((*PHYSICS, DIGITS))}.get(text.strip(), text)
    weights: dict[str, float] = {}
    for entry in text.split(","):
        name, colon, number = (part.strip() for part in entry.partition(":"))
        if name not in SETS:
            raise unknown_choice("sets", name, SETS)
        if name in weights:
            raise UsageError(f"sets={text}: {name} is named twice: name it once, with its weight")
        try:
            weights[name] = float(number) if colon else 1.0
        except ValueError:
            raise UsageError(f"sets={text}: the weight {number!r} of {name} is no number: write {name}:2") from None
        if not (math.isfinite(weights[name]) and weights[name] >= 0.0):
            raise UsageError(f"sets={text}: the weight {number} of {name} must be a finite number, 0 or more")
    total = sum(weights.values())
    if total <= 0.0:
        raise UsageError(f"sets={text}: the weights add up to 0: give one set a weight above 0")
    return {name: weight / total for name, weight in weights.items() if weight > 0.0}


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields."""
    mix = mix_of(config.sets)
    if config.size not in SIZES:
        raise UsageError(f"size={config.size} px must be one of {', '.join(map(str, SIZES))}: set --config.size")
    needed = config.context + config.horizon
    if config.frames < needed:
        raise UsageError(
            f"frames={config.frames}: a clip is shorter than context={config.context} plus horizon={config.horizon}: "
            f"set --config.frames={needed} or more"
        )
    if min(config.fsq_levels, default=0) < 2:
        raise UsageError(f"fsq_levels={tuple(config.fsq_levels)} must each be at least 2: set --config.fsq_levels")
    count = (config.size // SIDE).bit_length() - 1
    if len(config.widths) != count or min(config.widths) < 1:
        raise UsageError(
            f"widths={tuple(config.widths)} must be {count} positive numbers: size {config.size} is halved {count} "
            f"times to reach {SIDE}"
        )
    if config.dataset and len(mix) > 1:
        raise UsageError(
            f"dataset={config.dataset} is of one set, and sets={config.sets} names {len(mix)}: set --config.sets=NAME"
        )
