"""The original's sizes and numbers of clips: 64 px, 96 and 192 channels, 512 codes of 192 numbers, nine sets.

Command: python -m experiments.train --config=experiments/configs/video/original.py
         with moving digits: add --config.sets=all --config.digits=FILE
Time:    for a GPU; its 22,400 training clips take 2.8 GB of memory
"""

from o2t_jax.systems import video_config


def get_config():
    config = video_config.default()
    config.update({"size": 64, "clips": 0, "widths": (96, 192, 192), "hidden": 192, "layers": 2, "code_size": 192})
    config.update({"batch": 16, "lr": 2e-4, "train_steps": 50_000, "eval_every": 5000, "checkpoint_every": 5000})
    return config
