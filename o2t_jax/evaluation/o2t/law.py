"""The law that a model learnt: its read-out, fits of the law's form with intervals, a fingerprint, a plot.

Everything here works on a `curve`, a function from heights z [m] to the downward acceleration g [m/s^2], so any
system that can name such a function can be read out; no model is known here.

Three numbers are easily mixed up. `g0_weight` is a weight of the network: the mean of g over the heights it met.
`g0` and `alpha` are the fit of g0 + alpha / (z + 10) to the curve over those heights; where the heights span too
little for a slope, `alpha` is None and `g0` is the curve's mean. The curve itself, `g_of_z`, is what was learnt.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import special

from o2t_jax.errors import UsageError
from o2t_jax.physics.gravity import LAWS
from o2t_jax.types import PyTree

Curve = Callable[[np.ndarray], np.ndarray]

LAW_KEYS = ("g0", "alpha", "g0_weight", "alpha_weights", "g_of_z", "z_visited", "step", "params_sha256")
MIN_SPAN_M = 5.0  # below this span of heights g0 and alpha cannot be distinguished
GRID_M = 0.1
MAX_GRID = 100_000

# Forms of `physics.gravity.LAWS` that are linear in their parameters, so that one least-squares solve fits them.
# `law_form` chooses between them.
FORMS = ("constant", "linear", "hyperbolic")


def design_matrix(form: str, z: np.ndarray) -> np.ndarray:
    """g of the law `form` at heights `z` [...] m, per unit of each of its P parameters: [..., P]."""
    law = LAWS[form]
    units = np.eye(len(law.names))
    return np.stack([law.g(z, unit) for unit in units], axis=-1)


class Fit(NamedTuple):
    """A form fitted to a curve. `covariance` and `half_width` are None where no noise was stated."""

    form: str
    names: tuple[str, ...]
    values: np.ndarray  # [P]
    covariance: np.ndarray | None  # [P, P]
    half_width: np.ndarray | None  # [P], of the interval at `level`
    level: float
    rms: float  # m/s^2, of the residuals at the fitted heights
    worst: float  # m/s^2, the largest residual

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """g at heights `z` [...] m."""
        return design_matrix(self.form, np.asarray(z, np.float64)) @ self.values

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Name -> (low, high) at `level`.

        Raises: ValueError where the fit was given no noise.
        """
        if self.half_width is None:
            raise ValueError("no interval: the fit was given neither `covariance` nor `noise`")
        return {
            n: (float(v - h), float(v + h)) for n, v, h in zip(self.names, self.values, self.half_width, strict=True)
        }


def fit_form(
    form: str,
    z: np.ndarray,
    g: np.ndarray,
    *,
    covariance: np.ndarray | None = None,
    noise: float | np.ndarray | str | None = None,
    level: float = 0.95,
) -> Fit:
    """Least-squares fit of one of `FORMS` to g [M] m/s^2 at heights z [M] m.

    Args:
      covariance: [M, M] of the errors of `g`. The fit stays unweighted (a curve's covariance is close to singular,
        so its inverse would be noise) and the errors are carried through it: A S A', A the pseudo-inverse.
      noise: standard deviation of independent errors of `g`, one number or [M] (then points weigh 1/noise^2), or
        'residual': one unknown deviation, estimated from the residuals, with Student's t. 'residual' suits scattered
        measurements only: what a smooth learnt curve is off by is no scatter, and its intervals would be too short.
      level: probability of the intervals.
    Raises: ValueError where arrays do not fit together, are not finite, or hold too few distinct heights.
    """
    names = LAWS[form].names
    z, g = np.asarray(z, np.float64), np.asarray(g, np.float64)
    if z.ndim != 1 or z.shape != g.shape:
        raise ValueError(f"z {z.shape} and g {g.shape} must be of one length")
    if not (np.all(np.isfinite(z)) and np.all(np.isfinite(g))):
        raise ValueError("z and g must be finite")
    if covariance is not None and noise is not None:
        raise ValueError("give `covariance` or `noise`, not both")
    design = design_matrix(form, z)
    if len(np.unique(z)) < len(names):
        raise ValueError(f"{len(names)} parameters need as many distinct heights, got {len(np.unique(z))}")

    weights = np.ones_like(z)
    if noise is not None and not isinstance(noise, str):
        sigma = np.broadcast_to(np.asarray(noise, np.float64), z.shape)
        if not np.all(sigma > 0):
            raise ValueError("noise must be positive")
        weights = 1.0 / sigma
    inverse = np.linalg.pinv(design * weights[:, None]) * weights[None, :]  # [P, M]: values = inverse @ g
    values = inverse @ g
    residual = g - design @ values

    spread = _parameter_covariance(inverse, residual, len(names), covariance, noise)
    half = None
    if spread is not None:
        tail = 0.5 * (1.0 + level)
        quantile = special.stdtrit(len(z) - len(names), tail) if isinstance(noise, str) else special.ndtri(tail)
        half = quantile * np.sqrt(np.diag(spread))
    rms, worst = float(np.sqrt(np.mean(residual**2))), float(np.max(np.abs(residual)))
    return Fit(form, names, values, spread, half, level, rms, worst)


