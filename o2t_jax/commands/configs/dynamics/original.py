"""The original's recipe on vectors: one-step matching on 1,000 noisy sequences, no window; variant MODEL.

Command: python -m experiments.train --config=experiments/configs/dynamics/original.py:MODEL
Time:    1 to 2 minutes on two cores
Expect:  test/error far above that of the other configs: one-step errors at this noise are mostly noise
"""

from o2t_jax.systems import dynamics_config


def get_config(model="jump"):
    config = dynamics_config.default("oscillator", model)
    config.update({"horizon": 1, "window": 0, "smooth": False, "n_seqs": 800, "steps": 30, "batch": 960, "lr": 1e-3})
    # 100 epochs of 800 sequences in batches of 32 there, all 30 steps of each; here as many single steps at random.
    config.update({"train_steps": 100 * 800 // 32, "eval_every": 2500, "checkpoint_every": 2500})
    return config
