"""The fields of system `dynamics_pictures`: a world that is pushed, seen in pictures. Needs no JAX.

The fields `env.*` are those of the world that the config names; `fields(config)` gives them.
"""

from __future__ import annotations

from o2t_jax.config import Config, Field, Group, config_of, put, unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.limits import COUNT, NOT_NEGATIVE, POSITIVE, at_least
from o2t_jax.systems import base_config
from o2t_jax.systems.dynamics_config import check_steps, ranges_of, world_group, world_name

PREDICTORS = (
    *("spatial_jump", "spatial_lstm", "spatial_ode", "spatial_newtonian", "spatial_hamiltonian"),
    *("latent_mlp", "latent_lstm", "latent_ode", "latent_newtonian", "latent_hamiltonian"),
)
INTEGRATORS = {
    "ode": ("rk4", "euler"),
    "newtonian": ("leapfrog", "semi_implicit", "euler", "rk4"),
    "hamiltonian": ("leapfrog", "semi_implicit", "euler", "rk4"),
}
"""The last word of a predictor's name -> its integrators, the default first; others have none."""

DATA = Group(
    "Data: pictures of the world under random actions",
    (
        Field("size", 32, "height and width of a picture, px; a power of two", within=at_least(8)),
        Field("picture_channels", 3, "3: RGB, 1: grey"),
        Field("dt", (0.1,), "time between frames, s; several: each sequence has one of them"),
        Field("n_seqs", 0, "training sequences; 0: new ones at every step", within=NOT_NEGATIVE),
    ),
)
MODEL = Group(
    "The model",
    (
        Field("predictor", "spatial_hamiltonian", "how the state moves on", PREDICTORS),
        Field("integrator", "", "of predictors in continuous time; empty: the predictor's own"),
        Field("inner", 0.1, "longest step of a predictor, s; a frame's dt is divided into equal ones", within=POSITIVE),
        Field("encoder_frames", 3, "frames K that the encoder sees, stacked on channels", within=COUNT),
        Field("latent_channels", 16, "channels of the latent map; half of them positions"),
        Field("latent_side", 8, "its height and width, px"),
        Field("latent_size", 32, "numbers of the latent of latent_* predictors; half of them positions"),
        Field("encoder_widths", (16, 32), "channels of the encoder's levels, each half the size of the one before"),
        Field("encoder_depths", (0, 1), "further convolutions at each of them"),
        Field("transform_hidden", 32, "hidden channels of the state transform"),
        Field("predictor_hidden", 32, "hidden channels of the predictor"),
        Field("decoder_widths", (32, 24), "channels of the decoder's levels, each twice the size of the one before"),
    ),
)
TRAINING = Group(
    "What is learned from",
    (
        Field(
            "mode",
            "hgn",
            "hgn: encode once, roll out, decode, one bound; detached: windows, predictor on stopped latents",
            ("hgn", "detached"),
        ),
        Field("horizon", 15, "steps of a training sequence after the encoder's frames", within=COUNT),
        Field(
            "decoded",
            0,
            "hgn: frames of a rollout that are decoded in a step, drawn at random; 0: all",
            within=NOT_NEGATIVE,
        ),
        Field(
            "beta",
            1e-3,
            "weight of the KL term, nats summed over the latent; squared errors are summed over pixels and frames",
            within=NOT_NEGATIVE,
        ),
        Field("free_bits", 0.0, "nats of each latent entry that cost nothing", within=NOT_NEGATIVE),
        Field(
            "focus", 0.0, "weight of a pixel's distance from the sequence's mean picture, beside 1", within=NOT_NEGATIVE
        ),
        Field(
            "consistency",
            0.0,
            "hgn: weight of the distance of rolled-out states from encoded ones; 0: none",
            within=NOT_NEGATIVE,
        ),
        Field("predictor_weight", 1.0, "detached: weight of the predictor's loss", within=NOT_NEGATIVE),
        Field("lr_encoder", 1e-4, "detached: learning rate of encoder and transform (hgn: lr for all)"),
        Field("lr_decoder", 1e-4, "detached: learning rate of the decoder"),
        Field("lr_predictor", 1e-3, "detached: learning rate of the predictor"),
        Field("train_encoder", True, "whether encoder and transform are trained"),
        Field("train_decoder", True, "whether the decoder is trained"),
        Field("train_predictor", True, "whether the predictor is trained"),
        Field("clip", 1.0, "largest global norm of the gradient; 0: no limit", within=NOT_NEGATIVE),
        Field("schedule", "cosine", "of the learning rate: to zero by a cosine, or constant", ("cosine", "constant")),
    ),
)
TEST = Group(
    "The test: rollouts of sequences that were never trained on",
    (
        Field("test_starts", 96, "held-out sequences", within=COUNT),
        Field("test_horizon", 10, "steps that are compared with rows that learn nothing"),
        Field("long_horizon", 80, "steps of long rollouts: valid prediction time, frequency"),
        Field("valid_px", 1.0, "centroid error up to which a prediction is valid, px", within=POSITIVE),
        Field("unforced_starts", 32, "rollouts without actions, for the frequency", within=COUNT),
        Field("dt_values", (0.05, 0.1, 0.2, 0.5), "steps that the predictor is told in the test of dt, s"),
        Field("hold", 1.0, "time that an action is held in the test of dt, s: a multiple of each of them"),
    ),
)


