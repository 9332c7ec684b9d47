"""System `video`: a world model of pictures under actions, learned from clips of one set or of several (docs/video.md).

Pictures become codes, a convolutional GRU moves codes on, codes become pictures; nothing goes round the codes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config, from_flat
from o2t_jax.data.video.clips import ACTIONS
from o2t_jax.data.video.windows import Pool
from o2t_jax.evaluation.video.laws import LAWS
from o2t_jax.models.video import QUANTISERS, Sizes, VideoModel
from o2t_jax.models.video.model import decode_all, encode_all, follow, quantise
from o2t_jax.models.video.objective import Weights, objective
from o2t_jax.systems import base_config, video_config
from o2t_jax.systems.base import BatchesByStep, Best, DataRequest, Gather, Sum, System
from o2t_jax.systems.video_data import VideoData
from o2t_jax.systems.video_tests import FPS, VideoTests
from o2t_jax.types import Array, Batch, BatchIterator, PyTree


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, video_config.FIELDS)
    video_config.validate(config)
    return Video(config)


class Video(System):
    """See `o2t_jax.training.contract.System`. Parameters: encoder, decoder, dynamics, reward_head, continue_head.

    `extra["codebook"]` is what the quantiser remembers.
    """

    name = "video"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("validation/ratio", "min")
    size_fields = ("batch", "horizon", "hidden")
    headline_tables = {"sets": ("test/sets", ("set", "horizon"))}  # noqa: RUF012 (typed in the base)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.data = VideoData(config)
        self.length = config.context + config.horizon
        sizes = Sizes(tuple(config.widths), config.hidden, config.layers, ACTIONS)
        self.model = VideoModel(sizes, QUANTISERS.get(config.quantiser)(config))
        self.weights = from_flat(Weights, config)
        warm = min(config.warm_up, config.train_steps // 4)
        rate = optax.warmup_cosine_decay_schedule(0.0, config.lr, warm, max(config.train_steps, warm + 1))
        adam = optax.adam(rate, b2=0.99)
        self.tx = optax.chain(optax.clip_by_global_norm(config.clip), adam) if config.clip else adam
        tests = VideoTests(self)
        self.evaluators = {"validation": tests.validation, "test": tests.test, "codes": tests.codes}
        if config.probe_clips:
            self.evaluators["probes"] = tests.probes
        self.law_sets = [name for name in self.data.names if name in LAWS]
        if self.law_sets and config.probe_clips:
            self.evaluators["laws"] = tests.laws
        self.periods = {
            name: config.train_steps for name in ("test", "codes", "probes", "laws") if name in self.evaluators
        }
        self.sample_sources = tuple(self.data.sources.values())
        size = config.size
        self.sample_spec = {
            "pictures": jax.ShapeDtypeStruct((self.length, size, size), jnp.uint8),
            "actions": jax.ShapeDtypeStruct((self.length - 1, ACTIONS), jnp.float32),
            "weight": jax.ShapeDtypeStruct((), jnp.float32),
        }
        if self.data.rewarded:
            each = jax.ShapeDtypeStruct((self.length,), jnp.float32)
            self.sample_spec = {**self.sample_spec, "rewards": each, "continues": each}

    def check(self) -> None:
        """See `System`: the stored set, if one is named."""
        self.data.check()

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Windows of clips that are made, or read, now; each batch is a function of seed and step alone."""
        pool: Pool = self.data.pool(request.progress)
        size, length = self.config.batch, self.length
        return BatchesByStep(lambda step: pool.batch(request.seeds[0], step, size, length), request)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of all parts, and the codebook."""
        of_params, of_codes = jax.random.split(jnp.asarray(key))
        size = self.config.size
        params = self.model.init(of_params, jnp.zeros((1, size, size)), jnp.zeros((1, ACTIONS)))["params"]
        memory = self.model.quantiser.init(of_codes)
        return params, {"codebook": memory} if memory else {}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """See `models.video.objective`."""
        floats = {**batch, "pictures": as_floats(batch["pictures"])}
        loss, parts, moments = objective(self.model, self.weights, params, extra, floats, keys)
        statistics = {name: Gather(x) if name.endswith("rows") else Sum(x) for name, x in moments.items()}
        return jnp.mean(loss), ({name: jnp.mean(x) for name, x in parts.items()}, statistics)

    def advance(
        self, extra: PyTree, params: PyTree, statistics: Mapping[str, Array], step: Array, key: Array
    ) -> PyTree:
        """Moves the codebook."""
        if "codebook" not in extra:
            return extra
        return {**extra, "codebook": self.model.quantiser.advance(extra["codebook"], statistics, jnp.asarray(key))}

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """Pictures [B, T - C, S, S] 0 to 1 after the first C of the batch's, under its actions."""
        seen = as_floats(batch["pictures"][:, : self.config.context])
        return self.dream(params, extra, seen, batch["actions"])

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """All pictures after the C-th."""
        mask = np.zeros(np.shape(batch["pictures"]), bool)
        mask[:, self.config.context :] = True
        return {"pictures": mask}

    def dream(self, params: PyTree, extra: PyTree, seen: Array, actions: Array) -> jax.Array:
        """Pictures [B, T - C, S, S] after `seen` [B, C, S, S] 0 to 1, under `actions` [B, T - 1, A]."""
        context = seen.shape[1]
        codes = self.coded(params, extra, seen).codes
        track, _ = follow(self.model, params, codes, actions, actions.shape[1] + 1 - context)
        return decode_all(self.model, params, track.latents[:, context - 1 :])

    def coded(self, params: PyTree, extra: PyTree, pictures: Array) -> Any:
        """The codes of pictures [B, T, S, S] 0 to 1: `models.video.quantisers.Quantised`."""
        return quantise(self.model, extra, encode_all(self.model, params, jnp.asarray(pictures)))

    def preview(self, seed: int, steps: int, size: int) -> tuple[np.ndarray, float]:
        """A clip of each set, side by side, as a film: uint8 [steps + 1, size, K size, 3], and frames/s."""
        sources = [dataclasses.replace(x, seed=seed, frames=steps + 1, size=size) for x in self.data.sources.values()]
        clips = [source.batch("train", np.arange(1))["pictures"][0] for source in sources]
        return np.repeat(np.concatenate(clips, axis=2)[..., None], 3, axis=-1), FPS

    def summary(self, metrics: Mapping[str, float]) -> str:
        """Loss and its parts."""
        names = ("loss", "recon", "dream", "latent", "commit", "judged")
        return ", ".join(f"{name} {metrics[name]:.4g}" for name in names if name in metrics)


def as_floats(pictures: Any) -> jax.Array:
    """Bytes as numbers 0 to 1."""
    return jnp.asarray(pictures, jnp.float32) / 255.0


__all__ = ["Video", "as_floats", "build"]
