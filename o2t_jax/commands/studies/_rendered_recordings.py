"""One rendered recording from the film to a judgement: seen, followed and fitted as `experiments.recording` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.signal import lfilter

from o2t_jax.commands._recordings import FILM_CLOCK, Seen, Wanted, upright, view_of
from o2t_jax.data.recordings.background import find_background
from o2t_jax.data.recordings.rendered import SIZE, Recording, Stage
from o2t_jax.data.recordings.tracks import Track, find_tracks, noise_of, noises_of
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.analysis import Analysis, analyse
from o2t_jax.evaluation.recordings.fitting import fit, memory_of
from o2t_jax.evaluation.recordings.naming import NONE
from o2t_jax.evaluation.recordings.plane import View
from o2t_jax.evaluation.recordings.quantities import Clock, Scale, measure, points_scale
from o2t_jax.render.effects.camera import Camera

BITS = 0.25  # bit a pixel, of the usual film: 17 Mbit/s at 1920 x 1080 px and 30 frames/s have 0.27
OPEN = 0.2  # of the time between frames, the usual exposure
LEVELS = 2.0
CLOCK = Clock(FILM_CLOCK, "the frames' own time stamps")
# Of tracks without pictures, as sightings of the films here are: px along an axis, how many count as one, and how many
# of the first ones are off by how many times as much (the encoder starts).
SPREAD, MEMORIES, FIRST = (0.075, 0.13), (1.0, 1.0, 1.2, 1.6, 1.6, 1.8, 2.4, 2.7, 7.4), (3, 4.0)
STICK = 150.0  # px, of known length, each end read to 1 px, off by a further 0.5 %


def usual(step: float, **changes: Any) -> Camera:
    """The camera of all recordings: noise of 2 levels, open for a fifth of the time, H.264 with 0.25 bit a pixel."""
    camera = Camera(exposure=OPEN * step, noise=LEVELS, bits=BITS * SIZE**2 / step)
    return dataclasses.replace(camera, **changes)


# What the fit is not told of -> by its strength, the camera of a film. Strengths: the last one is called strong.
IMPERFECTIONS: dict[str, tuple[tuple[float, ...], Callable[[float, float], Camera]]] = {
    "noise, levels": ((4.0, 8.0, 16.0), lambda x, step: usual(step, noise=x)),
    "exposure, of a frame's time": ((0.5, 1.0), lambda x, step: usual(step, exposure=x * step)),
    "rolling shutter, of a frame's time": ((0.25, 0.5, 1.0), lambda x, step: usual(step, readout=x * step)),
    "distortion k1": ((-0.02, -0.05, -0.1), lambda x, step: usual(step, distortion=(x, 0.0, 0.0, 0.0, 0.0))),
    "H.264, bit a pixel": ((0.1, 0.05, 0.025), lambda x, step: usual(step, bits=x * SIZE**2 / step)),
    "frames left out, share": ((0.1, 0.3), lambda x, step: usual(step, dropped=x)),
    "frames shown twice, share": ((0.05, 0.1, 0.2), lambda x, step: usual(step, dropped=x, repeats=True)),
}


def followed(recording: Recording) -> Track:
    """The likeliest object's sightings. Raises: UsageError as the seeing does."""
    film = list(zip(recording.times, recording.frames, strict=True))
    return find_tracks(film, find_background(film))[0].kept()


def errors_of(track: Track, recording: Recording) -> np.ndarray:
    """[T, 2] px, sightings less the true path."""
    at = np.argmin(np.abs(recording.times[:, None] - track.times), axis=0)
    return track.points - recording.path[at]


def _view(track: Track) -> View | None:
    """As the command sets it, with the priors of tilt and shutter."""
    return view_of(track, Seen([track], (SIZE, SIZE), CLOCK, [], 0.0), Wanted())


def judged(recording: Recording, seed: tuple[int, ...], leads: bool = True) -> dict[str, Any]:
    """What the fit says of a recording, beside the truth.

    Scale and clock that it is given are off as their stated deviations say. `leads`: whether to find the lead in log
    evidence that the true form should have.
    """
    motion, rng = recording.stage.motion, np.random.default_rng((*seed, 2))
    result: dict[str, Any] = {"law": motion.law, "frames": len(recording.times), "verdict": "not seen", "intervals": []}
    try:
        track = followed(recording)
    except UsageError as error:
        return result | {"reason": str(error)}
    error = errors_of(track, recording)
    result |= {"sightings": len(track.times), "error_px": float(np.sqrt(np.mean(error**2)))}
    result |= {"error_memory": memory_of(error - error.mean(axis=0)), "error_mean_px": error.mean(axis=0).tolist()}
    given = _given(recording.stage, rng)
    times = track.times * (1 + FILM_CLOCK * rng.normal())
    points = upright(track.points, 90.0)
    jitter = noise_of(times, points)
    found = analyse(times, points, track.sigma, jitter, view=_view(track), scale=given, clock=CLOCK)
    if found is None:
        return result | {"verdict": NONE, "reason": "no form describes most of it"}
    result |= _told(found, _truth(recording.stage))
    if leads and motion.law in LAWS:
        rivals = set(found.part.naming.fits) | {motion.law}
        result["expected_lead"] = expected_lead(recording, track, error, rivals)
    return result


