"""The measurements of system `video` on held-out clips; the measures are defined in docs/video.md."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.dynamics import objects
from o2t_jax.evaluation.dynamics import pictures as shown
from o2t_jax.evaluation.video import codes, laws, probes, rows
from o2t_jax.models.video.model import decode_all, follow
from o2t_jax.results import Column, Result, Scalar, Score, ScoreCurve, Table
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.video_config import SIDE
from o2t_jax.systems.video_data import HeldOut

if TYPE_CHECKING:
    from o2t_jax.systems.video import Video

HORIZONS = (1, 5, 10)
FPS = 10.0  # of films; a frame is the sets' unit of time
FIRST = 5  # horizons from this one on are part of the aim
CLEARLY = 0.7
_CHUNK = 32
_EVERY = 2  # frames between two rows of a probe
_NO_OBJECT = ("waves",)  # sets whose picture is a field


class VideoTests:
    """Evaluators of a system."""

    def __init__(self, system: Video) -> None:
        self.system, self.config = system, system.config
        self.horizons = [h for h in HORIZONS if h <= self.config.horizon] or [self.config.horizon]

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Geometric mean over sets of the error over the best row's, at the longest horizon."""
        ratios = []
        for name in self.system.data.names:
            held = self.windows(name, "validation", self.config.validation_clips)
            context, truth = self._split(held)
            idle = rows.idle_errors(context, truth, self.system.data.reference(name)[0])
            ratios.append(rows.mse(self.dreamt(state, held), truth)[-1] / rows.least(idle)[-1])
        yield "ratio", Score(float(np.exp(np.mean(np.log(ratios)))), baselines={"best idle row": 1.0}, better="lower")

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors and objects of every set; films."""
        table, things, ratios, found = [], [], [], []
        for name in self.system.data.names:
            held = self.windows(name, "test", self.config.test_clips)
            context, truth = self._split(held)
            mean, background = self.system.data.reference(name)
            predicted = self.dreamt(state, held)
            idle, ours = rows.idle_errors(context, truth, mean), rows.mse(predicted, truth)
            sharp = rows.sharpness(predicted, truth)
            seen = None if name in _NO_OBJECT else rows.seen(predicted, truth, context, background)
            for h in self.horizons:
                at = h - 1
                table.append({"set": name, "horizon": h, "model": float(ours[at])})
                table[-1] |= {row: float(x[at]) for row, x in idle.items()}
                things.append({"set": name, "horizon": h, "sharpness": float(sharp[at])})
                things[-1] |= {
                    key: None if seen is None else float(getattr(seen, key)[at])
                    for key in ("found", "centroid", "moved_on")
                }
            after = [h for h in self.horizons if h >= FIRST] or self.horizons
            ratios.append(max(float(ours[h - 1] / rows.least(idle)[h - 1]) for h in after))
            if seen is not None:
                found.append(float(np.mean(seen.found)))
            axes = ("frames ahead", "mean squared error", "", "")
            yield (
                f"mse_{name}",
                ScoreCurve(np.arange(1, len(ours) + 1), ours, None, None, *axes, baselines=idle, better="lower"),
            )
            yield f"film_{name}", shown.film(predicted[..., None], truth[..., None], 1.0 / FPS)
            yield f"strip_{name}", shown.strip(predicted[..., None], truth[..., None])
        error = Column("", ".5f")
        yield (
            "sets",
            Table({"set": Column(), "horizon": Column("", "d"), **dict.fromkeys(("model", *rows.IDLE), error)}, table),
        )
        yield (
            "objects",
            Table(
                {
                    "set": Column(),
                    "horizon": Column("", "d"),
                    "found": Column("", ".1%"),
                    "centroid": Column("px"),
                    "moved_on": Column("px"),
                    "sharpness": Column("", ".2f"),
                },
                things,
            ),
        )
        yield "below_all", Scalar(float(np.sum(np.array(ratios) < 1.0)), "sets")
        yield "clearly_below", Scalar(float(np.sum(np.array(ratios) <= CLEARLY)), "sets")
        if found:
            yield "found", Scalar(100.0 * float(np.mean(found)), "%")

    def codes(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Codes of test clips: how many, how evenly, what they say; pictures from the codes of single frames."""
        count = self.system.model.quantiser.count
        order = np.random.default_rng(0).permutation(max(count, 1))
        table, numbers, held_cells = [], [], []
        for name in self.system.data.names:
            held = self.windows(name, "test", self.config.test_clips)
            index, again, mixed = self._over(held, lambda x, _: self._recoded(state.params, state.extra, x, order))
            background = self.system.data.reference(name)[1]
            numbers.append(index)
            held_cells.append(codes.filled(held.pictures, background, SIDE))
            ours, blank = (float(np.mean(np.abs(x - held.pictures))) for x in (again, 0.0))
            table.append({"set": name, "l1": ours, "blank": blank, "over_blank": ours / blank})
            table[-1]["permuted"] = float(np.mean(np.abs(mixed - held.pictures))) / ours if count else None
        columns = {"l1": Column("", ".5f"), "blank": Column("", ".5f"), "over_blank": Column("", ".3f")}
        yield "reconstruction", Table({"set": Column(), **columns, "permuted": Column("times", ".1f")}, table)
        if count:
            everywhere, cells = np.concatenate(numbers), np.concatenate(held_cells)
            yield "used", Scalar(float(codes.used(everywhere, count)), f"of {count}")
            yield "perplexity", Scalar(codes.perplexity(everywhere, count))
            yield "perplexity_filled", Scalar(codes.perplexity(everywhere[cells], count))

    def probes(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """R² of linear maps from codes to the position, and from the memory to the velocity."""
        table = []
        for name in self.system.data.names:
            if name in _NO_OBJECT:
                continue
            parts = []
            for split, clips in (("train", self.config.probe_clips), ("test", self.config.test_clips)):
                held = self.windows(name, split, clips)
                place = probes.mean_place(held.places, held.seen)
                velocity = np.diff(place, axis=1)
                at = slice(self.config.context - 1, None, _EVERY)
                latents, memory = self._over(held, lambda x, a: self._filtered(state.params, state.extra, x, a))
                parts.append([_rows(x[:, at]) for x in (latents, memory, place)])
                parts[-1].append(_rows(velocity[:, self.config.context - 2 :: _EVERY]))
            (z, h, x, v), (z_test, h_test, x_test, v_test) = parts
            table.append(
                {
                    "set": name,
                    "position": _none(probes.r_squared(z, x, z_test, x_test)),
                    "velocity": _none(probes.r_squared(h, v, h_test, v_test)),
                }
            )
        if table:
            columns = {"set": Column(), "position": Column("R²", ".3f"), "velocity": Column("R²", ".3f")}
            yield "linear", Table(columns, table)

    def laws(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Each clip's own constant as it shows in the dream, against the true one; over twice the horizon also."""
        table = []
        for name in self.system.law_sets:
            law, held, start = laws.LAWS[name], self._law_windows(name), self.config.context
            read = self._reader(name)
            dream = read(self.dreamt(state, held))
            constant = law.of_constant(held.constant)
            usual = float(np.mean(law.of_constant(self.windows(name, "train", self.config.probe_clips).constant)))
            for frames in sorted({self.config.horizon, dream.shape[1]}):
                cut = slice(start, start + frames)
                usable = law.usable(held.places[:, cut, 0], held.constant)
                real = constant[usable]
                ours = laws.agreement(law.measured(dream[usable, :frames]), real)
                true = laws.agreement(law.measured(read(held.pictures[usable, cut])), real)
                row = {"set": name, "quantity": law.quantity, "frames": frames, "clips": int(usable.sum())}
                row |= {"slope": ours.slope, "r_squared": ours.r_squared, "error": ours.error, "measured": ours.share}
                row |= {"true_slope": true.slope, "true_r_squared": true.r_squared, "true_error": true.error}
                mean = float(np.median(np.abs(usual / real - 1.0))) if len(real) else None
                table.append({key: _none(x) for key, x in row.items()} | {"mean_error": mean})
        share, number = Column("", ".1%"), Column("", ".3f")
        shares = ("error", "measured", "true_error", "mean_error")
        numbers = ("slope", "r_squared", "true_slope", "true_r_squared")
        columns = {"set": Column(), "quantity": Column(), "frames": Column("", "d"), "clips": Column("", "d")}
        columns |= dict.fromkeys(numbers, number) | dict.fromkeys(shares, share)
        yield "constants", Table(columns, table)

    def dreamt(self, state: TrainState, held: HeldOut) -> np.ndarray:
        """Predicted pictures [N, T - context, S, S]."""
        seen = self.config.context
        return self._over(held, lambda x, a: self._dream(state.params, state.extra, x[:, :seen], a))

    def windows(self, name: str, split: str, count: int) -> HeldOut:
        """Held-out windows, made once."""
        return self._windows(name, split, count)

    def _law_windows(self, name: str) -> HeldOut:
        """Test windows of twice the horizon, or as much of it as a clip has."""
        length = min(self.config.context + 2 * self.config.horizon, self.config.frames)
        return self.system.data.held_out(name, "test", self.config.test_clips, length)

    def _reader(self, name: str) -> Callable[[np.ndarray], np.ndarray]:
        """From pictures to places, calibrated on training pictures."""
        held, (_, background) = self.windows(name, "train", self.config.probe_clips), self.system.data.reference(name)
        threshold = objects.threshold_of(held.pictures[..., None], background[..., None])
        scale = laws.calibration(held.pictures, background, threshold, held.places[:, :, 0])
        return lambda pictures: laws.places_in(pictures, background, threshold, scale)

    @functools.cache  # noqa: B019 (a system lives as long as its process)
    def _windows(self, name: str, split: str, count: int) -> HeldOut:
        return self.system.data.held_out(name, split, count)

    def _over(self, held: HeldOut, function: Callable[..., Any]) -> Any:
        chunk = min(_CHUNK, len(held.pictures))
        return in_batches(lambda i: function(held.pictures[i], held.actions[i]), len(held.pictures), chunk)

    def _split(self, held: HeldOut) -> tuple[np.ndarray, np.ndarray]:
        return held.pictures[:, : self.config.context], held.pictures[:, self.config.context :]

    @functools.cached_property
    def _dream(self) -> Any:
        return jax.jit(self.system.dream)

    @functools.cached_property
    def _recoded(self) -> Any:
        """Numbers of codes [B, T, 8, 8], pictures from them, pictures from them in another order."""
        model = self.system.model

        def recoded(params: Any, extra: Any, pictures: Any, order: Any) -> Any:
            found = self.system.coded(params, extra, pictures)
            again = decode_all(model, params, found.codes)
            if not model.quantiser.count:
                return found.index, again, again
            other = model.quantiser.looked_up(extra.get("codebook", {}), order[found.index])
            return found.index, again, decode_all(model, params, other)

        return jax.jit(recoded)

    @functools.cached_property
    def _filtered(self) -> Any:
        """Codes [B, T, 8, 8, D], and the memory [B, T, 8, 8, M] after each frame was seen."""

        def filtered(params: Any, extra: Any, pictures: Any, actions: Any) -> Any:
            found = self.system.coded(params, extra, pictures).codes
            track, _ = follow(self.system.model, params, found, jnp.pad(actions, ((0, 0), (0, 1), (0, 0))), 1)
            return found, track.memory

        return jax.jit(filtered)


def _rows(x: np.ndarray) -> np.ndarray:
    """[N, T, ...] -> [N T, ...], flat: frames of a clip are neighbours."""
    return x.reshape(x.shape[0] * x.shape[1], -1)


def _none(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


__all__ = ["CLEARLY", "FPS", "HORIZONS", "VideoTests"]
