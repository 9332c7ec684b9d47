"""How good predicted pictures are: over the picture, over the ball, and by the ball's place.

Definitions, for pictures in 0..1:

- mse, l1: mean over pixels and channels of a sample, then over samples; `loss` = 0.7 mse + 0.3 l1.
- psnr = -10 log10(mse), of the mean mse (a mean of logarithms would be ruled by single samples); infinite at mse = 0.
- ball_mse, ball_l1, ball_psnr: the same over the pixels of a sample's regions (`heldout`), where it has any.
- centroid_px: distance between a region's centroid in the prediction and in the target, both measured in the same way.
  The difference is |picture - background| (largest channel), the threshold half its median over the region in the
  target. Only pixels count that are within a square window round the region (half its side: a quarter of the picture's
  longer side, or the region's own reach where that is more) and nearer to this region than to any other. Of the
  connected patches above the threshold the one with the largest sum is taken. Its centroid, with a rim of one pixel,
  is weighted by the difference up to the threshold, so that a line of the background behind the ball changes little.
  A region whose median is within `heldout.CONTRAST` cannot be judged. A perfect prediction has 0 px by construction.
  The table gives the median over balls. A missed ball (no patch of at least `least_area` pixels: drawn elsewhere, or
  at less than half its contrast) counts as the picture's diagonal; `missed` is the share of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.o2t.baselines import BASELINES
from o2t_jax.evaluation.o2t.heldout import CONTRAST, MAX_REGIONS, HeldOut, difference, least_area
from o2t_jax.evaluation.writers.pictures import picture_grid
from o2t_jax.geometry.para import DIS, FUTURE, MODES, TARGET, VIEW
from o2t_jax.results import Better, Column, Film, Picture, Result, Score, ScoreCurve, ScoreTable
from o2t_jax.types import Array, PyTree

MSE_WEIGHT, L1_WEIGHT = 0.7, 0.3
# The columns of the tables; those not shown are in their files.
COLUMNS = {
    "mode": Column(),
    "n": Column("steps"),
    "method": Column(),
    "samples": Column(spec="d"),
    "loss": Column(spec=".5f", shown=False),
    "mse": Column(spec=".5f"),
    "l1": Column(spec=".4f"),
    "psnr": Column("dB", spec=".2f"),
    "ball_mse": Column(spec=".5f"),
    "ball_l1": Column(spec=".4f"),
    "ball_psnr": Column("dB", spec=".2f"),
    "centroid_px": Column("px", spec=".2f"),
    "missed": Column(spec=".0%"),
    "balls": Column(spec="d", shown=False),
}
# The measures that are logged for each mode, and which way is better.
SCALARS: dict[str, Better] = {
    "loss": "lower",
    "psnr": "higher",
    "ball_psnr": "higher",
    "centroid_px": "lower",
    "missed": "lower",
}
FILM_FPS = 5.0  # slower than life: a flight takes under a second
Records = dict[str, np.ndarray]


def score_pictures(held_out: HeldOut, prediction: np.ndarray) -> Records:
    """Per-sample errors of `prediction` float [N, H, W, 3] in 0..1.

    Returns: `mse`, `l1`, `ball_mse`, `ball_l1` [N] (NaN where a sample has no region), and `centroid_px` [N, R]: px of
    each region, infinite where missed, NaN where there is no such region.
    Raises: ValueError where the shape is wrong, UsageError where a pixel is not finite.
    """
    prediction = np.asarray(prediction, np.float32)
    if prediction.shape != held_out.target.shape:
        raise ValueError(f"prediction {prediction.shape} must have the target's shape {held_out.target.shape}")
    if not np.all(np.isfinite(prediction)):
        raise UsageError("the predicted pictures hold NaN: the run diverged; read an earlier step, or lower lr")
    count = len(prediction)
    mse, l1, ball_mse, ball_l1 = np.full((4, count), np.nan)
    px = np.full((count, max(MAX_REGIONS, int(held_out.regions.max()))), np.nan)
    for i in range(count):
        target = held_out.target[i].astype(np.float32) / 255.0
        error = np.abs(prediction[i] - target).astype(np.float64)
        ball = held_out.regions[i] > 0
        mse[i], l1[i] = np.mean(error**2), np.mean(error)
        if np.any(ball):
            ball_mse[i], ball_l1[i] = np.mean(error[ball] ** 2), np.mean(error[ball])
            background = held_out.background[i].astype(np.float32) / 255.0
            moved = difference(prediction[i], background), difference(target, background)
            errors = centroid_errors(*moved, held_out.regions[i])
            px[i, : len(errors)] = errors
    return {"mse": mse, "l1": l1, "ball_mse": ball_mse, "ball_l1": ball_l1, "centroid_px": px}


def centroid_errors(predicted: np.ndarray, target: np.ndarray, regions: np.ndarray) -> list[float]:
    """Distance in px of each region's centroids (module docstring), infinite where the prediction has none.

    Args: `predicted`, `target` [H, W]: differences from the background; `regions` int [H, W]. A region in which the
    target itself shows no contrast (behind a ramp, say) cannot be judged and is left out.
    """
    height, width = regions.shape
    v, u = np.mgrid[0:height, 0:width] + 0.5
    labels = [int(label) for label in np.unique(regions[regions > 0])]
    centres = np.array([[u[regions == label].mean(), v[regions == label].mean()] for label in labels])
    distance = np.hypot(u[..., None] - centres[:, 0], v[..., None] - centres[:, 1])
    nearest = np.argmin(distance, axis=-1)
    errors = []
    for j, label in enumerate(labels):
        here = regions == label
        reach = max(0.25 * max(height, width), float(distance[here, j].max()))
        window = (np.abs(u - centres[j, 0]) <= reach) & (np.abs(v - centres[j, 1]) <= reach) & (nearest == j)
        contrast = float(np.median(target[here]))
        if contrast <= CONTRAST / 255.0:
            continue
        true = _patch_centroid(np.where(window, target, 0.0), 0.5 * contrast)
        if true is not None:
            found = _patch_centroid(np.where(window, predicted, 0.0), 0.5 * contrast)
            errors.append(float("inf") if found is None else float(np.hypot(*(found - true))))
    return errors


def _patch_centroid(weight: np.ndarray, threshold: float) -> np.ndarray | None:
    count, labels = cv2.connectedComponents((weight > threshold).astype(np.uint8), connectivity=8)
    flat = labels.ravel().astype(np.intp)
    areas = np.bincount(flat, minlength=count)
    sums = np.bincount(flat, weights=weight.ravel(), minlength=count)
    sums[(areas < least_area(*weight.shape)) | (np.arange(count) == 0)] = 0.0
    best = int(np.argmax(sums))
    if sums[best] <= 0:
        return None
    patch = cv2.dilate((labels == best).astype(np.uint8), np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(patch)
    w = np.minimum(weight[rows, columns], threshold).astype(np.float64)
    return np.array([w @ (columns + 0.5), w @ (rows + 0.5)]) / w.sum()


def _loss(records: Records) -> float:
    """Over all samples."""
    return float(MSE_WEIGHT * np.mean(records["mse"]) + L1_WEIGHT * np.mean(records["l1"]))


def summarise(records: Records, chosen: np.ndarray, diagonal: float) -> dict[str, Any]:
    """One row of numbers over the samples `chosen` bool [N]; the ball's are None where none has a ball."""
    mse, l1 = float(np.mean(records["mse"][chosen])), float(np.mean(records["l1"][chosen]))
    ball_mse, ball_l1 = _mean(records["ball_mse"][chosen]), _mean(records["ball_l1"][chosen])
    px = records["centroid_px"][chosen]
    px = px[~np.isnan(px)]
    return {
        "samples": int(np.count_nonzero(chosen)),
        "loss": MSE_WEIGHT * mse + L1_WEIGHT * l1,
        "mse": mse,
        "l1": l1,
        "psnr": psnr(mse),
        "ball_mse": ball_mse,
        "ball_l1": ball_l1,
        "ball_psnr": psnr(ball_mse),
        "centroid_px": float(np.median(np.minimum(px, diagonal))) if len(px) else None,
        "missed": float(np.mean(np.isinf(px))) if len(px) else None,
        "balls": len(px),
    }


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else None


