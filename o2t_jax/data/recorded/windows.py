"""Windows of equal steps cut from a recording, to train on and to test with: no simulator, no environment.

A split is by contiguous blocks of time in each track, or by whole tracks. No window crosses a border or a gap, so no
row is in two parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from o2t_jax.data.recorded.recording import Recording
from o2t_jax.errors import UsageError

PARTS = ("train", "validation", "test")
SHARES = (0.6, 0.2, 0.2)
_UNEVEN = 0.1  # the share of a step by which a time stamp may be off

Parts = dict[str, dict[str, np.ndarray]]


def cut_windows(
    recording: Recording,
    steps: int,
    *,
    stride: int = 1,
    hop: int | None = None,
    tracks: Mapping[str, Sequence[str]] | None = None,
    shares: tuple[float, float, float] = SHARES,
) -> Parts:
    """Part -> "states" float32 [B, steps + 1, D], "actions" [B, steps, 0], "dt" [B] in the recording's clock.

    Args: `steps` of a window, each of `stride` rows; `hop`, rows between the starts of two windows, by default a whole
    window, so that windows share no row; `tracks`, part -> names of tracks that belong to it alone; without it each
    track is cut at `shares` of its time into train, validation and test, in that order. Angles begin in [-pi, pi) and
    go on without a jump. Raises: UsageError where a part has no window, or a track or part is unknown.
    """
    if steps < 1 or stride < 1 or (hop is not None and hop < 1):
        raise UsageError(f"windows need steps={steps}, stride={stride} and hop={hop} of at least 1")
    found: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
    for part, times, states in _parts(recording, tracks, shares):
        found[part] += _windows(times, states, recording, steps, stride, hop or steps * stride + 1)
    result = {}
    for part, windows in found.items():
        if not windows:
            raise UsageError(
                f"recording {recording.name}: no window of {steps} steps of {stride} rows fits into part {part!r}: "
                "ask for fewer steps"
            )
        count = len(windows)
        result[part] = {
            "states": np.stack(windows).astype(np.float32),
            "actions": np.zeros((count, steps, 0), np.float32),
            "dt": np.full(count, recording.step * stride, np.float32),
        }
    return result


def _parts(
    recording: Recording, tracks: Mapping[str, Sequence[str]] | None, shares: tuple[float, float, float]
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(part, times, states) of each piece that belongs to one part."""
    if tracks is not None:
        if set(tracks) != set(PARTS):
            raise UsageError(f"a split by tracks names {', '.join(tracks)}: it must name {', '.join(PARTS)}")
        named = [name for names in tracks.values() for name in names]
        if len(named) != len(set(named)):
            raise UsageError(f"a track is in two parts of the split of {recording.name}: {', '.join(sorted(named))}")
        chosen = [(part, recording.track(name)) for part, names in tracks.items() for name in names]
        return [(part, track.times, track.states) for part, track in chosen]
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"shares={shares} of train, validation and test must be above 0 and sum to 1")
    pieces = []
    for track in recording.tracks:
        span = track.times[-1] - track.times[0]
        borders = track.times[0] + span * np.cumsum(shares)[:-1]
        rows = np.split(np.arange(len(track.times)), np.searchsorted(track.times, borders))
        pieces += [(part, track.times[own], track.states[own]) for part, own in zip(PARTS, rows, strict=True)]
    return pieces


def _windows(
    times: np.ndarray, states: np.ndarray, recording: Recording, steps: int, stride: int, hop: int
) -> list[np.ndarray]:
    """Windows [steps + 1, D] without a gap."""
    reach, found, first = steps * stride, [], 0
    even = np.abs(np.diff(times) / recording.step - 1) <= _UNEVEN
    while first + reach < len(times):
        gaps = np.flatnonzero(~even[first : first + reach])
        if len(gaps):
            first += int(gaps[-1]) + 1
            continue
        window = np.array(states[first : first + reach + 1 : stride], np.float64)
        angles = list(recording.layout.angles)
        window[:, angles] -= 2 * np.pi * np.floor((window[0, angles] + np.pi) / (2 * np.pi))
        found.append(window)
        first += hop
    return found


__all__ = ["PARTS", "SHARES", "Parts", "cut_windows"]