def _parameter_covariance(
    inverse: np.ndarray,
    residual: np.ndarray,
    num_params: int,
    covariance: np.ndarray | None,
    noise: float | np.ndarray | str | None,
) -> np.ndarray | None:
    if covariance is not None:
        covariance = np.asarray(covariance, np.float64)
        if covariance.shape != (len(residual), len(residual)):
            raise ValueError(f"covariance {covariance.shape} must be {len(residual)} x {len(residual)}")
        return inverse @ covariance @ inverse.T
    if noise is None:
        return None
    if isinstance(noise, str):
        if noise != "residual":
            raise ValueError(f"noise must be a number, an array or 'residual', got {noise!r}")
        freedom = len(residual) - num_params
        if freedom < 1:
            raise ValueError(f"noise='residual' needs more than {num_params} points, got {len(residual)}")
        return inverse @ inverse.T * float(residual @ residual) / freedom
    sigma = np.broadcast_to(np.asarray(noise, np.float64), residual.shape)
    return (inverse * sigma**2) @ inverse.T


def fit_hyperbolic(z: np.ndarray, g: np.ndarray, **options: Any) -> Fit:
    """`fit_form` of g0 + alpha / (z + 10): `values` are (g0 m/s^2, alpha m^2/s^2)."""
    return fit_form("hyperbolic", z, g, **options)


def compare_forms(z: np.ndarray, g: np.ndarray, **options: Any) -> dict[str, Fit]:
    """Every form of `FORMS` fitted to the same curve; those with more parameters than heights are left out."""
    heights = len(np.unique(z))
    return {form: fit_form(form, z, g, **options) for form in FORMS if len(LAWS[form].names) <= heights}


def height_grid(z_visited: Sequence[float]) -> np.ndarray:
    """The multiples of 0.1 m within (low, high) [m]; their middle alone where there is none.

    Raises: UsageError where the range is empty, unbounded or NaN (nothing was visited, or the run diverged).
    """
    low, high = float(z_visited[0]), float(z_visited[1])
    if not (math.isfinite(low) and math.isfinite(high) and low <= high) or (high - low) / GRID_M > MAX_GRID:
        raise UsageError(
            f"visited heights [{low}, {high}] m are no range: the model has met no height yet, or has diverged; "
            "train it for some steps, or read an earlier step with --step"
        )
    tolerance = 1e-6  # a bound kept in float32 must not lose its own multiple of 0.1 m
    first, last = math.ceil(low / GRID_M - tolerance), math.floor(high / GRID_M + tolerance)
    if first > last:
        return np.array([0.5 * (low + high)])
    return np.round(np.arange(first, last + 1) * GRID_M, 10)


