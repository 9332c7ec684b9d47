"""The read-out of a law: fits, intervals, fingerprint, JSON, plot."""

from __future__ import annotations

import json
from collections import OrderedDict

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import freeze
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import law as L
from o2t_jax.evaluation.o2t.plots import history_of, plot_law
from o2t_jax.physics.gravity import Gravity

HEIGHTS = np.arange(0.0, 20.01, 0.5)
PARAMS = {"phys": {"g0": np.float32(9.5), "alpha": np.linspace(-1, 1, 25, dtype=np.float32)}, "net": [np.ones((2, 3))]}


def hyperbolic(z, g0=9.5, alpha=8.0):
    return g0 + alpha / (z + 10.0)


def law_of(curve, z_visited=(0.0, 20.0), **changes):
    given_ = {"g0_weight": 9.9, "alpha_weights": np.arange(25.0), "step": 40, "params": PARAMS} | changes
    return L.read_out(curve, z_visited, **given_)


@settings(deadline=None, max_examples=20)
@given(g0=st.floats(0.5, 30), alpha=st.floats(-10, 10))
def test_fit_recovers_the_law_and_only_its_own_form(g0, alpha):
    fits = L.compare_forms(HEIGHTS, Gravity.hyperbolic(g0, alpha).g(HEIGHTS))
    np.testing.assert_allclose(fits["hyperbolic"].values, [g0, alpha], atol=1e-8)
    assert fits["hyperbolic"].worst < 1e-9
    # At |alpha| = 10 the best line over 0..20 m is off by 0.042 m/s^2 on average; it scales with alpha.
    line = fits["linear"]
    assert np.mean(np.abs(line(HEIGHTS) - hyperbolic(HEIGHTS, g0, alpha))) == pytest.approx(
        0.0042 * abs(alpha), rel=0.1
    )
    assert fits["constant"].values[0] == pytest.approx(np.mean(hyperbolic(HEIGHTS, g0, alpha)))


def coverage(draw_errors, options, num=900, z=HEIGHTS, seed=0):
    rng = np.random.default_rng(seed)
    hits = np.zeros(2)
    for _ in range(num):
        intervals = L.fit_hyperbolic(z, hyperbolic(z) + draw_errors(rng), **options).intervals()
        hits += [intervals["g0"][0] <= 9.5 <= intervals["g0"][1], intervals["alpha"][0] <= 8.0 <= intervals["alpha"][1]]
    return hits / num


def test_intervals_cover_with_known_noise():
    sigma = np.linspace(0.01, 0.2, len(HEIGHTS))
    for noise in (0.05, sigma):
        share = coverage(lambda rng, s=noise: rng.normal(0, s, len(HEIGHTS)), {"noise": noise})
        assert np.all(np.abs(share - 0.95) < 0.02), share


def test_intervals_from_residuals_use_students_t():
    z = HEIGHTS[::7]  # 6 points: with normal quantiles only about 88% would be covered
    share = coverage(lambda rng: rng.normal(0, 0.3, len(z)), {"noise": "residual"}, z=z)
    assert np.all(np.abs(share - 0.95) < 0.02), share


def test_intervals_carry_a_smooth_curves_covariance():
    # Errors of a learnt curve are smooth: nearly singular covariance, neighbours alike.
    smooth = 0.05**2 * np.exp(-0.5 * ((HEIGHTS[:, None] - HEIGHTS) / 3.0) ** 2)
    root = np.linalg.svd(smooth)[0] * np.sqrt(np.linalg.svd(smooth)[1])
    draw = lambda rng: root @ rng.normal(size=len(HEIGHTS))  # noqa: E731
    assert np.all(np.abs(coverage(draw, {"covariance": smooth}) - 0.95) < 0.02)
    assert np.all(coverage(draw, {"noise": 0.05}) < 0.8), "taken for independent, such errors give intervals too short"


