"""System `motion`: how a person moves on, from words and the first frames of a clip, or from words (docs/motion.md).

The prediction corrects a guess: the mean of the five training clips of the class whose first frames are nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config, from_flat
from o2t_jax.models.motion.model import Moments, MotionModel, MotionSizes, Posterior, Predicted, Prior
from o2t_jax.models.motion.objective import Weights, divergence, errors, penalties
from o2t_jax.models.motion.ssm import SSMSizes
from o2t_jax.models.motion.text import WORDS
from o2t_jax.physics.motion.skeleton import OURS
from o2t_jax.systems import base_config, motion_config
from o2t_jax.systems.base import BatchesByStep, Best, DataRequest, System
from o2t_jax.systems.motion_data import MotionData, standing
from o2t_jax.systems.motion_tests import MotionTests
from o2t_jax.systems.motion_words import WordTests
from o2t_jax.types import Array, Batch, BatchIterator, PyTree


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, motion_config.FIELDS)
    motion_config.validate(config)
    return Motion(config)


class Motion(System):
    """See `o2t_jax.training.contract.System`. Parameters: model; prior and posterior where a latent is drawn."""

    name = "motion"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("validation/ratio", "min")
    size_fields = ("batch", "width", "layers")
    test_fields = ("test_clips", "draws")
    headline_scores = ("test/error_mm", "test/skate", "test/penetration", "test/ratio")
    headline_tables = {"rows_mm": ("test/rows", ("row",))}  # noqa: RUF012 (typed in the base)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.data = MotionData(config)
        self.length = config.given + config.horizon
        ssm = from_flat(SSMSizes, config)
        self.model = MotionModel(from_flat(MotionSizes, config, ssm=ssm))
        self.prior, self.posterior = (part(config.width, config.latent) for part in (Prior, Posterior))
        self.weights = from_flat(Weights, config)
        steps = config.train_steps
        rate = optax.warmup_cosine_decay_schedule(0.0, config.lr, max(int(config.warm_up * steps), 1), steps)
        adam = optax.adamw(rate, weight_decay=config.weight_decay)
        self.tx = optax.chain(optax.clip_by_global_norm(config.clip), adam) if config.clip else adam
        tests = MotionTests(self)
        self.evaluators = {"validation": tests.validation, "test": tests.test}
        if config.prefix_dropout:
            self.evaluators["text"] = WordTests(self).text
        self.periods = {name: steps for name in self.evaluators if name != "validation"}
        if self.data.source is not None:
            self.sample_sources = (self.data.source,)
        clip = jax.ShapeDtypeStruct((self.length, len(OURS), 3), jnp.float32)
        self.sample_spec = {
            "positions": clip,
            "base": clip,
            "mask": jax.ShapeDtypeStruct((self.length,), jnp.float32),
            "words": jax.ShapeDtypeStruct((WORDS,), jnp.int32),
        }
        if config.shuffled:
            self.sample_spec |= {"donor": jax.ShapeDtypeStruct((config.given, len(OURS), 3), jnp.float32)}

    def check(self) -> None:
        """See `System`: the recorded clips, if they are named."""
        if self.config.clips:
            self.data.windows("train")

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Windows drawn evenly; each batch is a function of seed and step alone."""
        count = len(self.data.split("train"))
        draw = lambda step: np.random.default_rng((request.seeds[0], step)).integers(count, size=self.config.batch)  # noqa: E731
        return BatchesByStep(lambda step: self.batch("train", draw(step)), request)

    def batch(self, split: str, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Windows of these numbers of a split, as `sample_spec` says."""
        data = self.data.split(split)
        windows = data.windows
        found = {
            "positions": windows.positions[rows],
            "base": data.base[rows],
            "mask": windows.mask[rows],
            "words": data.words[rows],
        }
        if self.config.shuffled:
            others = np.random.default_rng(0).permutation(len(data))
            found["donor"] = windows.positions[others[rows], : self.config.given]
        return found

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of the model, and of what is drawn."""
        of_model, of_posterior = jax.random.split(jnp.asarray(key))
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        params = {"model": self.model.init(of_model, *self._seen(one, self.nothing(1)))["params"]}
        if self.config.latent:
            made = self.posterior.init(of_posterior, one["positions"], one["mask"], one["words"])
            params["posterior"] = made["params"]
            params["prior"] = self.prior.init(jax.random.fold_in(of_posterior, 1), one["words"])["params"]
        return params, {}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """Errors of the frames that are not seen, and penalties; see `models.motion.objective`."""
        config, keys = self.config, jnp.asarray(keys)
        truth, mask, words = (jnp.asarray(batch[name]) for name in ("positions", "mask", "words"))
        of_known, of_noise, of_latent = jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, 3))(keys), 1, 0)
        dropped = jax.vmap(lambda key: jax.random.bernoulli(key, config.prefix_dropout))(of_known)
        known = 1.0 - dropped.astype(jnp.float32)
        shape = (config.given, len(OURS), 3)
        noisy = truth[:, : config.given] + config.noise * jax.vmap(lambda key: jax.random.normal(key, shape))(of_noise)
        base = jnp.where(known[:, None, None, None] > 0, batch["base"], standing())
        latent, parts = self.nothing(len(truth)), {}
        if config.latent:
            moments = self._moments(params, batch)
            latent = moments.at(jax.vmap(lambda key: jax.random.normal(key, (config.latent,)))(of_latent))
            parts["divergence"] = config.divergence * divergence(moments, self.expected(params, words))
        found = self._apply(
            params, noisy, known, base, words, latent, batch.get("donor"), train=True, rngs={"dropout": keys[0]}
        )
        unseen = 1.0 - known[:, None] * (jnp.arange(self.length) < config.given)
        clip = jnp.where(known[:, None, None, None] * (1.0 - unseen[..., None, None]) > 0, truth, found.positions)
        parts |= errors(self.weights, clip, truth, mask * unseen)
        if config.lambda_physics:
            parts |= penalties(self.weights, clip)
        total = jnp.sum(jnp.stack(list(parts.values())), axis=0)
        return jnp.mean(total), ({name: jnp.mean(x) for name, x in parts.items()}, {})

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """Places [B, horizon, J, 3] m after the given frames; with a stochastic head those of the middle draw."""
        return self.drawn(params, batch, self.nothing(len(batch["positions"]))).positions[:, self.config.given :]

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """All frames after the given ones."""
        mask = np.zeros(np.shape(batch["positions"]), bool)
        mask[:, self.config.given :] = True
        return {"positions": mask}

    def drawn(self, params: PyTree, batch: Batch, dice: Array) -> Predicted:
        """The clips of these draws `dice` [B, Z], with the first frames seen."""
        return self._apply(params, *self._seen(batch, self.of_words(params, batch["words"], dice)))

    def said(self, params: PyTree, words: Array, latent: Array) -> jax.Array:
        """Clips [B, T, J, 3] m from words [B, W] (`models.motion.text.word_numbers`) alone; `latent` [B, Z]: see
        `of_words` and `of_clips`."""
        base = jnp.broadcast_to(jnp.asarray(standing()), (len(words), self.length, len(OURS), 3))
        nothing = base[:, : self.config.given]
        return self._apply(params, nothing, jnp.zeros(len(words)), base, words, latent).positions

    def of_words(self, params: PyTree, words: Array, dice: Array) -> jax.Array:
        """The latent [B, Z] that draws `dice` [B, Z] of standard Gaussians make of words; zeros make the middle."""
        if not self.config.latent:
            return jnp.asarray(dice)
        return self.expected(params, words).at(dice)

    def of_clips(self, params: PyTree, batch: Batch, dice: Array) -> jax.Array:
        """As `of_words`, of whole clips and their words."""
        return self._moments(params, batch).at(dice)

    def expected(self, params: PyTree, words: Array) -> Moments:
        """Of the latent of a clip of these words."""
        return self.prior.apply({"params": params["prior"]}, words)  # pyright: ignore[reportReturnType]

    def _moments(self, params: PyTree, batch: Batch) -> Moments:
        given = (batch[name] for name in ("positions", "mask", "words"))
        return self.posterior.apply({"params": params["posterior"]}, *given)  # pyright: ignore[reportReturnType]

    def nothing(self, count: int) -> jax.Array:
        """The middle of what is drawn, [count, Z]."""
        return jnp.zeros((count, self.config.latent))

    def summary(self, metrics: Mapping[str, float]) -> str:
        """Loss and its parts."""
        names = ("loss", "place", "pose", "velocity", "divergence", "skate", "penetration", "float", "jerk")
        return ", ".join(f"{name} {metrics[name]:.4g}" for name in names if name in metrics)

    def notes(self, plan: Any) -> list[str]:
        """The model's size."""
        params = jax.eval_shape(self.init, jax.random.key(0))[0]
        return [f"model: {self.config.model}, {sum(x.size for x in jax.tree.leaves(params)):,} parameters"]

    def _seen(self, batch: Batch, latent: Array) -> tuple[Any, ...]:
        given = jnp.asarray(batch["positions"])[:, : self.config.given]
        return given, jnp.ones(len(given)), batch["base"], batch["words"], latent, batch.get("donor")

    def _apply(self, params: PyTree, *given: Any, **options: Any) -> Predicted:
        return self.model.apply({"params": params["model"]}, *given, **options)  # pyright: ignore[reportReturnType]


__all__ = ["Motion", "build"]
