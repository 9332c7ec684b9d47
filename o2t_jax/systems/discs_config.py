"""The fields of system `discs`: a room with discs that collide, and a model of their next frame. Needs no JAX."""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of, put, unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.limits import BELOW_ONE, COUNT, NOT_NEGATIVE, Limits
from o2t_jax.systems import base_config

MODELS = ("classic", "lstm", "modern", "no_pairwise", "relative")
PAIRS = ("two", "joint")
OPTIMISERS = ("adamw", "rmsprop")
PRECISIONS = ("float32", "bfloat16")
WORLD = Group(
    "The world",
    (
        Field("env.room", "box", "box, O, L, U or I: a name in o2t_jax.physics.discs.rooms.ROOMS"),
        Field("env.size", (800.0, 600.0), "width and height of the room, px"),
        Field("env.discs", 4, "discs that move"),
        Field("env.obstacles", 0, "discs that rest"),
        Field("env.masses", (1.0,), "masses, one of which each disc has"),
        Field("env.radii", (60.0,), "radii, px, one of which each disc has"),
        Field("env.obstacle_radius", 80.0, "radius of obstacles, px"),
        Field("env.speed", 60.0, "speed limit, px/s: speeds at the start are uniform up to it"),
        Field("env.dt", 0.1, "time between two frames, s"),
        Field("env.gravity", 0.0, "px/s^2, downwards"),
        Field("env.restitution", 1.0, "of all collisions"),
        Field("env.rest_speed", 0.6, "with restitution below 1, the slowest rebound, px/s"),
    ),
)
DATA = Group(
    "Data: scenes, and windows of three frames in them",
    (
        Field("n_scenes", 8400, "training scenes", within=COUNT),
        Field("frames", 60, "recorded frames of a scene"),
        Field(
            "collision_share",
            0.5,
            "windows of a batch drawn among those with a collision; 0: all evenly",
            within=BELOW_ONE,
        ),
        Field(
            "dataset", "", "a set written by python -m experiments.generate, such as discs/latest; empty: on the fly"
        ),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("model", "relative", "a name in o2t_jax.models.discs.MODELS", MODELS),
        Field(
            "pair",
            "two",
            "classic: pair layer, two maps as in the paper or one joint as re-implemented",
            PAIRS,
        ),
        Field("relative", False, "classic, lstm, modern, no_pairwise: inputs relative to the focus"),
        Field("walls", False, "classic, lstm, modern, no_pairwise: walls seen as objects"),
        Field(
            "neighbourhood",
            0.0,
            "mean radii beyond which discs do not act on each other; 0: no limit",
            within=NOT_NEGATIVE,
        ),
        Field("position", "new", "velocity that moves a disc: new, old, or their mean", ("new", "old", "mean")),
        Field("msg_dim", 96, "modern: width", within=COUNT),
        Field("enc_blocks", 3, "modern: residual blocks of the encoder", within=NOT_NEGATIVE),
        Field("dec_blocks", 3, "modern: of the decoder", within=NOT_NEGATIVE),
        Field("expansion", 2, "modern: hidden width of a block over msg_dim", within=COUNT),
        Field("dropout", 0.0, "modern: share of dropped units in training", within=BELOW_ONE),
        Field("rounds", 3, "relative: rounds of messages in a frame", within=COUNT),
        Field("width", 64, "relative: width of the hidden layers", within=COUNT),
        Field("depth", 2, "relative: their number", within=COUNT),
        Field("precision", "float32", "of the network's arithmetic", PRECISIONS),
    ),
)
TRAINING = Group(
    "Training",
    (
        Field("optimiser", "adamw", "adamw: warm-up and cosine; rmsprop: steps, as in the document", OPTIMISERS),
        Field("weight_decay", 0.0, "weight decay of adamw", within=NOT_NEGATIVE),
        Field("warmup", 0.05, "share of the steps in which adamw's rate rises", within=BELOW_ONE),
        Field("decay_after", 50_000, "rmsprop: steps at the first rate", within=NOT_NEGATIVE),
        Field("decay_every", 2_500, "rmsprop: steps between two decays of the rate after that", within=COUNT),
        Field("decay", 0.99, "rmsprop: factor of each", within=Limits(0, 1, above=True)),
        Field(
            "clip",
            0.05,
            "largest global norm of the gradient, which rare windows dominate; 0: no limit",
            within=NOT_NEGATIVE,
        ),
    ),
)
TEST = Group(
    "The test",
    (
        Field("test_scenes", 400, "held-out scenes", within=COUNT),
        Field("rollout_steps", 50, "steps of roll-outs from their second frame", within=COUNT),
        Field("final_tests", True, "at the end: other worlds, the law of a collision, a hidden mass if they vary"),
    ),
)
FIELDS = (
    base_config.RUN.changed(system="discs", train_steps=4_000, batch=512, lr=1e-2),
    base_config.LOG.changed(eval_every=1_000, checkpoint_every=1_000, log_every=100),
    base_config.MACHINE,
    WORLD,
    DATA,
    MODEL,
    TRAINING,
    TEST,
)


def default(model: str = "relative") -> Config:
    """All fields at their defaults, for this model. Raises: UsageError for a name that is not known."""
    if model not in MODELS:
        raise unknown_choice("model", model, MODELS)
    config = config_of(FIELDS)
    put(config, "model", model)
    return config


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields, the world its own."""
    if config.frames < config.rollout_steps + 2:
        raise UsageError(
            f"frames={config.frames} are too few for roll-outs of {config.rollout_steps} steps from the second frame: "
            f"set --config.frames={config.rollout_steps + 2} or more, or fewer --config.rollout_steps"
        )


__all__ = ["FIELDS", "MODELS", "OPTIMISERS", "default", "validate"]
