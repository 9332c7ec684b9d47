"""The guide's recipe for a MacBook with 16 GB (its pool, fill, workers, batch), in the camera gauge.

Command: python -m experiments.train --config=experiments/configs/m2.py
Time: not measured on a Mac; on 2 Linux cores a step of batch 4 at 512 px takes tens of seconds. By arithmetic, 1,000
steps of 4 samples of 0.12 TFLOP are 0.5 PFLOP: 16 minutes if the GPU reaches 0.5 TFLOP/s.
`--config.render_size=128` reduces it to a laptop's scale.
Expect: as `cpu`, at 512 px.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.render_size = 512
    config.base_ch = 32
    config.batch = 4
    config.train_steps = 1_000
    config.lr = 3e-4
    config.pool_size = 500
    config.initial_fill = 100
    config.render_workers = 4
    config.remat = True
    return config
