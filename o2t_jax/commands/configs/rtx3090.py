"""The guide's recipe for one RTX 3090 and 64 GB (its pool, workers, batch, width), in the camera gauge, bfloat16.

Command: python -m experiments.train --config=experiments/configs/rtx3090.py
Time: not measured on that card. By arithmetic, 5,000 steps of 16 samples of 0.41 TFLOP (a ninth of it for `remat`) are
33 PFLOP: 40 minutes if the card reaches 15 TFLOP/s. On a smaller machine the run reduces its pool and accumulates
gradients over micro-batches.
Expect: as `cpu`, at 512 px.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.render_size = 512
    config.base_ch = 64
    config.batch = 16
    config.dtype = "bfloat16"
    config.remat = True
    config.train_steps = 5_000
    config.lr = 3e-4
    config.pool_size = 3_000
    config.initial_fill = 500
    config.render_workers = 16
    return config
