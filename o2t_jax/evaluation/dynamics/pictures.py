"""Predicted pictures judged: errors over the horizon beside rows that learn nothing, and results to show.

Pictures are floats 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from o2t_jax.evaluation.dynamics import objects
from o2t_jax.evaluation.dynamics.frequency import fit_oscillation, main_axis
from o2t_jax.evaluation.dynamics.objects import Background
from o2t_jax.evaluation.dynamics.rollouts import valid_times
from o2t_jax.results import Film, Picture, Result, Scalar, Score, ScoreCurve

Pictures = Float[np.ndarray, "batch steps height width channels"]
BySteps = Float[np.ndarray, " steps"]
Measure = Callable[[Pictures, Pictures], BySteps]
SHOWN = 4  # sequences in a film
ENLARGED = 4
FIRST = 1  # horizons up to this one are reported, and not part of the aim
_C1, _C2 = 0.01**2, 0.03**2
_TINY = 1e-10


def mse(predicted: Pictures, truth: Pictures) -> BySteps:
    """Mean squared error at each step."""
    return np.mean(np.square(predicted - truth), axis=(0, 2, 3, 4))


def mae(predicted: Pictures, truth: Pictures) -> BySteps:
    """Mean absolute error at each step."""
    return np.mean(np.abs(predicted - truth), axis=(0, 2, 3, 4))


def psnr(predicted: Pictures, truth: Pictures) -> BySteps:
    """10 log10(1 / MSE of a picture) dB, mean over pictures of a step."""
    each = np.mean(np.square(predicted - truth), axis=(2, 3, 4))
    return np.mean(-10.0 * np.log10(np.maximum(each, _TINY)), axis=0)


def ssim(predicted: Pictures, truth: Pictures) -> BySteps:
    """Structural similarity (Wang et al. 2004), 11 x 11 Gaussian window of 1.5 px, mean over pictures of a step."""

    def smooth(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, (0, 0, 1.5, 1.5, 0), truncate=3.5)

    a, b = smooth(predicted), smooth(truth)
    variances = smooth(np.square(predicted)) - a * a + smooth(np.square(truth)) - b * b
    covariance = smooth(predicted * truth) - a * b
    each = (2.0 * a * b + _C1) * (2.0 * covariance + _C2) / ((a * a + b * b + _C1) * (variances + _C2))
    return np.mean(each, axis=(0, 2, 3, 4))


MEASURES: dict[str, tuple[Measure, Literal["lower", "higher"], str]] = {
    "mse": (mse, "lower", ""),
    "mae": (mae, "lower", ""),
    "psnr": (psnr, "higher", "dB"),
    "ssim": (ssim, "higher", ""),
}


def idle_rows(context: Pictures, mean: Background, background: Background, steps: int) -> dict[str, Pictures]:
    """Predictions of so many steps that learn nothing of motion, from `context`, by name."""
    shape = (len(context), steps, *context.shape[2:])
    return {
        "copy last": np.broadcast_to(context[:, -1:], shape),
        "mean frame": np.broadcast_to(mean, shape),
        "moved on": objects.moved_on(context, background, steps),
    }


def judge(
    predicted: Pictures, truth: Pictures, rows: Mapping[str, Pictures], background: Background, dt: float
) -> Iterator[tuple[str, Result]]:
    """Results of predictions 1, 2, ... steps ahead; `rows` as `idle_rows`."""
    steps = np.arange(1, truth.shape[1] + 1)
    for name, (measure, better, unit) in MEASURES.items():
        idle = {row: measure(pictures, truth) for row, pictures in rows.items()}
        ours = measure(predicted, truth)
        axes = ("steps ahead", name, "", unit)
        yield f"{name}_over_horizon", ScoreCurve(steps, ours, None, None, *axes, baselines=idle, better=better)
        if name == "mse":
            means = {row: float(np.mean(y[FIRST:])) for row, y in idle.items()}
            yield "mse", Score(float(np.mean(ours[FIRST:])), baselines=means, better="lower")
            worst = np.max(ours[FIRST:] / np.min(np.stack(list(idle.values())), axis=0)[FIRST:])
            yield "worst_ratio", Scalar(float(worst))
    there = {row: objects.found(pictures, truth, background) for row, pictures in rows.items()}
    share = objects.found(predicted, truth, background)
    yield (
        "found",
        Score(
            100.0 * float(np.mean(share)),
            "%",
            baselines={name: 100.0 * float(np.mean(x)) for name, x in there.items()},
            better="higher",
        ),
    )
    miss = {
        row: np.nanmean(objects.distances(x, truth, background), axis=0) for row, x in rows.items() if "mean" not in row
    }
    ours = np.nanmean(objects.distances(predicted, truth, background), axis=0)
    axes = ("steps ahead", "distance of centroids", "", "px")
    yield "centroid_over_horizon", ScoreCurve(steps, ours, None, None, *axes, baselines=miss, better="lower")
    yield (
        "centroid",
        Score(
            float(np.mean(ours)), "px", baselines={row: float(np.mean(x)) for row, x in miss.items()}, better="lower"
        ),
    )


def judge_long(
    predicted: Pictures, truth: Pictures, context: Pictures, background: Background, limit: float, dt: float
) -> Iterator[tuple[str, Result]]:
    """Valid prediction time (centroid within `limit` px), MSE and found share of long rollouts after `context`."""
    still = np.broadcast_to(context[:, -1:], truth.shape)
    far = {
        "copy last": objects.distances(still, truth, background),
        "moved on": objects.straight_on(context, truth, background),
    }
    idle = {name: float(np.mean(valid_times(x, limit, dt))) for name, x in far.items()}
    ours = valid_times(objects.distances(predicted, truth, background), limit, dt)
    yield "valid_time", Score(float(np.mean(ours)), "s", baselines=idle, better="higher")
    yield "found_long", Scalar(100.0 * float(np.mean(objects.found(predicted, truth, background))), "%")


def frequencies(
    predicted: Pictures, truth: Pictures, background: Background, dt: float
) -> dict[str, float | int | None]:
    """Frequencies of rollouts without pushes, from a fit to the centroid's path in predicted and in true pictures.

    Returns: `predicted` and `true`, medians over sequences, rad/s; `error`, the median of |predicted / true - 1|;
    `bias`, that of predicted / true - 1; `fitted`, how many sequences could be fitted. None where none could.
    """
    threshold = objects.threshold_of(truth, background)
    ours, real = (objects.centroids(x, background, threshold) for x in (predicted, truth))
    axis, time = main_axis(real), dt * np.arange(truth.shape[1])
    pairs = []
    for one, other in zip(ours @ axis, real @ axis, strict=True):
        fit, true = fit_oscillation(time, one), fit_oscillation(time, other)
        if fit is not None and true is not None:
            pairs.append((fit.frequency, true.frequency))
    if not pairs:
        return {"predicted": None, "true": None, "error": None, "bias": None, "fitted": 0}
    found, true = np.transpose(pairs)
    return {
        "predicted": float(np.median(found)),
        "true": float(np.median(true)),
        "error": float(np.median(np.abs(found / true - 1.0))),
        "bias": float(np.median(found / true - 1.0)),
        "fitted": len(pairs),
    }


def film(predicted: Pictures, truth: Pictures, dt: float) -> Film:
    """Truth, prediction and error in rows, `SHOWN` sequences side by side."""
    return Film(_sheet(predicted, truth), 1.0 / dt, "truth, prediction, error")


def strip(predicted: Pictures, truth: Pictures, count: int = 10) -> Picture:
    """Truth, prediction and error of the first sequence in rows, `count` times side by side."""
    chosen = np.linspace(0, truth.shape[1] - 1, min(count, truth.shape[1])).round().astype(int)
    frames = _sheet(*(np.swapaxes(x[:1, chosen], 0, 1) for x in (predicted, truth)), most=count)
    return Picture(frames[0], f"truth, prediction, error of steps {', '.join(str(i + 1) for i in chosen)}")


def _sheet(predicted: np.ndarray, truth: np.ndarray, most: int = SHOWN) -> np.ndarray:
    """uint8 [T, 3 H, n W, 3], enlarged."""
    rows = []
    for pictures in (truth, predicted, np.abs(predicted - truth)):
        side = np.concatenate(list(pictures[:most]), axis=2)
        rows.append(np.broadcast_to(side, (*side.shape[:3], 3)) if side.shape[-1] == 1 else side)
    sheet = np.round(255.0 * np.clip(np.concatenate(rows, axis=1), 0.0, 1.0)).astype(np.uint8)
    return sheet.repeat(ENLARGED, axis=1).repeat(ENLARGED, axis=2)


__all__ = ["MEASURES", "film", "frequencies", "idle_rows", "judge", "judge_long", "mae", "mse", "psnr", "ssim", "strip"]
