"""benchmarks.discs: the command measures, its quality columns see what they are named after, bad input is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import discs


def test_the_command_measures_scenes(tmp_path) -> None:
    where = tmp_path / "found.json"
    given = ["--repeats=1", "--batch=8", "--frames=20", f"--json={where}"]
    assert discs.run(discs.parsed(given)) == 0
    found = json.loads(where.read_text())
    rows = {row["side"]: row for row in found["rows"]}
    assert list(rows)[:2] == ["ours", "motion"] and rows["ours"]["ratio"] == 1.0
    for row in rows.values():
        assert row["scenes_per_s"] == pytest.approx(1e3 / row["median_ms"])
    assert rows["ours"]["energy_error"] < 1e-5 and rows["ours"]["overlap_px"] < 1e-3


def test_pymunk_makes_scenes_of_the_same_world() -> None:
    pytest.importorskip("pymunk")
    from benchmarks.peers.discs_pymunk import generated
    from o2t_jax.physics.discs.world import DiscWorld

    random = np.random.default_rng(0)
    tracks = [generated(DiscWorld(), random, 60) for _ in range(40)]
    position, velocity = (np.stack(part) for part in zip(*tracks, strict=True))
    assert position.shape == (40, 61, 4, 2)
    start = np.linalg.norm(velocity[:, 0], axis=-1)
    assert start.max() < 60.0 and start.mean() == pytest.approx(30.0, rel=0.15)
    assert (position > 50.0).all() and (position < [750.0, 550.0]).all()
    assert (np.abs(velocity[:, 0] - velocity[:, -1]).sum((1, 2)) > 1.0).mean() > 0.5  # they collide
    assert discs.quality(position, velocity)["energy_error"] < 0.1


def test_quality_sees_lost_energy_and_overlap() -> None:
    position = np.zeros((1, 2, 2, 2))
    position[0, :, 1, 0] = [130.0, 117.0]
    velocity = np.full((1, 2, 2, 2), 10.0)
    velocity[0, 1, 1] = 0.0
    assert discs.quality(position, velocity) == {"energy_error": 0.5, "overlap_px": pytest.approx(3.0)}


def test_an_unknown_part_is_one_line(capsys) -> None:
    assert discs.main(["--parts=worlds"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--parts=worlds is unknown" in said