def psnr(mse: float | None) -> float | None:
    """Peak signal-to-noise ratio in dB of pictures in 0..1: infinite at 0, None of None."""
    if mse is None:
        return None
    return float("inf") if mse == 0 else float(-10.0 * np.log10(mse))


def tidy_rows(
    held_out: HeldOut, records: Mapping[str, Records], bins: Sequence[tuple[int, int]] | None = None
) -> list[dict[str, Any]]:
    """One row per mode, range of n and method, in this order, `n` = 'all' first.

    Args: `records` method -> `score_pictures`'; `bins` inclusive ranges of n, None for every n that occurs.
    """
    diagonal = float(np.hypot(*held_out.target.shape[1:3]))
    rows = []
    for mode in (FUTURE, VIEW, DIS):
        members = held_out.mode == mode
        present = sorted({int(n) for n in held_out.n[members]})
        groups = [("all", members)] if present else []
        if len(present) > 1:
            for low, high in bins or [(n, n) for n in present]:
                chosen = members & (held_out.n >= low) & (held_out.n <= high)
                if np.any(chosen):
                    groups.append((str(low) if low == high else f"{low}-{high}", chosen))
        for label, chosen in groups:
            for method, record in records.items():
                rows.append({"mode": MODES[mode], "n": label, "method": method, **summarise(record, chosen, diagonal)})
    return rows


