"""System `scene_parser`: what a sentence says, learned from pairs (docs/scene.md).

The pairs are made by the grammar of described scenes, or are a folder's captions with their scene graphs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.data.scene.coding import ENDINGS, Vocabulary, decode, encode
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.models.scene.parser import PointerParser, loss, write
from o2t_jax.systems import base_config, scene_parser_config
from o2t_jax.systems.base import BatchesByStep, Best, DataRequest, System
from o2t_jax.systems.scene_parser_data import CaptionData, GrammarData
from o2t_jax.systems.scene_parser_tests import ParserTests
from o2t_jax.types import Array, Batch, BatchIterator, PyTree

_AT_ONCE = 100


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, scene_parser_config.FIELDS)
    scene_parser_config.validate(config)
    return SceneParser(config)


class SceneParser(System):
    """See `o2t_jax.training.contract.System`."""

    name = "scene_parser"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    size_fields = ("batch", "width", "length")
    test_fields = ("test_sentences",)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.data = CaptionData(config) if config.captions else GrammarData(config)
        steps = config.train_steps
        rate = optax.warmup_cosine_decay_schedule(0.0, config.lr, max(int(config.warm_up * steps), 1), steps)
        adam = optax.adamw(rate, weight_decay=config.weight_decay)
        self.tx = optax.chain(optax.clip_by_global_norm(config.clip), adam) if config.clip else adam
        tests = ParserTests(self)
        self.best = Best("validation/set_match" if config.captions else "validation/exact", "max")
        self.headline_scores = ("test/set_match", "test/relation_f1") if config.captions else ("test/exact",)
        self.evaluators = {"validation": tests.validation, "test": tests.test}
        self.periods = {"test": steps}
        length, out = config.length, config.out_length
        sizes = {"forms": 2 * length, "ids": 2 * length, "endings": length, "target": out, "before": out}
        self.sample_spec = {name: jax.ShapeDtypeStruct((size,), jnp.int32) for name, size in sizes.items()}
        self.sample_spec |= {"present": jax.ShapeDtypeStruct((length + out,), jnp.float32)}

    @property
    def vocabulary(self) -> Vocabulary:
        """What is read and written."""
        return self.data.vocabulary

    @functools.cached_property
    def model(self) -> PointerParser:
        """The network; its sizes depend on the vocabulary."""
        config, listed = self.config, self.vocabulary
        sizes = (listed.embedded, listed.generated, ENDINGS, config.length)
        return PointerParser(*sizes, width=config.width, layers=config.layers, dropout=config.dropout)

    def check(self) -> None:
        """See `System`: the captions, if they are named."""
        for split in ("train", "validation", "test"):
            self.data.split(split)

    def digests(self) -> Mapping[str, str]:
        """See `System`: of the captions whose words the network numbers."""
        if isinstance(self.data, GrammarData):
            return {}
        return {"train.csv": self.data.digest}

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Pairs drawn evenly; each batch is a function of seed and step alone."""
        pairs = self.data.train
        count = len(pairs["target"])

        def batch(step: int) -> dict[str, np.ndarray]:
            rows = np.random.default_rng((request.seeds[0], step)).integers(count, size=self.config.batch)
            return {name: x[rows] for name, x in pairs.items()}

        return BatchesByStep(batch, request)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of the network, and no `extra`."""
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        return self.model.init(jnp.asarray(key), one)["params"], {}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """Mean negative log probability of a token, nat."""
        ways: Any = self.model.apply({"params": params}, batch, train=True, rngs={"dropout": jnp.asarray(keys)[0]})
        return jnp.mean(loss(ways, batch, self.config.length)), ({}, {})

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """Log probabilities [B, T, G + 2 S] of each way to each token (G generated, S words, S lemmas), each after the
        likeliest ones before it."""
        return self._write(params, batch)[0]

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """How many tokens there are. "target" and "before" are not read either."""
        mask = np.zeros(np.shape(batch["present"]), bool)
        mask[:, self.config.length :] = True
        return {"present": mask}

    def written(self, params: PyTree, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tokens that each sentence of words gives."""
        config, listed = self.config, self.vocabulary
        given = encode(listed, sentences, [], config.length, config.out_length)
        chosen = in_batches(
            lambda rows: self.chosen(params, {name: x[rows] for name, x in given.items()}),
            len(sentences),
            min(_AT_ONCE, len(sentences)),
        )
        return [decode(listed, words, row, config.length) for words, row in zip(sentences, chosen, strict=True)]

    def notes(self, plan: Any) -> list[str]:
        """The model's size."""
        params = jax.eval_shape(self.init, jax.random.key(0))[0]
        size = sum(x.size for x in jax.tree.leaves(params))
        listed = self.vocabulary
        return [f"model: {size:,} parameters; {listed.generated} tokens to generate, {listed.size} in all"]

    @functools.cached_property
    def chosen(self) -> Any:
        """(params, batch of `coding.encode`) -> the numbers of the tokens [B, T]."""
        return jax.jit(lambda params, batch: self._write(params, batch)[1])

    def _write(self, params: PyTree, batch: Batch) -> Any:
        return write(self.model, params, batch, self.vocabulary.size, self.config.write_length)


__all__ = ["SceneParser", "build"]
