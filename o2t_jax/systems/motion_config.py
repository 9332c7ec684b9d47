"""The fields of system `motion`: human motion from words and its first frames. Needs no JAX."""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, SHARE, Limits, at_least
from o2t_jax.systems import base_config

MODELS = ("motion", "physics")
GATES = ("learned", "concatenated", "zero", "one")
TEXTS = ("bag", "transformer")
SCANS = ("auto", "sequential", "associative")
BASES = ("neighbours", "hold")
HELD_OUT = ("clips", "cells")

DATA = Group(
    "Data: clips at 20 frames/s",
    (
        Field("clips", "", "folder or archive of recorded BVH clips; empty: gaits made here"),
        Field(
            "n_clips",
            1600,
            "gaits for training, made once at the start; of recorded clips all are taken",
            within=at_least(16),
        ),
        Field("held_out", "clips", "recorded clips that are tested: clips, or cells of action and style", HELD_OUT),
        Field("given", 8, "frames that the model sees", within=at_least(4)),
        Field("horizon", 56, "frames that it then predicts", within=at_least(4)),
        Field("least", 24, "frames that a clip must have"),
        Field("stride", 6, "frames between the first ones of two windows of a clip", within=COUNT),
        Field("base", "neighbours", "guess that is corrected: the mean of 5 nearest clips, or the last pose", BASES),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("model", "physics", "motion: no physics layer; physics: with it", MODELS),
        Field("gate", "learned", "physics: learned; concatenated: no gate; held at zero or one", GATES),
        Field("shuffled", False, "physics: the physics state is that of another clip"),
        Field("width", 64, "of the sequence", within=COUNT),
        Field("states", 8, "of a channel of a Mamba layer", within=COUNT),
        Field("layers", 2, "Mamba layers, the physics layer's own not counted", within=COUNT),
        Field("shared_rates", False, "one set of decay rates for all channels of a layer, as in the document"),
        Field("scan", "auto", "the recurrence: what is fast on this backend, or one form", SCANS),
        Field("text", "bag", "encoder of words: bag, or the document's transformer", TEXTS),
        Field("latent", 0, "numbers drawn for a clip; 0: a deterministic head", within=NOT_NEGATIVE),
    ),
)
TRAINING = Group(
    "What is learned from",
    (
        Field("pose", 10.0, "weight of squared errors of places from the hips", within=NOT_NEGATIVE),
        Field("velocity", 0.2, "weight of squared errors of velocities", within=NOT_NEGATIVE),
        Field(
            "divergence",
            1e-3,
            "weight of the latent's divergence from what words allow",
            within=NOT_NEGATIVE,
        ),
        Field("lambda_physics", 1.0, "weight of all physical penalties together", within=NOT_NEGATIVE),
        Field("skate", 0.05, "of feet that move on the ground", within=NOT_NEGATIVE),
        Field("penetration", 0.5, "of feet below it", within=NOT_NEGATIVE),
        Field("floating", 0.05, "of a body that nothing holds up", within=NOT_NEGATIVE),
        Field("jerk", 0.02, "of the third derivative", within=NOT_NEGATIVE),
        Field("prefix_dropout", 0.0, "share of clips of which the model sees the words alone", within=SHARE),
        Field("noise", 0.005, "m of noise on given frames", within=NOT_NEGATIVE),
        Field("dropout", 0.1, "share of dropped units", within=Limits(0, 0.9)),
        Field("weight_decay", 0.05, "AdamW's weight decay", within=NOT_NEGATIVE),
        Field("clip", 1.0, "largest global norm of the gradient", within=NOT_NEGATIVE),
        Field(
            "warm_up",
            0.1,
            "share of the steps in which the learning rate rises; it falls by a cosine then",
            within=Limits(0, 0.9),
        ),
    ),
)
TEST = Group(
    "The test",
    (
        Field("validation_clips", 96, "held-out gaits that choose the best checkpoint", within=at_least(8)),
        Field("test_clips", 200, "held-out gaits of the test", within=at_least(8)),
        Field("draws", 10, "latent: clips drawn, of which the best counts; the rows get as many", within=COUNT),
    ),
)
FIELDS = (
    base_config.RUN.changed(system="motion", train_steps=1500, batch=32, lr=2e-3),
    base_config.LOG.changed(eval_every=250, checkpoint_every=250, log_every=50),
    base_config.MACHINE,
    DATA,
    MODEL,
    TRAINING,
    TEST,
)


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields."""
    if not config.given < config.least <= config.given + config.horizon:
        raise UsageError(
            f"least={config.least} frames of a clip: more than given={config.given} and at most given plus "
            f"horizon={config.horizon} are needed: set --config.least"
        )
    if config.shuffled and config.model != "physics":
        raise UsageError(f"shuffled=True needs a physics layer, and model={config.model}: set --config.model=physics")
    if config.text == "transformer" and config.width % 4:
        raise UsageError(f"width={config.width} is not divisible by the transformer's 4 heads: set --config.width")


__all__ = ["FIELDS", "default", "validate"]
