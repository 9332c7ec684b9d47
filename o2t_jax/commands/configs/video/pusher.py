"""The world model of the task `pusher` alone, at 32 px: what the agent of docs/agent.md dreams in.

Command: python -m experiments.train --config=experiments/configs/video/pusher.py
Time:    1,600 steps of 16 clips, not yet measured to the end
"""

from o2t_jax.systems import agent_config


def get_config():
    return agent_config.world(agent_config.default())
