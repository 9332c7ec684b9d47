"""Whether a force acts: named where it does and only there; intervals; what a wrong radius does and does not."""

from __future__ import annotations

import types

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.commands.studies import drag as study
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import bundle_adjustment as T
from o2t_jax.evaluation.o2t import refined_force
from o2t_jax.evaluation.o2t.force_form import decide
from o2t_jax.evaluation.o2t.sights import BallRays
from o2t_jax.geometry.camera import intrinsics_for, look_at
from o2t_jax.models.o2t.stereo import Sighting, triangulate_slots
from o2t_jax.physics.forces import Force
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import simulate
from o2t_jax.render.scenes import get_scene

G0, DRAG = 9.81, study.drag_of(9.81)


def places(seed: int = 0, drag: float = DRAG, **more):
    return study.draw_places(np.random.default_rng(seed), G0, drag, **more)


def test_flights_under_drag_are_the_simulators() -> None:
    exact, weights = places(noise=0.0, flights=6)
    fit = T.fit_tracks(exact, None, "constant", force="quadratic_drag", weights=weights)
    assert fit.converged and fit.names == ("g0", "drag") and fit.noise < 1e-6
    np.testing.assert_allclose(fit.values, [G0, DRAG], rtol=1e-5)
    flown = T.fly(fit.states, "constant", fit.values, exact.times, "quadratic_drag")
    np.testing.assert_allclose(weights[..., None] * flown, weights[..., None] * exact.points, atol=1e-5)


def test_places_without_noise_give_any_law_exactly() -> None:
    rng = np.random.default_rng(0)
    states = np.concatenate([rng.uniform(5, 9, (8, 3)), rng.normal(0, 3, (8, 3))], axis=1)
    times = np.tile(np.linspace(0.0, 1.0, 6), (8, 1))
    points = T.fly(states, "hyperbolic", np.array([9.5, 8.0]), times)
    np.testing.assert_allclose(T.fit_tracks(T.Places(points, times)).values, [9.5, 8.0], atol=1e-5)


def test_drag_is_named_where_it_acts_and_only_there_also_with_wrong_radii() -> None:
    for kind in study.KINDS:
        for acts in (True, False):
            found = [study.verdict_of(5, number, acts, kind)[1].present for number in range(2)]
            assert sum(found) == (2 if acts else 0), (kind, acts)


def test_the_intervals_hold_as_often_as_they_say_and_g0_without_the_term_is_off() -> None:
    held, without = 0, []
    for seed in range(20):
        seen, weights = places(seed, flights=12)
        verdict = decide(seen, weights=weights)
        _, low, high = verdict.intervals()["drag"]
        held += low <= DRAG <= high
        without.append(verdict.without.values[0])
    assert held >= 17  # of 20 at 95 %: 16 and fewer is one in 400
    assert abs(np.mean(without) - G0) > 3 * np.std(without) / np.sqrt(20), "no bias: the term would not be needed"


def test_a_common_error_of_the_radius_scales_the_law_and_keeps_the_decision() -> None:
    seen, weights = places(3)
    scaled = seen._replace(points=study.CAMERA + 1.02 * (seen.points - study.CAMERA))
    right, wrong = decide(seen, weights=weights), decide(scaled, weights=weights)
    np.testing.assert_allclose(wrong.with_force.values, right.with_force.values * [1.02, 1 / 1.02], rtol=1e-5)
    assert wrong.present == right.present and wrong.lead == pytest.approx(right.lead, rel=1e-4)


def test_triangulation_does_not_know_the_radius() -> None:
    rng = np.random.default_rng(1)
    para = jnp.asarray(np.concatenate([np.zeros((1, 4, 1)), rng.normal(0, 1, (1, 4, 3)), np.zeros((1, 4, 2))], axis=-1))
    direction = jnp.asarray([1.0, 0.0, 0.1]) + 0.1 * jnp.asarray(rng.normal(0, 1, (1, 4, 3)))

    def slots(factor: float):
        sines = jnp.full((1, 4), 0.08 * factor)
        return triangulate_slots(Sighting(direction, sines, jnp.ones((1, 4)), jnp.ones((1, 4), bool)), para)

    right, wrong = slots(1.0), slots(1.02)
    assert jnp.array_equal(right.first, wrong.first) and jnp.array_equal(right.second, wrong.second)
    np.testing.assert_allclose(wrong.radius, 1.02 * right.radius, rtol=1e-6)


class ExactSights:
    """A network that sees every ball's direction, up to noise; it never sees the ball in the first sample."""

    def __init__(self, directions: np.ndarray) -> None:
        self.directions, self.next = directions, 0

    def sight(self, pictures: np.ndarray, para: np.ndarray, corner: np.ndarray | None = None) -> BallRays:
        rows = pictures[:, 0, 0, 0, 0]  # the sample's own number
        return BallRays(self.directions[rows], np.ones((len(rows), 5)), np.repeat(rows[:, None] > 0, 5, axis=1))

    def sight_close(self, pictures: np.ndarray, factor: int) -> BallRays:
        raise NotImplementedError


