"""experiments.recording says how far it is: per cent and remaining time of every step whose length is known."""

from __future__ import annotations

import io

import numpy as np
import pytest

from o2t_jax.commands import _recording_progress
from o2t_jax.commands._recordings import Wanted, fit_objects, see
from o2t_jax.data.recorded.film import Film
from o2t_jax.training import progress
from tests.recording_films import write_film


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_step_has_per_cent_and_the_time_that_its_rate_leaves(clock):
    eta = progress.Eta()
    assert _recording_progress.told("following", 0, 120, eta) == "following 0/120 · 0 %"
    clock[0] += 2.0
    assert _recording_progress.told("following", 30, 120, eta) == "following 30/120 · 25 % · ETA 0:06"
    assert _recording_progress.told("reading", 30, 0, eta) == "reading 30"
    assert _recording_progress.told("reading", 31, 30, eta) == "reading 31", "a header that states too few frames"


def test_in_a_pipe_each_step_has_its_line_and_a_long_one_one_more_every_ten_seconds(clock, monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    tell = _recording_progress.StepProgress()
    for count in range(1, 41):
        tell("following", count, 40)
        clock[0] += 0.5
    tell("fitting objects", 0, 1)
    lines = written.getvalue().splitlines()
    assert lines == [
        "following 1/40 · 2 %",
        "following 21/40 · 52 % · ETA 0:10",
        "fitting objects 0/1 · 0 %",
    ]


def test_on_a_terminal_a_step_ends_at_its_hundred_per_cent(clock, monkeypatch):
    """Although the last counts come faster than the line is drawn."""
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", written)
    tell = _recording_progress.StepProgress()
    for count in range(1, 4):
        tell("following", count, 3)
        clock[0] += 0.01
    tell("fitting objects", 0, 1)
    assert [line.rpartition("\x1b[K")[2] for line in written.getvalue().split("\n")] == [
        "following 3/3 · 100 % · ETA 0:00",
        "fitting objects 0/1 · 0 %",
    ]


def test_the_second_reading_knows_its_length(tmp_path):
    """Every count of every step, and that a step ends at its own total."""
    still = np.full((48, 64, 3), 90, np.uint8)
    frames = np.repeat(still[None], 16, axis=0)
    for k in range(16):
        frames[k, 18:28, 3 * k + 2 : 3 * k + 12] = 230
    heard: dict[str, list[tuple[int, int]]] = {}
    film = Film(write_film(tmp_path / "film.mp4", frames, 25))
    tell = lambda what, count, total: heard.setdefault(what, []).append((count, total))  # noqa: E731
    fit_objects(see(film, tell), Wanted(register=False), tell)
    assert heard["following"] == [(k, 16) for k in range(1, 17)]
    assert [count for count, _ in heard["reading"]] == list(range(1, 17))
    assert {total for _, total in heard["reading"]} <= {0, 16}
    done, total = heard["fitting objects"][-1]
    assert heard["fitting objects"][0] == (0, total) and done == total >= 1
