"""System `dynamics_pictures`: a world that is pushed, learned from its pictures alone (docs/dynamics_pictures.md).

K frames give a state of positions and momenta, a predictor moves it on under the known actions, positions are decoded.
No true state enters the training.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.dynamics import objects, pictures
from o2t_jax.models.dynamics import PictureDynamics, Sizes, objective
from o2t_jax.models.dynamics.model import decode_all, roll_out, run
from o2t_jax.models.dynamics.predictors import is_flat
from o2t_jax.results import Result, Scalar, Score
from o2t_jax.systems import base_config, dynamics_pictures_config
from o2t_jax.systems.base import Best, System, TrainState
from o2t_jax.systems.dynamics_pictures_data import PicturedWorld
from o2t_jax.systems.dynamics_world import make_world
from o2t_jax.types import Array, Batch, PyTree

_CHUNK = 32  # sequences rolled out together in a test
_REFERENCE = 200  # training sequences that give the mean frame
_GROUPS = {"encoder": "encoder", "transform": "encoder", "decoder": "decoder", "predictor": "predictor"}


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, dynamics_pictures_config.fields(config))
    dynamics_pictures_config.validate(config)
    return DynamicsPictures(config)


class DynamicsPictures(System):
    """See `o2t_jax.training.contract.System`. Parameters: encoder, transform, predictor, decoder."""

    name = "dynamics_pictures"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("validation/mse", "min")
    agreement = {"frequency/predicted": 0.1}  # noqa: RUF012 (typed in the base)

    def __init__(self, config: Config) -> None:
        self.config = config
        env = make_world(config, "dynamics/pictures:{name}-PREDICTOR")
        self.world = PicturedWorld(env, config.size, config.picture_channels)
        self.frames = config.encoder_frames
        self.length = self.frames - 1 + config.horizon
        self.model = PictureDynamics(config.predictor, _sizes(config), dynamics_pictures_config.integrator_of(config))
        self.weights = objective.Weights(
            config.beta, config.free_bits, config.predictor_weight, config.decoded, config.focus, config.consistency
        )
        self.inner = self.inner_steps(max(config.dt))
        self.tx = _optimiser(config)
        self.evaluators = {"validation": self.validation, "test": self.test, "told_dt": self.told_dt}
        self.periods = {"test": config.train_steps, "told_dt": config.train_steps}
        self.readouts = {"frequency": self.frequency}
        self.world.check(self.length, config.dt)
        size, channels = config.size, config.picture_channels
        self.sample_spec = {
            "frames": jax.ShapeDtypeStruct((self.length + 1, size, size, channels), jnp.uint8),
            "actions": jax.ShapeDtypeStruct((self.length, self.world.env.actions.size), jnp.float32),
            "dt": jax.ShapeDtypeStruct((), jnp.float32),
        }

    def inner_steps(self, dt: float) -> int:
        """Steps of the predictor in one of `dt` s."""
        return math.ceil(dt / self.config.inner - 1e-6)  # n inner steps must not become n + 1 by rounding

    def make_batch(self, seed: Array, step: Array) -> Batch:
        """The batch of a step: new sequences every time, or some of the `n_seqs`."""
        config = self.config
        indices = jnp.asarray(step * config.batch, jnp.uint32) + jnp.arange(config.batch, dtype=jnp.uint32)
        if config.n_seqs:
            key = jax.random.fold_in(jax.random.key(seed), step)
            indices = jax.random.randint(key, (config.batch,), 0, config.n_seqs).astype(jnp.uint32)
        return self.world.sequences("train", indices, seed, self.length, tuple(config.dt))

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of all parts, and no `extra`."""
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        k, actions = self.frames, one["actions"]
        seen = one["frames"][:, :k].astype(jnp.float32), actions[:, : k - 1], actions[:, 0], 0.1
        return self.model.init(jnp.asarray(key), *seen)["params"], {}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """The objective of `mode`, a mean over samples; see `models.dynamics.objective`."""
        floats = {**batch, "frames": _floats(batch["frames"])}
        choose = objective.hgn if self.config.mode == "hgn" else objective.detached
        loss, parts = choose(self.model, self.weights, params, floats, keys, self.inner)
        return jnp.mean(loss), ({name: jnp.mean(x) for name, x in parts.items()}, {})

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """Frames [B, T - K + 1, S, S, c] in 0..1 after the K-th, from the first K frames and all actions, no noise."""
        return self._predict(params, batch["frames"][:, : self.frames], batch["actions"], batch["dt"], self.inner)

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """All frames after the K-th."""
        mask = np.zeros(np.shape(batch["frames"]), bool)
        mask[:, self.frames :] = True
        return {"frames": mask}

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Squared error of frames that are predicted ahead, for the choice of the best checkpoint."""
        made = self._validation
        steps = self.config.test_horizon
        truth, context = self._split(made)
        predicted = self._rolled(state, made)[:, :steps]
        rows = pictures.idle_rows(context, *self._reference, steps)
        means = {name: float(np.mean(np.square(x - truth[:, :steps]))) for name, x in rows.items()}
        yield "mse", Score(float(np.mean(np.square(predicted - truth[:, :steps]))), baselines=means, better="lower")

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Predictions over the horizon beside rows that learn nothing; long rollouts; the frequency."""
        config, (mean, background) = self.config, self._reference
        truth, context = self._split(self._test)
        predicted = self._rolled(state, self._test)
        steps, dt = config.test_horizon, config.dt[0]
        rows = pictures.idle_rows(context, mean, background, steps)
        yield from pictures.judge(predicted[:, :steps], truth[:, :steps], rows, background, dt)
        yield from pictures.judge_long(predicted, truth, context, background, config.valid_px, dt)
        yield "film", pictures.film(predicted, truth, dt)
        yield "strip", pictures.strip(predicted[:, :steps], truth[:, :steps])
        found = self.frequency(state)
        if found is not None:
            for name in ("error", "bias"):
                value = found[f"relative_{name}"]
                yield f"frequency_{name}", Scalar(math.nan if value is None else 100.0 * value, "%")

    def told_dt(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Frames at other steps dt, which the predictor is told; the encoder's frames keep the dt of the training.

        Actions are held for `hold` s, so that all of them show the same motion; the error is that of
        the frames at the end of each.
        """
        config, (mean, background) = self.config, self._reference
        hold, count = config.hold, 2
        for dt in config.dt_values:
            each = round(hold / dt)
            made = self.world.told(_CHUNK, self.frames, config.dt[0], dt, each, count)
            inner = self.inner_steps(dt)
            predicted = self._jitted(inner)(state.params, made["frames"][:, : self.frames], made["actions"], dt)
            at = slice(each - 1, None, each)
            truth, context = (np.asarray(x)[:, at] if i == 0 else x for i, x in enumerate(self._split(made)))
            predicted = np.asarray(predicted)[:, at]
            miss = objects.distances(predicted, truth, background)
            still = np.broadcast_to(context[:, -1:], truth.shape)
            idle = {"copy last": still, "mean frame": np.broadcast_to(mean, truth.shape)}
            means = {name: float(np.mean(np.square(x - truth))) for name, x in idle.items()}
            yield f"mse_{dt:g}", Score(float(np.mean(np.square(predicted - truth))), baselines=means, better="lower")
            far = {"copy last": float(np.nanmean(objects.distances(still, truth, background)))}
            yield f"centroid_{dt:g}", Score(float(np.nanmean(miss)), "px", baselines=far, better="lower")

    def frequency(self, state: TrainState) -> dict[str, Any] | None:
        """Angular frequency without actions, rad/s, in predicted and in true pictures; None: no oscillation."""
        made = self._unforced
        if made is None:
            return None
        truth, _ = self._split(made)
        background = self._reference[1]
        found = pictures.frequencies(self._rolled(state, made), truth, background, self.config.dt[0])
        return {
            "predicted": found["predicted"],
            "in_true_pictures": found["true"],
            "relative_error": found["error"],
            "relative_bias": found["bias"],
            "fitted": found["fitted"],
        }

    def summary(self, metrics: Mapping[str, float]) -> str:
        """Loss and its parts."""
        return ", ".join(
            f"{name} {metrics[name]:.4g}"
            for name in ("loss", "pixels", "kl", "distance", "predictor")
            if name in metrics
        )

    def headline(self, readouts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The frequency and that of the true pictures."""
        found = readouts.get("frequency")
        if not found or found["predicted"] is None:
            return []
        return [f"frequency {found['predicted']:.4g} rad/s (true pictures: {found['in_true_pictures']:.4g})"]

    def _predict(self, params: PyTree, frames: Array, actions: Array, dt: Any, inner: int) -> jax.Array:
        """Frames [B, T - K + 1, S, S, c] after the K that are given."""
        k = self.frames
        mean, _ = run(self.model, params, "encode", _floats(frames))
        z = run(self.model, params, "to_state", mean, actions[:, : k - 1])
        track = roll_out(self.model, params, z, jnp.asarray(actions)[:, k - 1 :], dt, inner)
        return decode_all(self.model, params, track)

    @functools.cache  # noqa: B019 (a system lives as long as its process)
    def _jitted(self, inner: int) -> Any:
        return jax.jit(lambda params, frames, actions, dt: self._predict(params, frames, actions, dt, inner))

    def _rolled(self, state: TrainState, made: Batch) -> np.ndarray:
        """Predicted frames [B, T - K + 1, S, S, c] of a test set."""
        function, k = self._jitted(self.inner_steps(self.config.dt[0])), self.frames

        def chunk(indices: np.ndarray) -> Array:
            frames, actions = made["frames"][indices, :k], made["actions"][indices]
            return function(state.params, frames, actions, self.config.dt[0])

        return np.asarray(in_batches(chunk, len(made["frames"]), _CHUNK))

    def _split(self, made: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Frames after the K-th, and the first K, as floats."""
        frames = np.asarray(made["frames"], np.float32) / 255.0
        return frames[:, self.frames :], frames[:, : self.frames]

    def _made(self, split: str, count: int) -> Batch:
        """The same sequences for every seed."""
        steps = self.frames - 1 + self.config.long_horizon
        made = self.world.sequences(split, np.arange(count, dtype=np.uint32), 0, steps, (self.config.dt[0],))
        return jax.tree.map(np.asarray, made)

    @functools.cached_property
    def _test(self) -> Batch:
        return self._made("test", self.config.test_starts)

    @functools.cached_property
    def _validation(self) -> Batch:
        return self._made("validation", min(_CHUNK, self.config.test_starts))

    @functools.cached_property
    def _unforced(self) -> Batch | None:
        steps = self.frames - 1 + self.config.long_horizon
        made = self.world.unforced(self.config.unforced_starts, steps, self.config.dt[0])
        return None if made is None else jax.tree.map(np.asarray, made)

    @functools.cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean frame of training sequences, and the world's own background.

        A median over frames is no background: the object is at its place of rest in most of them.
        """
        indices = np.arange(_REFERENCE, dtype=np.uint32)
        made = self.world.sequences("train", indices, self.config.seed, self.length, tuple(self.config.dt))
        frames = np.asarray(made["frames"], np.float32) / 255.0
        return np.mean(frames, axis=(0, 1)), self.world.background()


def _sizes(config: Config) -> Sizes:
    flat = is_flat(config.predictor)
    return Sizes(
        frames=config.encoder_frames,
        channels=config.latent_size if flat else config.latent_channels,
        side=config.latent_side,
        encoder_widths=tuple(config.encoder_widths),
        encoder_depths=tuple(config.encoder_depths),
        transform_hidden=config.transform_hidden,
        decoder_widths=tuple(config.decoder_widths),
        predictor_hidden=config.predictor_hidden,
        picture_channels=config.picture_channels,
    )


def _optimiser(config: Config) -> optax.GradientTransformation:
    """Adam by groups of parts; parts whose train_* is False are not moved."""

    def adam(name: str) -> optax.GradientTransformation:
        if not config[f"train_{name}"]:
            return optax.set_to_zero()
        lr = config.lr if config.mode == "hgn" else config[f"lr_{name}"]
        if config.schedule == "constant":
            return optax.adam(lr)
        warm = min(100, config.train_steps // 10)
        return optax.adam(optax.warmup_cosine_decay_schedule(0.0, lr, warm, max(config.train_steps, warm + 1)))

    groups = optax.partition(
        {name: adam(name) for name in ("encoder", "decoder", "predictor")},
        lambda params: {
            part: jax.tree.map(lambda _, group=_GROUPS[part]: group, tree) for part, tree in params.items()
        },
    )
    return optax.chain(optax.clip_by_global_norm(config.clip), groups) if config.clip else groups


def _floats(frames: Any) -> jax.Array:
    return jnp.asarray(frames, jnp.float32) / 255.0


__all__ = ["DynamicsPictures", "build"]
