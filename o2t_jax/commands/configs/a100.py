"""The guide's recipe for four A100 and 128 GB (its pool, workers, batch, width), in the camera gauge, bfloat16.

Command: python -m experiments.train --config=experiments/configs/a100.py
Time: not measured on that machine. By arithmetic, 5,000 steps of 64 samples of 0.37 TFLOP are 118 PFLOP: 8 minutes
if each device reaches 60 TFLOP/s. It starts on any machine: a laptop reduces the pool and the micro-batch to fit its
memory, reports this, and prints the cost first.
Expect: as `cpu`, at 512 px.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.render_size = 512
    config.base_ch = 64
    config.batch = 64
    config.dtype = "bfloat16"
    config.train_steps = 5_000
    config.lr = 3e-4
    config.pool_size = 5_000
    config.initial_fill = 500
    config.render_workers = 30
    return config