def fields(config: Config | None = None) -> tuple[Group, ...]:
    """The groups of a config of this system: `env.*` are the parameters of its world (oscillator without a config)."""
    return groups(world_name(config, "oscillator"))


def groups(world: str) -> tuple[Group, ...]:
    """The groups of a config about this world. Raises: UsageError for a world that is not known."""
    return (
        base_config.RUN.changed(system="dynamics_pictures", train_steps=2500, batch=16, lr=2e-3),
        base_config.LOG.changed(eval_every=2500, checkpoint_every=2500, log_every=50),
        base_config.MACHINE,
        world_group(world).changed(vary=()),
        DATA,
        MODEL,
        TRAINING,
        TEST,
    )


def default(world: str = "oscillator", predictor: str = "spatial_hamiltonian") -> Config:
    """All fields at their defaults, for this world and predictor. Raises: UsageError for a name that is not known."""
    if predictor not in PREDICTORS:
        raise unknown_choice("predictor", predictor, PREDICTORS)
    config = config_of(groups(world))
    put(config, "predictor", predictor)
    return config


def integrator_of(config: Config) -> str:
    """The integrator of a config's predictor, "" where it has none. Raises: UsageError for one it does not have."""
    known = INTEGRATORS.get(config.predictor.rpartition("_")[2], ())
    if config.integrator and config.integrator not in known:
        if not known:
            raise UsageError(f"integrator={config.integrator!r}: predictor {config.predictor} has none: leave it empty")
        raise unknown_choice("integrator", config.integrator, known)
    return config.integrator or (known[0] if known else "")


def validate(config: Config) -> None:
    """Refuses invalid fields. `base_config.validate` checks the shared fields, the world its own."""
    ranges_of(config)
    integrator_of(config)
    if not 1 < config.test_horizon <= config.long_horizon:
        raise UsageError(f"test_horizon={config.test_horizon} must be 2 to long_horizon={config.long_horizon}")
    if config.picture_channels not in (1, 3):
        raise UsageError(f"picture_channels={config.picture_channels} must be 3 (RGB) or 1 (grey)")
    for name in ("latent_channels", "latent_size"):
        if config[name] < 2 or config[name] % 2:
            raise UsageError(f"{name}={config[name]} must be even: one half are positions, the other momenta")
    _check_levels(config)
    for name in ("dt", "dt_values"):
        check_steps(name, config[name])
    for dt in config.dt_values:
        if abs(round(config.hold / dt) * dt - config.hold) > 1e-6 * config.hold or config.hold < dt:
            raise UsageError(f"hold={config.hold:g} is not a multiple of dt_values={dt:g}: set --config.hold")
    if not (config.train_encoder or config.train_decoder or config.train_predictor):
        raise UsageError("train_encoder, train_decoder and train_predictor are all False: nothing is left to train")


def _check_levels(config: Config) -> None:
    """Refuses widths whose number does not lead from the picture's size to the latent's."""
    size, side = config.size, config.latent_side
    count = (size // max(side, 1)).bit_length() - 1
    if side < 1 or count < 1 or side * 2**count != size:
        raise UsageError(f"size={size} must be latent_side={side} times 2, 4, 8, ...: set --config.latent_side")
    for name in ("encoder_widths", "encoder_depths", "decoder_widths"):
        if len(config[name]) != count:
            raise UsageError(
                f"{name}={tuple(config[name])} must have {count} entries: size {size} is halved {count} times to reach "
                f"latent_side {side}"
            )


FIELDS = fields
