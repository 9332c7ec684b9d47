"""The fields of system `agent`, actor and critic in the dream of system `video`, and of its rounds. Needs no JAX."""

from __future__ import annotations

from typing import Any

from o2t_jax.config import Config, Field, Group, config_of
from o2t_jax.errors import UsageError
from o2t_jax.limits import BELOW_ONE, COUNT, NOT_NEGATIVE, SHARE
from o2t_jax.systems import base_config, video_config

# What the world model of the task has other than system `video` has by default.
WORLD = {
    "sets": "pusher",
    "frames": 15,
    "context": 4,
    "horizon": 8,
    "clips": 4000,
    "widths": (16, 32),
    "hidden": 32,
    "codes": 256,
    "judged": 2.0,
    "rewards": 30.0,
    "test_clips": 64,
    "probe_clips": 0,
    "validation_clips": 64,
}
# Where other tasks than `pusher` need other numbers: latents that are not rounded, since a pole turns by a tenth of a
# pixel in a frame; two pushes and no gradient through the dream, so longer dreams of more clips cost the same.
CARTPOLE = {
    "sets": "cartpole",
    "frames": 12,
    "horizon": 6,
    "widths": (8, 16),
    "hidden": 24,
    "quantiser": "none",
    "code_size": 8,
    "square": 300.0,
    "rewards": 1.0,
    "recon_frames": 2,
    "dream_frames": 4,
    "world_steps": 1300,
    "world_batch": 8,
    "resting": 0.0,
    "dream_steps": 12,
    "batch": 24,
    "gamma": 0.97,
    "train_steps": 500,
    "noise": 0.05,
}
PARTS = ("encoder", "decoder", "dynamics", "reward_head", "continue_head", "codebook")

DREAM = Group(
    "The dream",
    (
        Field("dream_steps", 8, "frames of a dream", within=COUNT),
        Field(
            "resting",
            0.34,
            "share of dreams that start at rest: one picture, seen again and again without a push",
            within=SHARE,
        ),
        Field("gamma", 0.99, "discount of a frame", within=SHARE),
        Field("lam", 0.95, "lambda of the returns (Sutton & Barto 2018, section 12.1)", within=SHARE),
        Field(
            "target_decay",
            0.98,
            "of the running mean of the critic's parameters, which gives the targets",
            within=BELOW_ONE,
        ),
        Field(
            "range_decay",
            0.98,
            "of the running 5th and 95th percentile of the returns, which scale them",
            within=BELOW_ONE,
        ),
        Field("entropy", 3e-3, "weight of the policy's entropy", within=NOT_NEGATIVE),
        Field("simulator", False, "control: dreams are the true simulator, whose pictures the world model encodes"),
        Field(
            "actor_clip",
            1.0,
            "largest global norm of the gradient of the actor, and of that of the critic",
            within=NOT_NEGATIVE,
        ),
    ),
)
ROUNDS = Group(
    "Rounds: collect, train the world model, dream",
    (
        Field("rounds", 1, "the first has random pushes, each further one the actor's own too", within=COUNT),
        Field("world_steps", 1600, "updates of the world model in the first round", within=COUNT),
        Field("world_batch", 16, "clips of such an update", within=COUNT),
        Field("world_lr", 2e-3, "its learning rate", within=NOT_NEGATIVE),
        Field("more_steps", 500, "updates in each further round, from the world model before", within=COUNT),
        Field("more_clips", 500, "clips of the actor's own that each further round adds", within=NOT_NEGATIVE),
        Field(
            "noise",
            0.3,
            "standard deviation of what is added to the actor's pushes while it collects",
            within=NOT_NEGATIVE,
        ),
        Field("shuffled", False, "control: each clip has the actions of another one"),
    ),
)
_RUN = base_config.RUN.changed(system="agent", train_steps=700, batch=32, lr=2e-3)
_LOG = base_config.LOG.changed(eval_every=100_000, checkpoint_every=100_000, log_every=50)
FIELDS = (
    _RUN,
    _LOG,
    base_config.MACHINE,
    *(
        group.changed(**{k: v for k, v in WORLD.items() if k in {field.name for field in group.fields}})
        for group in (video_config.DATA, video_config.MODEL, video_config.TRAINING, video_config.TEST)
    ),
    DREAM,
    ROUNDS,
)


def default() -> Config:
    """All fields at their defaults."""
    return config_of(FIELDS)


def world(config: Config, **own: Any) -> Config:
    """The config of system `video` for the world model of an agent's first round, with fields of its own."""
    found = video_config.default()
    shared = {field.name for group in FIELDS[1:-2] for field in group.fields} | {"seed"}
    found.update({name: config[name] for name in shared if name in found})
    found.update({"train_steps": config.world_steps, "batch": config.world_batch, "lr": config.world_lr, **own})
    steps = found.train_steps
    found.update({"eval_every": steps, "checkpoint_every": steps})
    return found


def parts_of(config: Config) -> tuple[str, ...]:
    """The parts of an agent that are its world model's: those that `init_from` gives."""
    return PARTS if config.quantiser == "ema" else PARTS[:-1]


def check_simulator(task: str) -> None:
    """Raises: UsageError for a task in whose true world an actor cannot be trained."""
    if task != "pusher":
        raise UsageError(f"sets={task}: no gradient comes through its true world: leave out the control simulator")


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields, `video_config` those of the model."""
    video_config.validate(config)
    if config.sets not in video_config.TASKS:
        known = " or ".join(video_config.TASKS)
        raise UsageError(f"sets={config.sets}: an agent acts in {known}: set --config.sets to one of them")
    if config.simulator:
        check_simulator(config.sets)
    if config.batch * config.dream_steps > 1024:
        raise UsageError(
            f"batch={config.batch} times dream_steps={config.dream_steps} is above 1024, the most returns that their "
            "percentiles are taken of: set --config.batch"
        )
