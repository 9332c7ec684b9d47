"""The audit passes lawful tracks, and names the check that a tampered one fails."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.commands.studies._audit_clips import KINDS, clip_of
from o2t_jax.data.recordings.tracks import noise_of
from o2t_jax.evaluation.recordings.audit import CHECKS
from o2t_jax.evaluation.recordings.audit.finding import Band, Finding, worst
from o2t_jax.evaluation.recordings.audit.report import audit

SEED = 11
BAND = Band(0.8, 1.25, 0.6, 1.67)


def audited(number, tampered):
    clip = clip_of(number, tampered, SEED)
    points = clip.noisy() * (1.0, -1.0)
    return clip, audit(clip.times, points, noise_of(clip.times, points))


def failed(told):
    return {each["check"] for each in told["checks"] if each["verdict"] == "fails"}


@pytest.mark.parametrize("number", range(4))
def test_a_lawful_motion_passes(number):
    clip, told = audited(number, False)
    assert clip.kind == KINDS[number] and told["verdict"] == "pass", told
    assert told["kind"] == ("flights" if clip.kind in ("bounce", "throw") else "swings")
    for each in told["checks"]:
        assert each["verdict"] != "fails" and (np.isnan(each["value"]) or each["low"] <= each["value"] <= each["high"])


@pytest.mark.parametrize(
    ("number", "checks"),
    [
        (0, {"constancy of acceleration within a flight", "acceleration between flights"}),  # g halved in a bounce
        (1, {"restitution by speeds", "energy from flight to flight"}),  # e above 1
        (3, {"constancy of acceleration within a flight", "restoring force within the clip"}),  # g halved in a throw
        (5, {"constancy of acceleration within a flight", "restitution by speeds"}),  # a throw, time stretched
        (8, {"restoring force within the clip", "period against amplitude"}),  # a pendulum, time stretched
    ],
)
def test_a_tampered_motion_fails_where_it_was_tampered_with(number, checks):
    clip, told = audited(number, True)
    assert clip.tamper and told["verdict"] == "fails", (clip.kind, clip.tamper, told)
    assert failed(told) & checks, (clip.kind, clip.tamper, failed(told))
    assert told["why"]


def test_restitution_is_that_of_the_bounces_by_speeds_and_by_times():
    clip, told = audited(16, False)  # a bounce with two whole flights
    numbers = {each["check"]: each for each in told["checks"]}
    assert clip.kind == "bounce"
    speeds, times = numbers["restitution by speeds"], numbers["restitution by flight times"]
    assert 0.6 < speeds["value"] < 0.95
    if np.isfinite(times["value"]):
        assert times["value"] == pytest.approx(speeds["value"], abs=0.05)
    assert numbers["energy from flight to flight"]["value"] < 0


def test_too_little_of_a_motion_cannot_be_told():
    times = np.arange(8) / 60
    told = audit(times, np.stack([times, -times], 1) * 100, 0.1)
    assert told["verdict"] == "cannot tell" and "8 sightings" in told["why"]
    times = np.arange(60) / 60
    points = np.stack([100 * times, 20 * times], 1) + np.random.default_rng(0).normal(0, 0.1, (60, 2))
    assert audit(times, points, 0.1)["verdict"] == "cannot tell"  # uniform motion


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((1.0, 0.9, 1.1), "pass"),
        ((0.5, 0.4, 0.6), "fails"),
        ((1.0, 0.3, 1.7), "cannot tell"),
        ((np.nan,) * 3, "cannot tell"),
    ],
)
def test_a_verdict_is_of_the_interval(interval, verdict):
    assert Finding(*interval).verdict(BAND) == verdict


def test_the_worst_one_stands_for_all():
    good, wide, bad = Finding(1.0, 0.9, 1.1), Finding(1.2, 0.2, 2.2), Finding(0.5, 0.45, 0.55)
    assert worst([good, wide, bad], BAND, "").value == 0.5
    found = worst([good, wide], BAND, "")
    assert (found.value, found.told, found.count) == (1.0, 1, 2)
    assert worst([], BAND, "nothing").why == "nothing"
    assert len(CHECKS) == 10 and all(CHECKS[name].kind in ("flights", "swings") for name in CHECKS)