def test_interval_widths_in_closed_form():
    sigma, x = 0.1, 1.0 / (HEIGHTS + 10.0)
    fit = L.fit_hyperbolic(HEIGHTS, hyperbolic(HEIGHTS), noise=sigma, level=0.9)
    expected = stats.norm.ppf(0.95) * sigma / np.sqrt(np.sum((x - x.mean()) ** 2))
    assert fit.half_width[1] == pytest.approx(expected)
    with pytest.raises(ValueError, match="no interval"):
        L.fit_hyperbolic(HEIGHTS, hyperbolic(HEIGHTS)).intervals()


@pytest.mark.parametrize(
    ("z", "g", "options"),
    [
        (HEIGHTS, HEIGHTS[1:], {}),
        (HEIGHTS[:1], HEIGHTS[:1], {}),
        (np.full(5, 2.0), np.ones(5), {}),
        (HEIGHTS, np.full_like(HEIGHTS, np.nan), {}),
        (HEIGHTS, HEIGHTS, {"noise": -1.0}),
        (HEIGHTS, HEIGHTS, {"noise": "guess"}),
        (HEIGHTS, HEIGHTS, {"noise": 1.0, "covariance": np.eye(len(HEIGHTS))}),
        (HEIGHTS, HEIGHTS, {"covariance": np.eye(3)}),
        (HEIGHTS[:2], HEIGHTS[:2], {"noise": "residual"}),
    ],
)
def test_fit_refuses_what_cannot_be_fitted(z, g, options):
    with pytest.raises(ValueError):
        L.fit_hyperbolic(z, g, **options)


def test_read_out_has_exactly_the_promised_keys_and_numbers():
    law = law_of(hyperbolic, (np.float32(0.3), np.float32(17.7)))
    assert tuple(law) == L.LAW_KEYS
    assert law["g0"] == pytest.approx(9.5) and law["alpha"] == pytest.approx(8.0)
    assert law["g0_weight"] == 9.9 and law["alpha_weights"] == list(range(25)) and law["step"] == 40
    table = np.array(law["g_of_z"])
    np.testing.assert_allclose(table[:, 0], np.arange(3, 178) / 10, atol=1e-12)
    np.testing.assert_allclose(table[:, 1], hyperbolic(table[:, 0]))
    assert json.loads(json.dumps(law)) == law


@pytest.mark.parametrize(("high", "null"), [(5.9, True), (5.999, True), (6.0, False), (9.0, False)])
def test_alpha_is_null_under_five_metres(high, null):
    law = law_of(hyperbolic, (1.0, high))
    assert (law["alpha"] is None) == null
    if null:
        assert law["g0"] == pytest.approx(np.mean([g for _, g in law["g_of_z"]]))
        assert "alpha  none" in L.format_law(law)
    else:
        assert law["alpha"] == pytest.approx(8.0)


def test_the_mean_counts_heights_as_often_as_they_were_met():
    visits = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    law = law_of(hyperbolic, (1.0, 3.0), visits=visits)
    assert law["g0"] == pytest.approx((hyperbolic(1.0) + 3 * hyperbolic(3.0)) / 4) and law["alpha"] is None
    assert law_of(hyperbolic, (0.0, 20.0), visits=visits)["g0"] == pytest.approx(9.5), "a fit needs no weights"


def test_a_sliver_of_heights_still_gives_a_law():
    law = law_of(hyperbolic, (1.01, 1.02))
    assert law["g_of_z"] == [[pytest.approx(1.015), pytest.approx(hyperbolic(1.015))]]
    assert "constant" in L.format_law(law) and "linear" not in L.format_law(law)


@pytest.mark.parametrize("visited", [(np.inf, -np.inf), (2.0, 1.0), (np.nan, 3.0), (0.0, 1e9)])
def test_heights_that_are_no_range_are_refused(visited):
    with pytest.raises(UsageError, match="heights"):
        law_of(hyperbolic, visited)