def params_sha256(params: PyTree) -> str:
    """SHA-256 over a pytree's leaves in the order of their names: name, dtype, shape and bytes of each.

    The same numbers give the same hash whatever the containers' kinds and order, in numpy or on a device.
    """
    leaves = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        keys = [str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path]
        leaves["\x1f".join(keys)] = np.asarray(leaf)
    digest = hashlib.sha256()
    for name in sorted(leaves):
        array = leaves[name]
        if array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        # JSON keeps the fields apart: no name can run into the dtype or shape that follows it.
        digest.update(json.dumps([name, array.dtype.name, list(array.shape)]).encode() + b"\n")
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def read_out(
    curve: Curve,
    z_visited: Sequence[float],
    g0_weight: float,
    alpha_weights: Sequence[float] | np.ndarray,
    step: int,
    params: PyTree,
    *,
    visits: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """The law as plain numbers, ready for JSON, with exactly the keys `LAW_KEYS`.

    Args:
      curve: heights z [M] m -> g [M] m/s^2, downwards positive.
      z_visited: (lowest, highest) height in m that the model met in training.
      g0_weight: the network's scalar weight, m/s^2; alpha_weights: its vector of weights.
      params: pytree whose fingerprint goes into `params_sha256`.
      visits: heights [M] m and how often each was met [M]; weighs the mean of g (all of `g_of_z` alike where None).
    Returns: `g0`, `alpha`: the unweighted fit of g0 + alpha / (z + 10) on `g_of_z`; where the heights span under
      5 m `alpha` is None and `g0` the mean of g over the visits. `g_of_z`: [[z, g], ...] every 0.1 m.
    Raises: UsageError where no height was visited, or the law is not finite.
    """
    z = height_grid(z_visited)
    g = np.asarray(curve(z), np.float64).reshape(z.shape)
    weights = np.asarray(alpha_weights, np.float64).reshape(-1)
    if not (np.all(np.isfinite(g)) and np.isfinite(g0_weight) and np.all(np.isfinite(weights))):
        raise UsageError(
            f"the law at step {int(step)} is not finite: the run diverged; read an earlier step with --step"
        )
    span = float(z_visited[1]) - float(z_visited[0])
    g0, alpha = float(np.mean(g)), None
    if visits is not None and np.sum(visits[1]) > 0:
        g0 = float(np.average(np.asarray(curve(visits[0]), np.float64), weights=np.asarray(visits[1], np.float64)))
    if span >= MIN_SPAN_M:
        g0, alpha = (float(v) for v in fit_hyperbolic(z, g).values)
    return {
        "g0": g0,
        "alpha": alpha,
        "g0_weight": float(g0_weight),
        "alpha_weights": weights.tolist(),
        "g_of_z": np.stack([z, g], axis=-1).tolist(),
        "z_visited": [float(z_visited[0]), float(z_visited[1])],
        "step": int(step),
        "params_sha256": params_sha256(params),
    }


def format_law(law: Mapping[str, Any], num_heights: int = 9) -> str:
    """The read-out as a few lines for a reader: g0, alpha, the curve, and how well each form fits it."""
    table = np.asarray(law["g_of_z"], np.float64)
    low, high = law["z_visited"]
    lines = [f"g0     {law['g0']:.4f} m/s²   (weight {law['g0_weight']:.4f})"]
    if law["alpha"] is None:
        lines.append(
            f"alpha  none: heights {low:.2f} to {high:.2f} m span under {MIN_SPAN_M:g} m; g0 is the mean of g(z)"
        )
    else:
        lines.append(f"alpha  {law['alpha']:.4f} m²/s²")
    lines.append(f"g(z)   over visited heights, {low:.2f} to {high:.2f} m:")
    shown = np.unique(np.linspace(0, len(table) - 1, min(num_heights, len(table))).round().astype(int))
    lines.append("  z [m]     " + " ".join(f"{table[i, 0]:8.1f}" for i in shown))
    lines.append("  g [m/s²]  " + " ".join(f"{table[i, 1]:8.4f}" for i in shown))
    lines.append("fits of g(z):")
    for fit in compare_forms(table[:, 0], table[:, 1]).values():
        values = ", ".join(f"{n} = {v:.4f}" for n, v in zip(fit.names, fit.values, strict=True))
        lines.append(f"  {fit.form:<11} {values}   (rms {fit.rms:.4f}, worst {fit.worst:.4f} m/s²)")
    lines.append(f"step {law['step']}, params_sha256 {law['params_sha256']}")
    return "\n".join(lines)
