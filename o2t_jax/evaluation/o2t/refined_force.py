"""A learned force beside g, with intervals: bundle adjustment of what a trained network measured in samples.

A sample of five pictures is a short flight: two eyes at t1, two at t2, a third camera at the target's time. In samples
that training never met, the network's mask tower and matting find the ball in all five; law, force and the balls'
states are fitted to those directions together (`bundle_adjustment`, `force_form`). The result is a second estimate
beside the weights, with the intervals that they lack. It uses no truth.

What the intervals have in them: the sightings' noise; errors that one sample's pictures share (they are the wider of
two, `force_form.wider`); errors of sightings that all pictures share, as far as they are smooth over the picture
(`self_calibration`). Not in them: errors of the cameras' poses, focal length and clock. The ball's radius is no part of
it: directions are of the ball's centre, and neither triangulation nor a flight knows a radius.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.o2t.bundle_adjustment import Tracks
from o2t_jax.evaluation.o2t.force_form import Verdict, decide, named_intervals
from o2t_jax.evaluation.o2t.refined_law import enough, trimmed_fit
from o2t_jax.evaluation.o2t.sights import BallRays, SightsBalls
from o2t_jax.geometry.camera import intrinsics_for, project, world_to_camera

FORM = "constant"
# A sighting is wrong beyond so many deviations. The noise is not alike in all pictures: to cut its tail would make the
# intervals too narrow.
_WRONG_SIGMAS = 10.0
# Fewer give no scatter to speak of.
_LEAST_SAMPLES = 10


def sample_tracks(network: SightsBalls, batch: Mapping[str, np.ndarray], size: int = 32) -> tuple[Tracks, np.ndarray]:
    """The samples' tracks as the network sees them, and which pictures [N, 5] it saw the ball in.

    Args: `batch` with `pictures` uint8 [N, 5, H, W, 3] and `para` [N, 5, 6]; `size`, samples at a time.
    """

    def sight(rows: np.ndarray) -> BallRays:
        return network.sight(batch["pictures"][rows], batch["para"][rows])

    para = batch["para"].astype(np.float64)
    found = in_batches(sight, len(para), size)
    position, rotation = para[..., 1:4], world_to_camera(para[..., 4], para[..., 5])
    height, width = batch["pictures"].shape[2:4]
    ahead = position + found.direction.astype(np.float64)
    pixels, _ = project(ahead, position, rotation, intrinsics_for(height, width))
    seen = found.seen & np.all(np.isfinite(pixels), axis=-1)
    return Tracks(np.where(seen[..., None], pixels, 0.0), para[..., 0], position, para[..., 4], para[..., 5]), seen


def refine_force(network: SightsBalls, batch: Mapping[str, np.ndarray], force: str, level: float = 0.95) -> Verdict:
    """Whether `force` acts, and its parameters beside a constant g0, from samples; for the arguments `sample_tracks`.

    Raises: UsageError where the network sees the ball in too few of them.
    """
    tracks, seen = sample_tracks(network, batch)
    intrinsics = intrinsics_for(*batch["pictures"].shape[2:4])
    found = len(seen), seen.size
    valid = enough(seen, np.full(len(seen), seen.shape[1]), tracks)
    if valid.any(axis=1).sum() >= _LEAST_SAMPLES:
        _, valid, _ = trimmed_fit(tracks, intrinsics, valid, level, found, None, FORM, force, _WRONG_SIGMAS)
    used = valid.any(axis=1)
    if used.sum() < _LEAST_SAMPLES:
        raise UsageError(
            f"of {found[0]} samples the network sees the ball well in {int(used.sum())}, and a force with an interval "
            f"needs {_LEAST_SAMPLES}: train longer, or raise --config.force_samples"
        )
    chosen = Tracks(*(field[used] for field in tracks))
    weights = valid[used].astype(np.float64)
    return decide(chosen, intrinsics, force=force, form=FORM, weights=weights, shared_errors=True)


def record_of(verdict: Verdict) -> dict[str, Any]:
    """Plain numbers for JSON."""
    fit, without = verdict.with_force, verdict.without
    intervals = named_intervals(fit, verdict.half_width)
    return {
        "parameters": {
            name: dict(zip(("value", "low", "high"), found, strict=True)) for name, found in intervals.items()
        },
        "without": dict(zip(without.names, without.values.tolist(), strict=True)),
        "present": verdict.present,
        "lead": verdict.lead,
        "level": fit.level,
        "samples": len(fit.states),
        "noise_px": fit.noise,
    }


__all__ = ["FORM", "record_of", "refine_force", "sample_tracks"]