def judged_track(stage: Stage, times: np.ndarray, seed: tuple[int, ...]) -> dict[str, Any]:
    """The same for a track without pictures, whose form is known: a path with errors like those of sightings."""
    rng, law = np.random.default_rng((*seed, 3)), LAWS.get(stage.motion.law)
    memory = rng.choice(MEMORIES)
    tie = (memory - 1) / (memory + 1)  # a first-order process has this memory
    steps = rng.normal(0, rng.uniform(*SPREAD), (50 + len(times), 2))
    error = np.asarray(lfilter([np.sqrt(1 - tie**2)], [1.0, -tie], steps, axis=0))[50:]
    error[: FIRST[0]] *= FIRST[1]
    points, moments = stage.seen(times)[0] + error, times * (1 + FILM_CLOCK * rng.normal())
    given, ones = _given(stage, rng), np.ones(len(times))
    sigma = noises_of(moments, points)
    track = Track(moments, points, ones, ones, sigma, ones > 0, stage.radius, 1.0)
    found = fit(law, moments, upright(points, 90.0), sigma, view=_view(track))
    result: dict[str, Any] = {"law": law.name, "verdict": NONE if found is None else law.name, "candidates": []}
    result |= {"frames": len(times), "sightings": len(times), "error_px": float(np.sqrt(np.mean(error**2)))}
    result |= {"error_memory": memory_of(error - error.mean(axis=0)), "intervals": []}
    if found is not None:
        result |= {"rms_px": found.rms}
        result["intervals"] = _intervals(measure(found, given, CLOCK).parameters, _truth(stage))
    return result


def _given(stage: Stage, rng: np.random.Generator) -> Scale:
    """The scale by a stick, off as its stated deviation says."""
    stick = points_scale((0.0, 0.0, STICK, 0.0), STICK / stage.scale, 0.005)
    assert stick.metres_per_px is not None
    return dataclasses.replace(stick, metres_per_px=stick.metres_per_px * float(np.exp(stick.spread * rng.normal())))


def _truth(stage: Stage) -> dict[str, float]:
    """What is told of it: a slope is one in the picture."""
    truth = dict(stage.motion.truth)
    if "slope" in truth:
        truth["slope"] += float(np.degrees(stage.roll))
    return truth


def _intervals(parameters: Mapping[str, Mapping[str, Any]], truth: Mapping[str, float]) -> list[dict[str, Any]]:
    intervals = []
    for name, entry in parameters.items():
        if name in truth and entry["value"] is not None:
            true, high = float(truth[name]), entry["high"]
            holds = bool(entry["low"] <= true <= (np.inf if high is None else high))
            intervals.append({"quantity": name, "true": true, **entry, "holds": holds})
    return intervals


def _told(found: Analysis, truth: Mapping[str, float]) -> dict[str, Any]:
    naming = found.part.naming
    named = naming.named
    return {
        "verdict": naming.verdict,
        "nearest": naming.best.law.name,
        "candidates": list(naming.candidates),
        "reason": naming.reason,
        "parts": len(found.parts),
        "rms_px": naming.best.rms,
        "intervals": _intervals(found.part.measured.parameters, truth) if named else [],
    }


def expected_lead(recording: Recording, track: Track, error: np.ndarray, names: set[str]) -> float:
    """The lead in log evidence that the true form has on average over each form that does not contain it: all are
    fitted to the true path, and what they leave adds to the sightings' true errors. Infinite where no other fits."""
    law = LAWS.get(recording.stage.motion.law)
    at = np.argmin(np.abs(recording.times[:, None] - track.times), axis=0)
    clean, rows = upright(recording.path[at], 90.0), np.ones(len(at), bool)
    weight = (np.median(track.sigma) / track.sigma)[:, None]
    error = weight * (error - np.average(error, axis=0, weights=weight[:, 0] ** 2))
    sigma = float(np.std(error)) / weight[:, 0]
    count = 2 * len(at) / memory_of(error)
    score = {}
    for name in names:
        each = fit(LAWS.get(name), track.times, clean, sigma, rows, _view(track))
        if each is not None:
            left = float(np.mean(np.square(weight * each.residuals)))
            misfit = count * np.log(np.mean(error**2) + left) + each.penalty
            score[name] = 0.5 * (misfit + len(each.values) * np.log(count))
    own = score.pop(law.name, np.inf)
    others = [
        value
        for name, value in score.items()
        if law.name not in LAWS.get(name).contains and not (law.family and LAWS.get(name).family == law.family)
    ]
    return float(min(others, default=np.inf) - own)


def is_wrong(result: dict[str, Any]) -> bool:
    """Whether a form is named and the true one is ruled out."""
    return is_named(result) and not is_right(result) and result["law"] not in result["candidates"]


def is_right(result: dict[str, Any]) -> bool:
    """Whether the true form is named; where only its friction is open, whether it is among the candidates."""
    if result["verdict"] == result["law"]:
        return True
    if result["verdict"] not in LAWS or result["law"] not in LAWS:
        return False
    family = LAWS.get(result["law"]).family
    return bool(family and LAWS.get(result["verdict"]).family == family and result["law"] in result["candidates"])


def is_named(result: dict[str, Any]) -> bool:
    """Whether any form is."""
    return result["verdict"] in LAWS


def g_error(recording: Recording) -> float:
    """Relative error of g of a free flight whose scale, clock and form are known; NaN where it is not seen."""
    try:
        track = followed(recording)
    except UsageError:
        return float("nan")
    points = upright(track.points, 90.0)
    found = fit(LAWS.get("free flight"), track.times, points, track.sigma, view=_view(track))
    return np.nan if found is None else found.values[4] / recording.stage.scale / recording.stage.motion.truth["g"] - 1


__all__ = ["IMPERFECTIONS", "expected_lead", "g_error", "is_named", "is_right", "judged", "judged_track", "usual"]
