"""An agent that learns to push a ball to a target in its own dream, from pictures of 32 px (docs/agent.md).

Command: python -m experiments.agent --config=experiments/configs/video/agent.py --workdir=DIR   all of it
         python -m experiments.train --config=experiments/configs/video/agent.py --config.init_from=WORLD
         --config.init_parts=encoder,decoder,dynamics,reward_head,continue_head,codebook          the actor alone
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import agent_config, video_config

# A step or two of each part: whether everything runs.
SMOKE = video_config.SMALLEST | {
    "dream_steps": 2,
    "rounds": 2,
    "world_steps": 2,
    "world_batch": 4,
    "more_steps": 1,
    "more_clips": 4,
}


def get_config(variant=""):
    """`variant`: cartpole, smoke, cartpole_smoke, or nothing: the task `pusher`."""
    check_variant(variant, ("", "cartpole", "smoke", "cartpole_smoke"))
    config = agent_config.default()
    if variant.startswith("cartpole"):
        config.update(agent_config.CARTPOLE)
    if variant.endswith("smoke"):
        config.update(SMOKE)
    return config
