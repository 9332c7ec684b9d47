"""A pushed oscillator, learned from its pictures (32 px). The variant is the predictor; see docs/dynamics_pictures.md.

Command: python -m experiments.train --config=experiments/configs/dynamics/pictures.py:spatial_newtonian
         another world: pictures.py:pendulum-spatial_newtonian
         two phases: add --config.mode=detached --config.train_predictor=False --config.predictor_weight=0, then
         --config.mode=detached --config.init_from=DIR --config.train_encoder=False --config.train_decoder=False
Time:    about 4 minutes of one core's processor time (spatial_hamiltonian: 6)
Expect:  frequency within 1 % of 2.00 rad/s; test/worst_ratio 0.05 to 0.13 of spatial predictors, test/found 100 %,
         test/valid_time above 7 s of 8
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import dynamics_pictures_config

# Two training steps on pictures of 16 px: whether everything runs.
SMOKE = {
    "size": 16,
    "latent_side": 4,
    "latent_channels": 4,
    "encoder_widths": (8, 8),
    "encoder_depths": (0, 1),
    "decoder_widths": (8, 8),
    "transform_hidden": 8,
    "predictor_hidden": 8,
    "horizon": 2,
    "decoded": 2,
    "batch": 2,
    "train_steps": 2,
    "eval_every": 2,
    "test_starts": 4,
    "test_horizon": 4,
    "long_horizon": 10,
    "unforced_starts": 2,
}


# A roll-out of 3 s, about a period; eight of its frames are decoded in a step.
SIZES = {
    "horizon": 30,
    "decoded": 8,
    "consistency": 1.0,
    "train_steps": 1000,
    "eval_every": 1000,
    "checkpoint_every": 1000,
    "latent_side": 4,
    "encoder_widths": (16, 32, 32),
    "encoder_depths": (0, 0, 1),
    "decoder_widths": (32, 32, 24),
}


def get_config(variant="spatial_newtonian"):
    """`variant`: PREDICTOR, WORLD-PREDICTOR such as pendulum-spatial_jump, or smoke."""
    world, _, predictor = variant.rpartition("-")
    check_variant(predictor, (*dynamics_pictures_config.PREDICTORS, *(() if world else ("smoke",))))
    predictor = "spatial_newtonian" if predictor == "smoke" else predictor
    config = dynamics_pictures_config.default(world or "oscillator", predictor)
    config.update(SMOKE if variant == "smoke" else SIZES)
    return config
