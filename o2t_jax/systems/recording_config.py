"""The fields of system `recording`: O2T on one film of one's own. Needs no JAX."""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, POSITIVE, Limits, at_least
from o2t_jax.systems import base_config

FILM = Group(
    "The film: one object that flies, a camera that stands still",
    (
        Field("video", "", "a film, or a folder or zip of pictures; empty: a thrown ball, drawn on the fly"),
        Field("fps", 0.0, "frames/s at which it was filmed; 0: the frames' own time stamps", within=NOT_NEGATIVE),
        Field("start", 0.0, "first second that is used: the object flies freely from here on", within=NOT_NEGATIVE),
        Field("end", 0.0, "last second that is used; 0: to the film's end", within=NOT_NEGATIVE),
        Field("roi", (), "the part of the picture to look at, px: (x, y, width, height); empty: all of it"),
        Field("px_per_metre", 0.0, "the film's scale; 0: none, lengths are in px of the film", within=NOT_NEGATIVE),
        Field("diameter", 0.0, "diameter of the ball, m, which gives the scale; 0: not known", within=NOT_NEGATIVE),
        Field(
            "share",
            0.65,
            "of the frames, the first ones, from which is learned; the later ones are predicted",
            within=Limits(0.2, 0.95),
        ),
        Field("size", 96, "height of the pictures that the network sees, px", within=at_least(16)),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("inputs", 3, "frames that the network sees", within=at_least(2)),
        Field("stride", 2, "frames of the film from one of them to the next", within=COUNT),
        Field("steps", 12, "steps of the layer of mechanics from the last of them to the target", within=COUNT),
        Field("drag", False, "whether the law has quadratic drag"),
        Field(
            "reach",
            0.15,
            "how far the object extends from where it differs most, heights of the picture",
            within=POSITIVE,
        ),
        Field("features", 8, "width of the mask tower", within=COUNT),
    ),
)
TRAINING = Group(
    "What is learned from",
    (
        Field("swap_weight", 1.0, "weight of the swap loss, which trains the tower", within=NOT_NEGATIVE),
        Field(
            "law_weight",
            1.0,
            "weight of the distance of predicted places from those that the tower sees",
            within=NOT_NEGATIVE,
        ),
        Field("area_weight", 0.05, "cost of the mask's area", within=NOT_NEGATIVE),
        Field("huber", 0.02, "distance from which it counts linearly, heights of the picture", within=POSITIVE),
        Field("lr_law", 0.05, "learning rate of the law", within=POSITIVE),
    ),
)
FIELDS = (
    base_config.RUN.changed(system="recording", train_steps=400, batch=4, lr=3e-3),
    base_config.LOG.changed(eval_every=400, checkpoint_every=200, log_every=50),
    base_config.MACHINE,
    FILM,
    MODEL,
    TRAINING,
)


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields, the film its own."""
    if config.end and config.end <= config.start:
        raise UsageError(f"end={config.end:g} must be after start={config.start:g}: set --config.end")
    if config.roi and len(config.roi) != 4:
        raise UsageError(f"roi={tuple(config.roi)} must be (x, y, width, height): set --config.roi")
    if config.px_per_metre and config.diameter:
        raise UsageError("px_per_metre and diameter each fix the scale: set one of them")
    of_film = ("fps", "start", "end", "roi", "px_per_metre", "diameter")
    if not config.video and any(config[name] for name in of_film):
        raise UsageError(f"{', '.join(of_film)} are a film's: set --config.video")
