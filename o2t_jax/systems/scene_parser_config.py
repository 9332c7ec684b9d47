"""The fields of system `scene_parser`: a network that reads sentences. Needs no JAX."""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, SHARE, Limits, at_least
from o2t_jax.systems import base_config

DATA = Group(
    "Data",
    (
        Field("captions", "", "folder of train.csv, dev.csv and test.csv (docs/scene.md); empty: sentences made here"),
        Field("pairs", 20000, "made sentences, drawn once at the start; of captions all are taken", within=COUNT),
        Field(
            "strange",
            0.15,
            "share of made sentences with a thing that is in no list, so that it must be copied",
            within=SHARE,
        ),
        Field("length", 32, "words of a sentence; later ones are dropped", within=at_least(4)),
        Field("out_length", 48, "tokens of its sequence; longer ones are not learned from", within=at_least(8)),
        Field("write_length", 48, "most tokens that are written", within=COUNT),
        Field("least", 3, "captions: sequences that have a word before it can be generated", within=COUNT),
        Field("least_read", 2, "captions: those that have a word before it is known", within=COUNT),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("width", 128, "of the embeddings, of what reads and of what writes"),
        Field("layers", 1, "GRUs that read, in both directions each", within=COUNT),
        Field("dropout", 0.1, "share of dropped units", within=Limits(0, 0.9)),
        Field("weight_decay", 0.01, "AdamW's weight decay", within=NOT_NEGATIVE),
        Field("clip", 1.0, "largest global norm of the gradient", within=NOT_NEGATIVE),
        Field(
            "warm_up",
            0.05,
            "share of the steps in which the learning rate rises; it falls by a cosine then",
            within=Limits(0, 0.9),
        ),
    ),
)
TEST = Group(
    "The test",
    (
        Field("validation_sentences", 300, "sentences that choose the best checkpoint", within=COUNT),
        Field(
            "test_sentences",
            1000,
            "made sentences with held-out pairs of words; of captions all are taken",
            within=COUNT,
        ),
    ),
)
FIELDS = (
    base_config.RUN.changed(system="scene_parser", train_steps=2000, batch=64, lr=3e-3),
    base_config.LOG.changed(eval_every=500, checkpoint_every=500, log_every=100),
    base_config.MACHINE,
    DATA,
    MODEL,
    TEST,
)


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields."""
    if config.width < 2 or config.width % 2:
        raise UsageError(f"width={config.width} must be even and at least 2: set --config.width")
