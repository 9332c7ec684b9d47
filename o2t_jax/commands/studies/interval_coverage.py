"""Coverage of the law's 95% intervals in state space, without pictures or network.

    python -m experiments.studies.interval_coverage --sims=400 --json=-

Each simulation draws a law (g0 ~ U(9, 10), alpha ~ U(-10, 10)) and tracks. A ball between 0 and 20 m is seen by two
cameras 5 m apart, 6 m away, at the start and in the middle of a contact-free flight of 0.6 to 1.2 s, and by a third one
within 30 degrees to the side at its end. Pixels get Gaussian noise. `evaluation.o2t.bundle_adjustment` fits law and
states and gives intervals. Cameras aim at the true flight with an error of 0.3 m, since only the intervals are tested.
A simulation of 100 tracks takes about 0.1 s; expected coverage: 92 to 98% of 400.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.bundle_adjustment import Tracks, fit_tracks, fly
from o2t_jax.evaluation.o2t.law import design_matrix
from o2t_jax.evaluation.writers.console import report
from o2t_jax.geometry.camera import intrinsics_for, look_at, project, world_to_camera

FORM = "hyperbolic"
HEIGHTS = (0.0, 10.0, 20.0)
DISTANCE_M, AIM_ERROR_M = 6.0, 0.3
HALF_BASE_RAD = float(np.arcsin(2.5 / DISTANCE_M))


@dataclasses.dataclass(frozen=True)
class Study:
    """`tracks` per simulation; `noise` in px for pictures of `size` px, vertical field of view 60 degrees."""

    sims: int
    tracks: int
    noise: float
    size: int
    level: float = 0.95
    seed: int = 0


def draw_tracks(rng: np.random.Generator, law: np.ndarray, study: Study, form: str = FORM) -> Tracks:
    """Tracks of one simulated world, `law` of `form`: left and right at t1 and t2, a third camera at the end."""
    count = study.tracks
    duration = rng.uniform(0.6, 1.2, count)
    rise = rng.uniform(-2.0, 6.0, count)
    level = rng.uniform(-1.0, 1.0, (count, 4))
    # Flights end above the ground: start and end both count as heights visited.
    lowest = np.maximum(0.0, 5.0 * duration**2 - rise * duration)
    height = rng.uniform(lowest, 20.0)
    states = np.stack([level[:, 0], level[:, 1], height, level[:, 2], level[:, 3], rise], axis=-1)
    times = np.outer(duration, (0.0, 0.0, 0.5, 0.5, 1.0))
    points = fly(states, form, law, times)

    early = 0.5 * (points[:, 0] + points[:, 2]) + rng.normal(0, AIM_ERROR_M, (count, 3))
    late = points[:, 4] + rng.normal(0, AIM_ERROR_M, (count, 3))
    aim = np.stack([early, early, early, early, late], axis=1)
    heading = rng.uniform(0, 2 * np.pi, count)
    aside = rng.uniform(-np.pi / 6, np.pi / 6, count)
    turn = np.tile([-HALF_BASE_RAD, HALF_BASE_RAD, -HALF_BASE_RAD, HALF_BASE_RAD, 0.0], (count, 1))
    turn[:, 4] = aside
    angle = heading[:, None] + turn
    position = aim + DISTANCE_M * np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    azimuth, elevation = look_at(position, aim)
    pixels, _ = project(points, position, world_to_camera(azimuth, elevation), intrinsics_for(study.size, study.size))
    return Tracks(pixels + rng.normal(0, study.noise, pixels.shape), times, position, azimuth, elevation)


def run_study(study: Study) -> dict[str, Any]:
    """Coverage of g0, alpha and g at some heights; the same study gives the same numbers."""
    intrinsics = intrinsics_for(study.size, study.size)
    design = design_matrix(FORM, np.asarray(HEIGHTS))
    grid = design_matrix(FORM, np.arange(0.0, 20.01, 0.1))
    hits, errors, widths, noises, scores, converged = [], [], [], [], [], 0
    for sim in range(study.sims):
        rng = np.random.default_rng((study.seed, sim))
        law = np.array([rng.uniform(9, 10), rng.uniform(-10, 10)])
        fit = fit_tracks(draw_tracks(rng, law, study), intrinsics, FORM, level=study.level)
        quantile = fit.half_width[0] / np.sqrt(fit.covariance[0, 0])
        of_g = quantile * np.sqrt(np.einsum("zi,ij,zj->z", design, fit.covariance, design))
        error = np.concatenate([fit.values - law, design @ (fit.values - law)])
        half = np.concatenate([fit.half_width, of_g])
        hits.append(np.abs(error) <= half)
        errors.append(error)
        widths.append(half)
        noises.append(fit.noise)
        scores.append(np.mean(np.abs(grid @ (fit.values - law))))
        converged += fit.converged
    names = ["g0", "alpha", *(f"g({z:g} m)" for z in HEIGHTS)]

    def named(values: np.ndarray) -> dict[str, float]:
        return dict(zip(names, values.tolist(), strict=True))

    return {
        **dataclasses.asdict(study),
        "converged": converged,
        "coverage": named(np.mean(hits, axis=0)),
        "rms_error": named(np.sqrt(np.mean(np.square(errors), axis=0))),
        "bias": named(np.mean(errors, axis=0)),
        "mean_half_width": named(np.mean(widths, axis=0)),
        "noise_estimate_px": float(np.mean(noises)),
        "mean_abs_dg": float(np.mean(scores)),
    }


def format_study(result: dict[str, Any]) -> str:
    """The result as a text table."""
    lines = [
        f"{result['sims']} simulations of {result['tracks']} tracks, {result['noise']} px at {result['size']} px "
        f"(estimated {result['noise_estimate_px']:.4f}); {result['converged']} converged",
        f"{'':<10}{'covered':>9}{'rms error':>11}{'bias':>10}{'half width':>12}",
    ]
    for name, share in result["coverage"].items():
        numbers = result["rms_error"][name], result["bias"][name], result["mean_half_width"][name]
        lines.append(f"{name:<10}{share:>9.1%}{numbers[0]:>11.4f}{numbers[1]:>10.4f}{numbers[2]:>12.4f}")
    lines.append(f"mean |dg| over 0 to 20 m: {result['mean_abs_dg']:.4f} m/s²")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(cover, argv, doc=__doc__ or "", define=_define, with_config=False)


def cover(arguments: _cli.Arguments) -> int:
    """Runs one study, prints its table and writes its numbers."""
    values = arguments.flags
    study = Study(values.sims, values.tracks, values.noise, values.size, values.level, values.seed)
    result = run_study(_checked(study))
    report(format_study(result), result, values.json)
    return 0


def _define(values: flags.FlagValues) -> None:
    for name, default, text in (("sims", 400, "simulations"), ("tracks", 100, "tracks in each")):
        flags.DEFINE_integer(name, default, text, flag_values=values)
    flags.DEFINE_float("noise", 0.12, "deviation of a pixel coordinate, px", flag_values=values)
    flags.DEFINE_integer("size", 512, "height of the pictures, px", flag_values=values)
    flags.DEFINE_float("level", 0.95, "probability of the intervals", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the random numbers", flag_values=values)
    flags.DEFINE_string("json", None, "file for the numbers; - is standard output", flag_values=values)


def _checked(study: Study) -> Study:
    for name, least in (("sims", 1), ("tracks", 1), ("size", 1), ("noise", 0.0), ("seed", 0)):
        if not getattr(study, name) >= least:
            raise UsageError(f"--{name}={getattr(study, name)} must be at least {least}")
    if not 0 < study.level < 1:
        raise UsageError(f"--level={study.level} must be between 0 and 1")
    return study


if __name__ == "__main__":
    sys.exit(main())
