"""Gravity laws: potential and g agree, energies over many bounces, the registry's errors."""

import math
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.families import params_of
from o2t_jax.physics.gravity import CONSTANT, HYPERBOLIC, LAWS, Gravity, gravity_of, law_for, truth_of
from o2t_jax.physics.invariants import energy, energy_drift
from o2t_jax.physics.room.trajectory import Bouncing, Field

WORLDS = [
    Gravity.constant(9.81),
    Gravity.hyperbolic(9.5, 10.0),
    Gravity.of("linear", g0=9.8, slope=-0.05),
    Gravity.of("inverse_square", g_surface=9.8, planet_radius=200.0),
]
HEIGHTS = np.linspace(0.0, 20.0, 41)


def test_the_worlds_here_cover_every_law():
    assert {world.law for world in WORLDS} == set(LAWS)


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.law)
def test_potential_is_the_integral_of_g(world):
    eps = 1e-4
    slope = (world.potential(HEIGHTS + eps) - world.potential(HEIGHTS - eps)) / (2.0 * eps)
    np.testing.assert_allclose(slope, world.g(HEIGHTS), rtol=1e-8)
    assert world.potential(0.0) == 0.0


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.law)
def test_floats_numpy_and_jax_agree(world):
    for function in (world.g, world.potential):
        array = function(HEIGHTS)
        assert array.shape == HEIGHTS.shape
        np.testing.assert_allclose([function(float(z)) for z in HEIGHTS], array, rtol=1e-12)
        np.testing.assert_allclose(function(jnp.asarray(HEIGHTS)), array, rtol=1e-5, atol=1e-5)


def test_hyperbolic_at_two_heights():
    world = Gravity.hyperbolic(9.5, 8.0)
    assert world.g(0.0) == pytest.approx(10.3)
    assert world.g(10.0) == pytest.approx(9.9)


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: w.law)
def test_energy_is_kept_over_many_bounces(world):
    bouncing = Bouncing(Field.of(world), 6.0, 2.0, 0.3, 200.0)
    times = np.linspace(0.0, 200.0, 400)
    z, v = np.array([bouncing.state(float(t)) for t in times]).T
    assert z.min() >= 0.3 - 1e-9
    assert np.sum(np.diff(np.sign(v)) > 0) > 20  # it did bounce
    position, velocity = np.zeros((400, 3)), np.zeros((400, 3))
    position[:, 2], velocity[:, 2] = z, v
    assert energy_drift(energy(position, velocity, world)) < 1e-7


def test_rolling_ball_carries_spin():
    at = np.zeros(3)
    world = Gravity.constant(9.81)
    assert energy(at, np.array([1.0, 0.0, 0.0]), world, rolling=True) == pytest.approx(0.7)
    assert energy(at, np.array([1.0, 0.0, 0.0]), world) == pytest.approx(0.5)


def test_law_for_config_numbers():
    assert law_for(9.81, 0.0) == Gravity.constant(9.81)
    assert law_for(9.5, 3.0) == Gravity.hyperbolic(9.5, 3.0)


def test_the_configs_world_chooses_any_registered_law():
    defaults = {name: param.default for name, param in params_of(LAWS).items()}
    for world in WORLDS:
        own = dict(zip(LAWS[world.law].names, world.params, strict=True))
        chosen = {**defaults, "law": world.law, **own}
        assert gravity_of(chosen) == world
        assert truth_of(chosen) == {"law": world.law, **own} and gravity_of(truth_of(chosen)) == world
    assert gravity_of({"g0": 9.5, "alpha": 3.0}) == Gravity.hyperbolic(9.5, 3.0)  # a truth.json without a law
    for law in LAWS:  # by default every law is the Earth's, and flat ones have the closed forms of a constant
        assert gravity_of({**defaults, "law": law}).g(1.0) == pytest.approx(9.81, rel=1e-5)
        assert gravity_of({**defaults, "law": law}).is_constant == (law != "inverse_square")


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ({"law": "linar"}, "world.law='linar' is unknown: did you mean 'linear'?"),
        (
            {"law": "linear", "alpha": 8},
            "world.alpha=8 is not a parameter of world.law=linear: remove it, or set --config.world.law to hyperbolic",
        ),
        ({"law": "inverse_square", "planet_radius": 50.0}, "planet_radius = 50.0 is below its limit of 100.0"),
        ({"law": "hyperbolic", "alpha": math.inf}, "alpha = inf is not a finite number"),
    ],
)
def test_a_world_that_fits_no_law_is_refused(world, says):
    with pytest.raises(UsageError) as refusal:
        gravity_of(world)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_laws_may_not_disagree_about_a_parameter(monkeypatch):
    odd = HYPERBOLIC.params[1]._replace(default=3.0)
    monkeypatch.setattr(LAWS, "_entries", {**LAWS._entries, "odd": CONSTANT._replace(name="odd", params=(odd,))})
    with pytest.raises(ValueError, match="'alpha'"):
        params_of(LAWS)


def test_a_world_is_hashable_and_picklable():
    world = Gravity.hyperbolic(9.5, 3.0)
    assert pickle.loads(pickle.dumps(world)) == world
    assert len({world, Gravity.hyperbolic(9.5, 3.0)}) == 1


def test_refusals_name_the_cure():
    with pytest.raises(UsageError, match="did you mean 'hyperbolic'"):
        LAWS.get("hyperbolik")
    with pytest.raises(UsageError, match="takes g0, alpha"):
        Gravity.of("hyperbolic", g0=9.8)
    with pytest.raises(UsageError, match="finite"):
        Gravity.constant(math.nan)
    with pytest.raises(UsageError, match="planet_radius"):
        Gravity.of("inverse_square", g_surface=9.8, planet_radius=50.0)
    with pytest.raises(UsageError, match="registered already"):
        LAWS.register(CONSTANT.name, CONSTANT)