def samples(count: int, noise: float) -> tuple[ExactSights, dict[str, np.ndarray]]:
    """Samples of `ballistic` seen by a stereo pair and a third camera, with errors of `noise` rad."""
    rng, scene = np.random.default_rng(7), get_scene("ballistic")
    shape = (count, 5)
    para, directions = np.zeros((*shape, 6)), np.zeros((*shape, 3))
    force = Force.of("quadratic_drag", drag=DRAG)
    for i in range(count):
        times = np.repeat([0.0, rng.uniform(0.2, 0.4), rng.uniform(0.5, 0.8)], [2, 2, 1])
        points = simulate(scene.sample(rng), times, Gravity.constant(G0), force=force)[0][:, 0]
        cameras = np.array([[-4.2, y, 2.0] for y in (0.0, 0.5, 0.0, 0.5, 1.0)])
        azimuth, elevation = look_at(cameras, np.array([0.0, 0.0, 4.0]))
        para[i] = np.column_stack([times, cameras, azimuth, elevation])
        ray = points - cameras
        directions[i] = ray / np.linalg.norm(ray, axis=1, keepdims=True) + rng.normal(0.0, noise, (5, 3))
    pictures = np.zeros((*shape, 64, 64, 3), np.uint8)
    pictures[:, :, 0, 0, 0] = np.arange(count)[:, None]
    return ExactSights(directions), {"pictures": pictures, "para": para}


def test_the_refined_force_comes_from_sightings_and_leaves_wrong_ones_out() -> None:
    network, batch = samples(80, 5e-4)
    network.directions[5, 4] += [0.0, 0.0, 0.2]  # something else
    record = refined_force.record_of(refined_force.refine_force(network, batch, "quadratic_drag"))
    drag, g0 = record["parameters"]["drag"], record["parameters"]["g0"]
    assert record["present"] and drag["low"] < DRAG < drag["high"] and g0["low"] < G0 < g0["high"]
    assert drag["high"] - drag["low"] < DRAG and record["samples"] <= 78
    assert record["noise_px"] == pytest.approx(5e-4 * 64 * np.sqrt(3) / 2, rel=0.3)
    assert set(record["without"]) == {"g0"} and record["lead"] > 2


def test_an_error_that_all_sightings_share_is_in_the_intervals() -> None:
    network, batch = samples(100, 1e-4)
    tracks, _ = refined_force.sample_tracks(network, batch)
    used = T.Tracks(*(field[1:] for field in tracks))
    lens = intrinsics_for(64, 64)
    low = 0.06 + 0.05 * (used.pixels[..., 1] - 32.0) / 32.0  # every ball a little too low, most at the lower edge
    wrong = used._replace(pixels=used.pixels + np.stack([0.0 * low, low], axis=-1))
    plain, aware = (decide(wrong, lens, shared_errors=shared).intervals() for shared in (False, True))
    assert not plain["g0"][1] < G0 < plain["g0"][2], "the error must matter, or this proves nothing"
    assert aware["g0"][1] < G0 < aware["g0"][2] and aware["drag"][1] < DRAG < aware["drag"][2]
    right = decide(used, lens, shared_errors=True).intervals()
    assert right["g0"][1] < G0 < right["g0"][2] and right["drag"][1] < DRAG < right["drag"][2]
    assert abs(aware["drag"][0] - right["drag"][0]) < 0.3 * abs(plain["drag"][0] - right["drag"][0]) + 2e-4


def test_a_network_that_sees_nothing_is_one_line() -> None:
    network, batch = samples(3, 5e-4)
    with pytest.raises(UsageError, match=r"sees the ball well in 2, .* train longer") as refusal:
        refined_force.refine_force(network, batch, "quadratic_drag")
    assert "\n" not in str(refusal.value)


def test_the_study_judges_the_weights_and_the_interval() -> None:
    entry = {"value": 1.05 * DRAG, "low": 0.9 * DRAG, "high": 1.2 * DRAG}
    refined = {"parameters": {"g0": {"value": G0}, "drag": entry}, "present": True, "lead": 9.0, "without": {"g0": 9.5}}
    row = study.judge({"law": {"g0_weight": 0.99 * G0}, "force": {"drag": 0.97 * DRAG, "refined": refined}}, G0)
    assert row["g0 off, %"] == pytest.approx(-1.0) and row["drag off, %"] == pytest.approx(-3.0)
    assert row["held"] and row["+-, %"] == pytest.approx(15.0) and row["refined drag off, %"] == pytest.approx(5.0)
    with pytest.raises(UsageError, match="--only=picture is unknown"):
        study.show(types.SimpleNamespace(flags=types.SimpleNamespace(only=["picture"])))  # type: ignore[arg-type]
