"""System `recording`: O2T on one film of one's own (docs/recordings.md).

A tower sees the object in a few frames of the film, Newton's mechanics, whose law is in the weights, says where it will
be, and the object is drawn there. It learns from the film's first part and predicts the rest. One camera with a known
scale is metric; without one the law is in px of the film. No label, no size and no law enters the training.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.data.recorded.film import Film as Source
from o2t_jax.data.recordings import example
from o2t_jax.data.recordings.clip import Clip, make_clip
from o2t_jax.models.o2t.loss import to_float
from o2t_jax.models.recording.falling import FilmModel, Seen, Weights, lay, losses
from o2t_jax.results import Film, Result, Score, ScoreCurve
from o2t_jax.systems import base_config, recording_config
from o2t_jax.systems.base import Best, System, TrainState
from o2t_jax.systems.recording_law import Units, law_in, law_of
from o2t_jax.types import Array, Batch, PyTree

VALIDATION = 32  # samples of the first part, for the best checkpoint
STARTS = 4  # windows before the held-out part from which it is predicted
FASTEST = 12.0  # frames/s at which predictions are shown


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields, or a film that cannot be used."""
    base_config.validate(config, recording_config.FIELDS)
    recording_config.validate(config)
    return Recording(config)


class Recording(System):
    """See `o2t_jax.training.contract.System`. Parameters: tower, layer (`gravity` [2] right and up, `drag`)."""

    name = "recording"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("validation/mse", "min")
    agreement = {"law/g_over_fitted": 0.03}  # noqa: RUF012 (typed in the base)

    def __init__(self, config: Config) -> None:
        self.config = config
        least = (config.inputs - 1) * config.stride + 3
        self.clip: Clip = make_clip(self.colours(), config.size, config.share, least)
        self.model = FilmModel(config.features, config.steps, config.drag, config.reach * config.size)
        self.weights = Weights(config.swap_weight, config.law_weight, config.area_weight, config.huber)
        self.tx = _optimiser(config)
        self.evaluators = {"validation": self.validation, "test": self.test}
        self.readouts = {"law": self.law}
        k, picture = config.inputs, self.clip.frames.shape[1:]
        self.sample_spec = {
            "frames": jax.ShapeDtypeStruct((k + 1, *picture), jnp.uint8),
            "times": jax.ShapeDtypeStruct((k + 1,), jnp.float32),
        }
        self._predict = jax.jit(self.predict)

    def colours(self) -> Iterator[tuple[float, np.ndarray]]:
        """Time s and RGB of each frame of the film, or of the example. Raises: UsageError for a file that is broken."""
        config = self.config
        if not config.video:
            frames, times = example.thrown_ball(seed=config.seed)
            return iter(zip(times.tolist(), frames, strict=True))
        end = config.end or float("inf")
        return Source(Path(config.video), config.start, end, config.fps or None, tuple(config.roi) or None).colours()  # type: ignore[arg-type]

    def make_batch(self, seed: Array, step: Array) -> Batch:
        """Windows of the first part of the film, each with a later frame of it."""
        return self.clip.batch(seed, step, self.config.batch, self.config.inputs, self.config.stride)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of tower and layer, and no `extra`."""
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in (self.sample_spec or {}).items()}
        frames = to_float(one["frames"][:, :-1])
        return self.model.init(jnp.asarray(key), frames, frames[0, 0], one["times"])["params"], {}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """See `models.recording.falling.losses`."""
        share = step / self.config.train_steps
        total, parts = losses(
            self.model, self.weights, params, to_float(jnp.asarray(batch["frames"])), self._still, batch["times"], share
        )
        metrics = {name: jnp.mean(x) for name, x in parts.items()}
        return jnp.mean(total), ({"loss": jnp.mean(total), **metrics}, {})

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """The picture [B, h, w, 3] in 0..1 at the last time, from the frames before it."""
        frames = jnp.asarray(batch["frames"], jnp.float32)[:, :-1] / 255.0
        return self.model.apply({"params": params}, frames, self._still, batch["times"])[0]  # type: ignore[index]

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """The last frame of each sample."""
        mask = np.zeros(np.shape(batch["frames"]), bool)
        mask[:, -1] = True
        return {"frames": mask}

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Squared error on windows of the first part, for the choice of the best checkpoint."""
        made = self.clip.batch(1, 0, VALIDATION, self.config.inputs, self.config.stride)
        yield "mse", self._score(state, jax.tree.map(np.asarray, made))

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """The held-out later frames, beside rows that learn nothing, and where the object is predicted in them."""
        made = self._held_out
        truth = np.asarray(made["frames"][:, -1], np.float32) / 255.0
        rows, places, there = self._rows(state, made)
        names = ("constant velocity", "repeat last", "background")
        yield "mse", self._score(state, made, rows)
        after = self.clip.learn + np.arange(len(self.clip.times) - self.clip.learn)
        seconds = (self.clip.times[after] - self.clip.times[self.clip.learn - 1]) * self.clip.second

        def over_time(values: np.ndarray) -> np.ndarray:
            return values.reshape(len(after), -1).mean(axis=1)

        curves = {name: over_time(np.mean(np.square(x - truth), axis=(1, 2, 3))) for name, x in rows.items()}
        axes = ("time after the last frame that was learned from", "squared error", "s", "")
        yield (
            "mse_over_time",
            ScoreCurve(
                seconds,
                curves["prediction"],
                None,
                None,
                *axes,
                baselines={name: curves[name] for name in names},
                better="lower",
                method="recording",
            ),
        )
        miss = {name: np.linalg.norm(x - there.place[:, 0], axis=-1) * self.clip.height for name, x in places.items()}
        seen = there.seen[:, 0] > 0
        middle = {name: float(np.mean(x[seen])) if seen.any() else float("nan") for name, x in miss.items()}
        idle = {name: x for name, x in middle.items() if name != "prediction"}
        if np.isfinite(list(middle.values())).all():
            yield "miss", Score(middle["prediction"], "px of the film", baselines=idle, better="lower")
        side = np.concatenate([truth, rows["prediction"]], axis=2)[::STARTS]
        step = float(np.median(np.diff(seconds)))
        film = (255.0 * np.clip(side, 0, 1)).round().astype(np.uint8)
        yield "film", Film(film, min(FASTEST, 1.0 / step), "held-out frames, prediction")

    def law(self, state: TrainState) -> dict[str, Any]:
        """The law in the weights, beside the one fitted to a classical tracker's sightings of the whole film."""
        found = law_in(state.params["layer"], self.units)
        fitted = self.fitted
        ratio = None if fitted is None else found["g"] / fitted["g"]
        return {**found, "unit": self.units.unit, "fitted_g": fitted and fitted["g"], "g_over_fitted": ratio}

    def law_of(self, state: TrainState, seed: int) -> dict[str, Any]:
        """For `experiments.readout`: the law in the weights with 95 % intervals (`recording_law.law_of`)."""
        count = self.clip.learn
        seen = self._see(state.params, self.clip.frames[:count, None])
        return law_of(state.params["layer"], seen, self.clip.times[:count], self.units, self.truth())

    @functools.cached_property
    def units(self) -> Units:
        """From the layer's numbers to metres (or px of the film) and seconds."""
        config = self.config
        scale = config.px_per_metre or (0.0 if config.video else example.PX_PER_METRE)
        if config.diameter and self.followed is not None:
            scale = 2 * self.followed.radius / config.diameter
        return Units(self.clip.height, self.clip.second, scale)

    @functools.cached_property
    def followed(self) -> Any:
        """What a classical tracker follows in the whole film; None where it finds nothing."""
        from o2t_jax.systems.recording_law import follow

        return follow(self.colours)

    @functools.cached_property
    def fitted(self) -> dict[str, float] | None:
        """The classical fit to the tracker's sightings; None where there is none."""
        from o2t_jax.systems.recording_law import classical

        return None if self.followed is None else classical(self.followed, self.units, self.config.drag)

    def truth(self) -> dict[str, Any] | None:
        """The example's g, m/s²; a film has no known truth."""
        return None if self.config.video else {"g": example.GRAVITY}

    def summary(self, metrics: Mapping[str, float]) -> str:
        """Loss and its parts."""
        return ", ".join(f"{name} {metrics[name]:.4g}" for name in ("loss", "picture", "swap", "miss", "seen"))

    def headline(self, readouts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """g in the weights and the fitted one."""
        found = readouts.get("law")
        if not found:
            return []
        beside = "" if found["fitted_g"] is None else f" (fitted: {np.mean(found['fitted_g']):.4g})"
        return [f"g {np.mean(found['g']):.4g} {found['unit']}{beside}"]

    @property
    def _still(self) -> jax.Array:
        return to_float(jnp.asarray(self.clip.still))

    @functools.cached_property
    def _held_out(self) -> Batch:
        """Each held-out frame from the last windows of the first part, in order of time."""
        config, clip = self.config, self.clip
        last = clip.learn - 1 - (config.inputs - 1) * config.stride
        firsts = [max(0, last - i) for i in range(STARTS)]
        targets = range(clip.learn, len(clip.times))
        return clip.windows(firsts * len(targets), np.repeat(targets, STARTS).tolist(), config.inputs, config.stride)

    def _see(self, params: PyTree, frames: Any) -> Seen:
        parts = [
            jax.device_get(self._seeing(params, _filled(frames[at : at + VALIDATION])))
            for at in range(0, len(frames), VALIDATION)
        ]
        return Seen(*(np.concatenate(x)[: len(frames)] for x in zip(*parts, strict=True)))

    @functools.cached_property
    def _seeing(self) -> Any:
        return jax.jit(
            lambda params, frames: self.model.apply({"params": params}, to_float(frames), self._still, method="see")
        )

    def _rows(self, state: TrainState, made: Batch) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Seen]:
        """Pictures and places by row, and what the tower sees in the targets."""
        k, times = self.config.inputs, made["times"]
        parts, places = [], []
        for at in range(0, len(times), VALIDATION):
            some = jax.tree.map(lambda x: _filled(x[at : at + VALIDATION]), dict(made))  # noqa: B023
            picture, straight, place, ahead = jax.device_get(self._both(state.params, some))
            parts.append((picture, straight))
            places.append((place, ahead))
        picture, straight = (np.concatenate(x)[: len(times)] for x in zip(*parts, strict=True))
        place, ahead = (np.concatenate(x)[: len(times)] for x in zip(*places, strict=True))
        last = np.asarray(made["frames"][:, k - 1], np.float32) / 255.0
        still = np.broadcast_to(np.asarray(self._still), last.shape)
        rows = {"prediction": picture, "constant velocity": straight, "repeat last": last, "background": still}
        before = self._see(state.params, made["frames"][:, k - 1 : k])
        guesses = {"prediction": place, "constant velocity": ahead, "repeat last": before.place[:, 0]}
        return rows, guesses, self._see(state.params, made["frames"][:, k:])

    @functools.cached_property
    def _both(self) -> Any:
        """Predicted pictures and places, by the law and at the velocity between the last two inputs."""

        @jax.jit
        def both(params: PyTree, batch: Batch) -> tuple[jax.Array, ...]:
            frames, times = to_float(jnp.asarray(batch["frames"])[:, :-1]), jnp.asarray(batch["times"])
            found: Any = self.model.apply({"params": params}, frames, self._still, times)
            picture, seen, place = found
            speed = (seen.place[:, -1] - seen.place[:, -2]) / (times[:, -2] - times[:, -3])[:, None]
            ahead = seen.place[:, -1] + speed * (times[:, -1] - times[:, -2])[:, None]
            return picture, lay(frames, seen, self._still, ahead), place, ahead

        return both

    def _score(self, state: TrainState, made: Batch, rows: Mapping[str, np.ndarray] | None = None) -> Score:
        truth = np.asarray(made["frames"][:, -1], np.float32) / 255.0
        rows = self._rows(state, made)[0] if rows is None else rows
        errors = {name: float(np.mean(np.square(x - truth))) for name, x in rows.items()}
        return Score(errors.pop("prediction"), baselines=errors, better="lower")


def _filled(x: np.ndarray) -> np.ndarray:
    """`VALIDATION` rows, the last one repeated: one compilation serves all counts."""
    return x[np.minimum(np.arange(VALIDATION), len(x) - 1)]


def _optimiser(config: Config) -> optax.GradientTransformation:
    """Adam; the law, numbers of order one, at a rate of its own."""

    def adam(rate: float) -> optax.GradientTransformation:
        warm = min(20, config.train_steps // 10)
        return optax.adam(optax.warmup_cosine_decay_schedule(0.0, rate, warm, max(config.train_steps, warm + 1)))

    groups = optax.partition(
        {"tower": adam(config.lr), "layer": adam(config.lr_law)},
        lambda params: {part: jax.tree.map(lambda _, part=part: part, tree) for part, tree in params.items()},
    )
    return optax.chain(optax.clip_by_global_norm(1.0), groups)


__all__ = ["Recording", "build"]