def test_a_diverged_law_is_refused():
    with pytest.raises(UsageError, match="diverged"):
        law_of(lambda z: z * np.nan)
    with pytest.raises(UsageError, match="diverged"):
        law_of(hyperbolic, g0_weight=float("nan"))


def test_hash_changes_with_any_byte():
    reference = L.params_sha256(PARAMS)
    assert len(reference) == 64
    flat = PARAMS["phys"]["alpha"]
    for byte in range(flat.nbytes):
        raw = bytearray(flat.tobytes())
        raw[byte] ^= 1
        changed = {**PARAMS, "phys": {"g0": PARAMS["phys"]["g0"], "alpha": np.frombuffer(bytes(raw), np.float32)}}
        assert L.params_sha256(changed) != reference


@pytest.mark.parametrize(
    "changed",
    [
        {"phys": PARAMS["phys"], "ten": PARAMS["net"]},
        {"phys": {**PARAMS["phys"], "alpha": PARAMS["phys"]["alpha"].reshape(5, 5)}, "net": PARAMS["net"]},
        {"phys": {**PARAMS["phys"], "alpha": PARAMS["phys"]["alpha"].view(np.int32)}, "net": PARAMS["net"]},
        {"phys": PARAMS["phys"], "net": [np.ones((2, 3)), np.ones(())]},
        {"phys": {"g0": PARAMS["phys"]["g0"]}, "alpha": PARAMS["phys"]["alpha"], "net": PARAMS["net"]},
    ],
    ids=["name", "shape", "dtype", "one leaf more", "place in the tree"],
)
def test_hash_sees_names_shapes_and_types(changed):
    assert L.params_sha256(changed) != L.params_sha256(PARAMS)


def test_hash_is_blind_to_containers_and_devices():
    net = {"b": np.arange(3, dtype=np.float32), "a": jnp.ones((2, 2), jnp.bfloat16)}
    turned = {"a": np.asarray(net["a"]), "b": jnp.arange(3, dtype=jnp.float32)}
    assert L.params_sha256(OrderedDict(net)) == L.params_sha256(turned)
    assert L.params_sha256({"x": net}) == L.params_sha256(freeze({"x": turned}))
    fortran = {"w": np.asfortranarray(np.arange(6.0).reshape(2, 3))}
    assert L.params_sha256(fortran) == L.params_sha256({"w": np.arange(6.0).reshape(2, 3)})


def test_text_shows_the_numbers():
    text = L.format_law(law_of(hyperbolic))
    for part in ("9.5000", "8.0000", "weight 9.9000", "10.3000", "linear", "step 40"):
        assert part in text


def test_history_is_picked_from_mixed_records():
    records = [
        {"step": 0, "law/g0": 0.0},
        {"step": 20, "train/g0": 1.0, "law/g0": 7.0},
        {"step": 10, "loss": 3},
        {"step": 30, "train/g0": None},
        {"step": 20, "train/g0": 2.0},
        {"step": 5, "law/g0": 0.5},
    ]
    steps, values = history_of(records, ("train/g0", "law/g0"))
    assert steps.tolist() == [0, 5, 20] and values.tolist() == [0.0, 0.5, 2.0]
    assert len(history_of([], ("train/g0",))[0]) == 0


def test_plot_shows_curve_and_truth(tmp_path):
    law = law_of(hyperbolic)
    history = np.arange(40), np.linspace(0, 9.9, 40)
    pictures = []
    for name, truth in (("a.png", None), ("b.png", lambda z: hyperbolic(z, 9.6))):
        plot_law(history, law, tmp_path / name, truth)
        pictures.append(cv2.imread(str(tmp_path / name)))
    assert pictures[0].shape == pictures[1].shape and pictures[0].shape[1] >= 1000
    assert np.any(pictures[0] != pictures[1])
    plot_law(([], []), law_of(hyperbolic, (1.01, 1.02)), tmp_path / "c.png", hyperbolic)
    assert (tmp_path / "c.png").stat().st_size > 5000
