"""An agent that learns to push a ball to a target in its own dream, from pictures of 32 px (docs/agent.md).

Command: python -m experiments.agent --config=experiments/configs/video/agent.py --workdir=DIR   all of it
         python -m experiments.train --config=experiments/configs/video/agent.py --config.init_from=WORLD
         --config.init_parts=encoder,decoder,dynamics,reward_head,continue_head,codebook          the actor alone
"""

from o2t_jax.systems import agent_config

# A step or two of each part: whether everything runs.
SMOKE = {
    "clips": 8,
    "frames": 8,
    "context": 2,
    "horizon": 3,
    "widths": (8, 8),
    "hidden": 8,
    "codes": 16,
    "code_size": 4,
    "recon_frames": 2,
    "dream_frames": 2,
    "batch": 4,
    "dream_steps": 2,
    "train_steps": 2,
    "test_clips": 4,
    "validation_clips": 2,
    "rounds": 2,
    "world_steps": 2,
    "world_batch": 4,
    "more_steps": 1,
    "more_clips": 4,
}


def get_config(variant=""):
    """`variant`: smoke, or nothing."""
    config = agent_config.default()
    if variant == "smoke":
        config.update(SMOKE)
    return config