def few_bins(n: np.ndarray, most: int = 5) -> list[tuple[int, int]]:
    """At most `most` inclusive ranges that hold about equally many of the distinct values of `n` each."""
    parts = np.array_split(np.unique(n), max(1, min(most, len(np.unique(n)))))
    return [(int(part[0]), int(part[-1])) for part in parts if len(part)]


class PredictionEvaluator:
    """`types.Evaluator` over a fixed held-out set: the model's errors beside the `BASELINES`', and a sheet of pictures.

    Names: `loss` (over all samples: "best" is chosen by it), `<mode>/<measure>` (its log's name ends with the method),
    `table` (rows by mode and range of n), `per_n` (by mode and every n), `<measure>_over_n` (of FUTURE), `pictures`,
    and, where there is a `sequence`, `future`, a film.
    """

    def __init__(
        self,
        held_out: HeldOut,
        predict: Callable[[PyTree, Mapping[str, np.ndarray]], Array],
        *,
        method: str = "O2T",
        batch: int = 16,
        num_pictures: int = 6,
        sequence: Mapping[str, np.ndarray] | None = None,
        fps: float = FILM_FPS,
    ) -> None:
        """`predict(state, batch)` -> pictures [B, H, W, 3] in 0..1; every call gets exactly `batch` samples.

        sequence: one sample's inputs with its target at each of T steps, arrays [T, ...]; shown as a film at `fps`.
        """
        self.held_out, self.method = held_out, method
        self._sequence, self._fps = sequence, fps
        self._predict, self._batch, self._num_pictures = predict, batch, num_pictures
        self._still = {name: score_pictures(held_out, make(held_out)) for name, make in BASELINES.items()}

    def predictions(self, state: PyTree) -> np.ndarray:
        """float32 [N, H, W, 3] in 0..1."""
        return self._predicted(state, self.held_out.batch, len(self.held_out.n))

    def _predicted(
        self, state: PyTree, rows_of: Callable[[np.ndarray], Mapping[str, np.ndarray]], count: int
    ) -> np.ndarray:
        found = in_batches(lambda rows: self._predict(state, rows_of(rows)), count, self._batch)
        return found.astype(np.float32)

    def __call__(self, state: PyTree) -> Iterator[tuple[str, Result]]:
        prediction = self.predictions(state)
        records = {self.method: score_pictures(self.held_out, prediction), **self._still}
        loss = {method: _loss(record) for method, record in records.items()}
        yield "loss", Score(loss.pop(self.method), baselines=loss, better="lower")
        rows = tidy_rows(self.held_out, records)
        for mode in dict.fromkeys(row["mode"] for row in rows):
            for name, better in SCALARS.items():
                values = {r["method"]: r[name] for r in rows if (r["mode"], r["n"]) == (mode, "all")}
                own = values.pop(self.method)
                if own is not None and np.isfinite(own):  # there is a ball, and something is wrong with the picture
                    score = Score(own, COLUMNS[name].unit, baselines=values, better=better, method=self.method)
                    yield f"{mode}/{name}", score
        future = self.held_out.n[self.held_out.mode == FUTURE]
        yield "table", self._table(tidy_rows(self.held_out, records, few_bins(future)))
        yield "per_n", self._table(rows)
        if len(np.unique(future)) > 1:
            for name in ("psnr", "centroid_px"):
                yield f"{name}_over_n", self._over_n(rows, name)
        chosen = pick_samples(self.held_out, self._num_pictures)
        caption = "held-out samples: two of the inputs, the target, the prediction and their difference"
        yield "pictures", Picture(sheet(self.held_out, prediction, chosen), caption)
        if self._sequence is not None:
            yield "future", self._film(state, self._sequence)

    def _film(self, state: PyTree, sequence: Mapping[str, np.ndarray]) -> Film:
        """Target and prediction of one sample, step by step."""
        count = len(sequence["n"])
        prediction = self._predicted(state, lambda rows: {k: v[rows] for k, v in sequence.items()}, count)
        target = sequence["pictures"][:, TARGET]
        columns = {
            "target": target,
            "prediction": prediction,
            "|difference|": np.abs(prediction - target.astype(np.float32) / 255.0),
        }
        frames = [
            picture_grid({name: stack[i : i + 1] for name, stack in columns.items()}, [f"n = {sequence['n'][i]}"])
            for i in range(count)
        ]
        return Film(np.stack(frames), self._fps, "one held-out sample, its target camera at step after step")

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> ScoreTable:
        names = tuple(self._still)
        return ScoreTable(COLUMNS, rows, baselines=names, better="lower", method=self.method, by=("mode", "n"))

    def _over_n(self, rows: Sequence[Mapping[str, Any]], name: str) -> ScoreCurve:
        """A measure of FUTURE over n, from `tidy_rows` of every n; NaN where no target shows a ball."""
        rows = [row for row in rows if row["mode"] == MODES[FUTURE] and row["n"] != "all"]
        values = {
            method: np.array([np.nan if row[name] is None else row[name] for row in rows if row["method"] == method])
            for method in (self.method, *self._still)
        }
        return ScoreCurve(
            np.unique([int(row["n"]) for row in rows]),
            values.pop(self.method),
            x_label="n",
            y_label=name,
            x_unit="steps",
            y_unit=COLUMNS[name].unit,
            baselines=values,
            better=SCALARS[name],
            method=self.method,
        )


