"""The law of `ballistic` on a laptop CPU: the default.

Command: python -m experiments.train
Time: two and a half minutes on 2 cores, compilation included; one and a half if the compiled step is cached.
Expect: g0 from 0 to the world's 9.81 m/s^2 within 1% (other worlds: --config.world.g0); FUTURE pictures that show the
ball where it will be, ahead of repeat, background and constant velocity.

The variant `cpu.py:filmed` sees the same world by a real camera: noise of 4 grey levels, 1/250 s of exposure, H.264 of
0.25 bit a pixel (2 Mbit/s at 512 px and 30 frames/s). Other cameras: --config.film.noise, .exposure, .bits.
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import o2t_config


def get_config(variant=""):
    """`variant`: filmed, or nothing."""
    check_variant(variant, ("", "filmed"))
    config = o2t_config.default()
    config.train_steps = 150
    config.lr = 1e-3
    config.eval_every = 150
    config.checkpoint_every = 75
    if variant == "filmed":
        config.film.noise, config.film.exposure, config.film.bits = 4.0, 1 / 250, 0.25
        config.motion_threshold = 32  # two pictures of one wall differ by up to three times the noise of both
    return config
