"""Windows of recordings: equal steps, no gap inside, and no row in two parts."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.data.recorded.recording import Recording, Track
from o2t_jax.data.recorded.windows import PARTS, cut_windows
from o2t_jax.errors import UsageError
from o2t_jax.physics.environment import Layout


def recording(*tracks: Track) -> Recording:
    layout = Layout(2, (0,), (1,), angles=(0,))
    return Recording("test", tracks, ("angle", "speed"), ("rad", "rad/s"), layout, step=0.1)


def counted(name: str = "a", rows: int = 100, gap: int | None = None) -> Track:
    """A track whose speed is the number of its row."""
    number = np.arange(rows)
    times = 0.1 * number + (0.1 * (number >= gap) if gap else 0.0)
    return Track(name, times, np.column_stack([5.0 + 0.3 * number, number]))


def test_parts_share_no_row_and_follow_each_other():
    parts = cut_windows(recording(counted()), 4, stride=2, hop=1)
    rows = {part: set(parts[part]["states"][..., 1].ravel().astype(int)) for part in PARTS}
    assert max(rows["train"]) < min(rows["validation"]) <= max(rows["validation"]) < min(rows["test"])
    assert parts["train"]["states"].shape[1:] == (5, 2)
    assert parts["train"]["actions"].shape == (len(parts["train"]["states"]), 4, 0)
    np.testing.assert_allclose(parts["test"]["dt"], 0.2, rtol=1e-6)
    np.testing.assert_array_equal(np.diff(parts["train"]["states"][..., 1], axis=1), 2)


def test_no_window_goes_over_a_gap():
    parts = cut_windows(recording(counted(gap=23)), 5, hop=1)
    first = parts["train"]["states"][:, 0, 1]
    assert not np.any((first < 23) & (first + 5 >= 23))
    assert {17, 23} <= set(first.astype(int)) and 18 not in first


def test_by_default_windows_share_no_row():
    states = cut_windows(recording(counted()), 4)["train"]["states"]
    assert len(np.unique(states[..., 1])) == states[..., 1].size


def test_angles_begin_within_one_turn_and_go_on():
    states = cut_windows(recording(counted()), 15)["train"]["states"]
    assert np.all(np.abs(states[:, 0, 0]) <= np.pi + 1e-6)
    np.testing.assert_allclose(np.diff(states[..., 0], axis=1), 0.3, atol=1e-5)


def test_whole_tracks_as_parts():
    tracks = {"train": ["a"], "validation": ["b"], "test": ["c"]}
    parts = cut_windows(recording(counted("a"), counted("b", 40), counted("c", 30)), 9, tracks=tracks)
    assert [len(parts[part]["states"]) for part in PARTS] == [10, 4, 3]


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ({"steps": 30}, "no window of 30 steps of 1 rows fits into part 'validation'"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 3, "shares": (0.5, 0.5, 0.5)}, "sum to 1"),
        ({"steps": 3, "tracks": {"train": ["a"]}}, "must name train, validation, test"),
        ({"steps": 3, "tracks": {"train": ["a"], "validation": ["a"], "test": ["a"]}}, "in two parts"),
        ({"steps": 3, "tracks": {"train": ["a"], "validation": ["x"], "test": ["y"]}}, "no track 'x'"),
    ],
)
def test_bad_requests_are_one_line(how, line):
    with pytest.raises(UsageError, match=line):
        cut_windows(recording(counted()), **how)