def pick_samples(held_out: HeldOut, count: int) -> np.ndarray:
    """Indices of at most `count` samples: the modes in turn (FUTURE first), each spread over its n."""
    queues = []
    for mode in (FUTURE, VIEW, DIS):
        members = np.flatnonzero(held_out.mode == mode)
        members = members[np.argsort(held_out.n[members], kind="stable")]
        if len(members):
            spread = np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(int)
            # Every other one first, so that a short list still reaches from the smallest n to the largest.
            queues.append([int(m) for m in members[np.concatenate([spread[::-1][::2], spread[::-1][1::2]])]])
    chosen: list[int] = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    modes = held_out.mode[chosen]
    return np.array(chosen)[np.lexsort((held_out.n[chosen], -modes))] if chosen else np.array([], int)


def sheet(held_out: HeldOut, prediction: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """input | target | prediction | difference of the `chosen` samples: uint8 [h, w, 3]."""
    captions = [f"{MODES[held_out.mode[i]]}  k={held_out.k[i]}  n={held_out.n[i]}" for i in chosen]
    columns = {
        "PIC1": held_out.pictures[chosen, 0],
        "PIC3": held_out.pictures[chosen, 2],
        "target": held_out.target[chosen],
        "prediction": prediction[chosen],
        "|difference|": np.abs(prediction[chosen] - held_out.target[chosen].astype(np.float32) / 255.0),
    }
    return picture_grid(columns, captions)
