"""Mistakes at the commands of the law are one line and exit code 2, before anything is computed."""

from __future__ import annotations

import pytest

from o2t_jax.commands import design, readout


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        ([], "--env"),
        (["--env=oscilator"], "oscillator"),
        (["--env=pendulum", "--wanted=g"], "gravity_per_length"),
        (["--env=pendulum", "--start=1"], "2 numbers"),
        (["--env=pendulum", "--params=length"], "name=number"),
        (["--env=pendulum", "--dt=0.9"], "0.5"),
        (["--env=spaceship"], "--start"),
    ],
)
def test_a_wrong_argument_of_design_is_one_line(argv, hint, capsys):
    assert design.main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert hint in lines[0]


def test_a_readout_needs_a_run(capsys):
    assert readout.main([]) == 2
    assert "--workdir" in capsys.readouterr().err
