"""What a sentence says, learned from pairs that a grammar makes; the headline run of system `scene_parser`.

Command: python -m experiments.train --config=experiments/configs/scene/parser.py
         real captions: --config=experiments/configs/scene/parser.py:captions --config.captions=FOLDER
"""

from o2t_jax.config import check_variant
from o2t_jax.systems import scene_parser_config

# Two training steps on a few sentences: whether everything runs.
SMOKE = {
    "pairs": 32,
    "width": 8,
    "batch": 4,
    "out_length": 40,
    "write_length": 12,
    "train_steps": 2,
    "eval_every": 2,
    "validation_sentences": 8,
    "test_sentences": 8,
}
CAPTIONS = {
    "captions": "captions",  # a folder of this name where the command is run, unless another is given
    "length": 14,
    "out_length": 24,
    "write_length": 40,
    "dropout": 0.2,
    "eval_every": 750,
    "checkpoint_every": 250,
    "train_steps": 3000,
}
VARIANTS = {"made": {}, "captions": CAPTIONS, "smoke": SMOKE}


def get_config(variant="made"):
    """`variant`: made (sentences of the grammar), captions (of the folder --config.captions=FOLDER), or smoke."""
    check_variant(variant, VARIANTS)
    config = scene_parser_config.default()
    config.update(VARIANTS[variant])
    return config
