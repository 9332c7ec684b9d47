"""`physics/env_parameters.py` says what the worlds say, and costs no import of JAX."""

from __future__ import annotations

import subprocess
import sys

import pytest

from o2t_jax.physics.env_parameters import PARAMETERS, RANGES, STATES
from o2t_jax.physics.envs import ENVIRONMENTS, get_environment

NAMED = sorted(set(ENVIRONMENTS) - {"ballistic", "room"})  # the two under a law of gravity have other parameters


def test_every_world_is_there_once():
    assert list(PARAMETERS) == sorted(NAMED) and set(RANGES) == set(STATES) == set(PARAMETERS)


@pytest.mark.parametrize("name", NAMED)
def test_parameters_ranges_and_entries_are_the_worlds_own(name):
    env = ENVIRONMENTS[name]
    assert {field: given.default for field, given in PARAMETERS[name].items()} == env.Params()._asdict()
    assert list(PARAMETERS[name]) == list(env.Params._fields)
    assert all(given.unit and given.meaning for given in PARAMETERS[name].values())
    assert RANGES[name] == env.RANGES == get_environment(name).ranges
    layout = get_environment(name).layout
    entries = STATES[name]
    assert len(dict(entries)) == len(entries) == layout.size
    assert {i for i, (_, unit) in enumerate(entries) if unit == "rad"} == set(layout.angles)


def test_it_needs_no_jax():
    code = "import sys, o2t_jax.physics.env_parameters; print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
