"""The original guide's own model and numbers (free gauge), without the defects of its public code.

Command: python -m experiments.train --config=experiments/configs/seed.py
Time: made for one large GPU; 50,000 steps of batch 16 at 512 px are about 80 PFLOP, not measured: 22 minutes if the
GPU reaches 60 TFLOP/s. On 2 CPU cores a step takes about a minute.
Expect: pictures that improve, and a g0 that stays near zero, for two reasons. Nothing ties the latent to metres and
seconds. With AdamW at 1e-4 and a cosine to the end, g0 can move by about 2.5 m/s^2 in 50,000 steps, so it cannot reach
9.8. The 50,000 steps also end where the guide's last phase (n = 1 to 20) would begin.
"""

from o2t_jax.systems import o2t_config


def get_config():
    config = o2t_config.default()
    config.default_scene = "room"
    config.gauge = "free"
    config.compose = False
    config.curriculum = "guide"
    config.render_size = 512
    config.dt = 0.02
    config.k_min = config.k_max = 1
    config.n_max = 20
    config.t1_max = 1.0
    config.stereo_gap = 0.2
    config.base_ch = 32
    config.batch = 16
    config.lr = 1e-4
    config.train_steps = 50_000
    config.pool_size = 5_000
    config.initial_fill = 500
    config.render_workers = 4
    config.eval_every = 1_000
    config.checkpoint_every = 1_000
    config.log_every = 50
    return config
