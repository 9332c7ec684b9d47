"""From tracks of two discs to mass ratio, restitution and friction: intervals hold the truth, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.discs.contacts import Path, kinks
from o2t_jax.evaluation.discs.encounter import RATIO
from o2t_jax.evaluation.discs.inference import Findings, infer
from o2t_jax.evaluation.discs.pooled import pooled
from o2t_jax.evaluation.discs.sliding import displacement, fit_stretch, memory_of
from tests.disc_recordings import RATE, Collision, clock, noise


def paths_of(collision: Collision, times: np.ndarray, errors: np.ndarray) -> dict[str, Path]:
    places = collision.places(times) + errors
    return {"a": Path(times + 3.0, places[:, 0]), "b": Path(times + 3.0, places[:, 1])}


def found_in(collision: Collision, seed: int = 0, size: float = 0.05, before: int = 30, after: int = 50) -> Findings:
    times = clock(before, after)
    errors = noise(np.random.default_rng(seed), (len(times), 2, 2), size)
    return infer(paths_of(collision, times, errors), table=0.0)


def test_intervals_hold_the_truth_and_are_narrow():
    rng = np.random.default_rng(5)
    held = {"mass_ratio": [], "restitution": [], "friction": []}
    for i in range(40):
        truth = Collision(
            mass_ratio=float(np.exp(rng.uniform(-np.log(2), np.log(2)))),
            restitution=0.8,
            friction=float(rng.uniform(500, 1500)),
            offset=float(rng.uniform(-0.7, 0.7)),
            second=tuple(rng.uniform(-150, 150, 2)) if i % 2 else (0.0, 0.0),
        )
        times = clock(24, 36, rng.uniform(0, 1))
        errors = noise(rng, (len(times), 2, 2), 0.08, alike=0.3 * (i % 3 > 0))
        found = infer(paths_of(truth, times, errors), table=0.0)
        for name, held_here in held.items():
            value = found.parameters[name]
            held_here.append(value.low <= getattr(truth, name) <= value.high)
        assert found.meetings[0].time == pytest.approx(3.0, abs=0.3 / RATE)
        ratio = found.parameters["mass_ratio"]
        assert (ratio.high - ratio.low) / ratio.value < 0.15
    assert all(np.mean(of_one) >= 0.9 for of_one in held.values()), held


def test_a_wrong_ratio_is_outside():
    """The intervals hold the truth by being right, not by being wide."""
    found = found_in(Collision(mass_ratio=1.2))
    assert found.parameters["mass_ratio"].low > 1.1
    assert found.parameters["restitution"].high < 0.85


def test_equal_discs_that_meet_head_on_stop_one_of_them():
    """e = 1, equal masses: the first stands still, where its path depends on its velocity squared."""
    found = found_in(Collision(mass_ratio=1.0, restitution=1.0, offset=0.0, rubbing=0.0))
    ratio, restitution = found.parameters["mass_ratio"], found.parameters["restitution"]
    assert ratio.low <= 1 <= ratio.high and ratio.high - ratio.low < 0.05
    assert restitution.low <= 1 <= restitution.high and restitution.high - restitution.low < 0.05


def test_momentum_is_kept_and_the_edges_friction_is_seen():
    truth = Collision(mass_ratio=1.5, offset=0.6, rubbing=0.12)
    met = found_in(truth, size=0.01).meetings[0].as_dict()
    before, after = np.array(met["velocity_before"]), np.array(met["velocity_after"])
    np.testing.assert_allclose((after - before)[0], -met["mass_ratio"] * (after - before)[1], rtol=1e-6)
    assert met["tangential_over_normal_impulse"] == pytest.approx(0.12, abs=0.01)
    assert met["distance"] == pytest.approx(2 * truth.radius, abs=0.1)
    assert met["normal"] == pytest.approx([0.8, 0.6], abs=0.01)


def test_without_friction_it_is_none():
    friction = found_in(Collision(friction=0.0, speed=300.0)).parameters["friction"]
    assert friction.low == 0.0 and friction.high < 50


def test_discs_that_stay_together():
    restitution = found_in(Collision(restitution=0.0, offset=0.0, rubbing=0.0)).parameters["restitution"]
    assert restitution.low <= 0.0 <= restitution.high < 0.05


def test_several_collisions_of_a_pair_tell_more_together():
    rng = np.random.default_rng(2)
    truth, times = Collision(mass_ratio=0.7), clock(30, 40)
    parts = [truth.places(times) + noise(rng, (70, 2, 2), 0.08) for _ in range(3)]
    when = np.concatenate([times + 10.0 * i for i in range(3)])
    both = np.concatenate(parts)
    found = infer({"a": Path(when, both[:, 0]), "b": Path(when, both[:, 1])}, table=0.0)
    ratio = found.parameters["mass_ratio"]
    assert len(found.meetings) == 3 and ratio.low <= 0.7 <= ratio.high
    alone = [pooled([meeting.fit], RATIO) for meeting in found.meetings]
    widths = [one.high - one.low for one in alone if one is not None]
    assert len(widths) == 3 and np.log(ratio.high / ratio.low) < 0.75 * np.mean(widths)


def test_three_discs_are_told_pair_by_pair():
    """The second disc of one collision is the first of the next: a stretch ends where the next event begins."""
    rng, first, times = np.random.default_rng(3), Collision(mass_ratio=2.0), clock(30, 90)
    places = first.places(times)
    place, velocity = places[60, 1], (places[61, 1] - places[59, 1]) * RATE / 2
    second = Collision(mass_ratio=0.5, speed=float(np.hypot(*velocity)), at=(0.0, 0.0), offset=0.0)
    turn = np.array([velocity, [-velocity[1], velocity[0]]]) / np.hypot(*velocity)
    later = second.places(times - times[60]) @ turn + place
    third = later[:, 1]
    middle = np.where((np.arange(120) < 60)[:, None], places[:, 1], later[:, 0])
    three = np.stack([places[:, 0], middle, third], axis=1) + noise(rng, (120, 3, 2), 0.03)
    found = infer({name: Path(times, three[:, i]) for i, name in enumerate("abc")}, table=0.0)
    assert [meeting.ids for meeting in found.meetings] == [("a", "b"), ("b", "c")]
    for name, value in (("mass_ratio a-b", 2.0), ("mass_ratio b-c", 0.5), ("restitution b-c", 0.8)):
        assert found.parameters[name].low <= value <= found.parameters[name].high
    assert any("only a" in line for line in found.passed)


def test_scale_gives_the_coefficient_and_without_it_is_refused():
    truth = Collision(friction=1000.0)
    times = clock(30, 50)
    paths = paths_of(truth, times, noise(np.random.default_rng(0), (80, 2, 2), 0.05))
    without, metric = infer(paths), infer(paths, scale=0.0018)
    assert "metres" in without.refused["friction_coefficient"]
    value = metric.parameters["friction_coefficient"]
    assert value.low <= 1000 * 0.0018 / 9.80665 <= value.high and not metric.refused


def test_what_the_table_takes_widens_the_mass_ratio_alone():
    paths = paths_of(Collision(), clock(30, 50), noise(np.random.default_rng(0), (80, 2, 2), 0.02))
    narrow, wide = infer(paths, table=0.0).parameters, infer(paths, table=0.03).parameters
    assert narrow["restitution"] == wide["restitution"]
    half = np.hypot(np.log(narrow["mass_ratio"].high / narrow["mass_ratio"].value), 1.96 * 0.03)
    assert np.log(wide["mass_ratio"].high / wide["mass_ratio"].value) == pytest.approx(half, rel=1e-3)


def apart(times: np.ndarray) -> dict[str, Path]:
    along = np.column_stack([300 * times, np.zeros_like(times)])
    return {"a": Path(times, along), "b": Path(times, along * [-1, 1] + [40, 30])}


def at_a_wall(times: np.ndarray) -> dict[str, Path]:
    along = np.column_stack([300 * np.minimum(times, 0.4 - times), np.zeros_like(times)])
    return {"a": Path(times, along), "b": Path(times, np.tile([80.0, 0.0], (len(times), 1)))}


@pytest.mark.parametrize(
    ("make", "reason"), [(apart, "pass without touching"), (at_a_wall, "only a is seen to change")]
)
def test_no_collision_is_refused(make, reason):
    times = np.arange(100) / RATE
    errors = noise(np.random.default_rng(0), (2, 100, 2), 0.05)
    paths = {
        name: path._replace(places=path.places + error)
        for (name, path), error in zip(make(times).items(), errors, strict=True)
    }
    found = infer(paths)
    assert not found.parameters and not found.meetings
    assert set(found.refused) == {"mass_ratio", "restitution", "friction"}
    assert reason in found.refused["mass_ratio"]


def test_discs_that_turn_far_from_each_other_are_refused():
    """The radii say that they do not touch when their velocities change."""
    paths = paths_of(Collision(), clock(30, 50), noise(np.random.default_rng(0), (80, 2, 2), 0.05))
    paths = {name: path._replace(radius=4.0) for name, path in paths.items()}
    assert "2.25 times the sum of their radii" in infer(paths).refused["mass_ratio"]


def test_too_short_a_track_is_refused():
    found = found_in(Collision(), before=14, after=6)
    assert "disc a has 4 samples after it, at least 8" in found.refused["mass_ratio"]


def test_findings_are_json():
    record = found_in(Collision()).as_dict()
    assert set(record["parameters"]["mass_ratio"]) == {"value", "low", "high", "unit"}
    assert record["refused"] == [
        {"name": "friction_coefficient", "reason": "it needs the length of a unit of x in metres"}
    ]
    assert len(record["encounters"]) == 1 and len(record["encounters"][0]["stretches"]) == 4


def damaged(what: str) -> dict[str, Path]:
    paths = paths_of(Collision(), clock(30, 50), np.zeros((80, 2, 2)))
    one = paths["a"]
    if what == "nan":
        return paths | {"a": one._replace(places=np.where(np.arange(80)[:, None] == 3, np.nan, one.places))}
    if what == "back":
        return paths | {"a": one._replace(times=one.times[::-1])}
    return {"a": one} if what == "one" else paths | {"a": one._replace(places=one.places[:-1])}


@pytest.mark.parametrize(
    ("what", "line"),
    [("nan", "not finite"), ("back", "time does not increase"), ("one", "1 object"), ("cut", "do not fit")],
)
def test_bad_tracks_are_one_line(what, line):
    with pytest.raises(UsageError, match=line):
        infer(damaged(what))


def test_sliding_stops_and_was_faster_before():
    velocity, a = np.array([3.0, 4.0]), 10.0
    way = displacement(velocity, np.array(a), np.array(0.0), np.array([-1.0, 0.0, 0.5, 2.0]))
    np.testing.assert_allclose(way, np.outer([-10.0, 0.0, 1.25, 1.25], [0.6, 0.8]), atol=1e-12)
    left = displacement(velocity, np.array(0.0), np.array(2.0), np.array([1.0]))
    np.testing.assert_allclose(left, [[3.0 - 0.8, 4.0 + 0.6]])


def test_a_stretch_ends_before_a_wall():
    times = np.arange(1, 61) / 8
    x = 2 * np.minimum(times, 2 * times[30] - times)
    places = np.column_stack([x, 0 * x]) + noise(np.random.default_rng(1), (60, 2), 0.005)
    found = fit_stretch(0, 1, times, places)
    assert found is not None and 12 <= len(found.times) <= 31
    assert found.noise == pytest.approx(0.005, rel=0.5)


def test_memory_is_that_of_the_errors():
    rng = np.random.default_rng(0)
    for alike in (0.0, 0.6):
        errors = noise(rng, (4000, 2), 1.0, alike)
        assert memory_of(errors, 0) == pytest.approx((1 + alike) / (1 - alike), rel=0.15)


def test_kinks_are_found_at_their_time():
    truth, times = Collision(offset=0.2), clock(40, 40, 0.7)
    paths = paths_of(
        dataclasses.replace(truth, friction=200.0), times, noise(np.random.default_rng(0), (80, 2, 2), 0.05)
    )
    found = kinks(paths["a"], paths["b"])
    assert any(abs(when - 3.0) < 0.5 / RATE for when, _ in found)
    assert found[0][1] == pytest.approx(1 / RATE)
