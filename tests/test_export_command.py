"""experiments.export_windows: the original's layout of the stored scenes, split by scene; bad input is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import export_windows
from o2t_jax.data.discs import export
from o2t_jax.data.discs.scenes import DiscScenes
from o2t_jax.data.records import write_set
from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.data.stored import open_set
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.physics.envs import get_environment

COUNTS = {"train": 5, "validation": 2, "test": 0}
SIZE, SPEED, FRAMES = (900.0, 600.0), 300.0, 7


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of discs, and one of oscillators."""
    home = tmp_path_factory.mktemp("sets")
    world = DiscWorld(size=SIZE, speed=SPEED, masses=(1.0, 5.0), discs=3)
    write_set(home / "discs", DiscScenes(world, FRAMES, seed=3), COUNTS)
    other = SequenceSource(SimulatedSequences(get_environment("oscillator"), 3, (0.1,), 0))
    write_set(home / "other", other, {"train": 2})
    return home


def test_windows_are_the_stored_scenes(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "_BLOCK", 2)
    out = tmp_path / "windows.npz"
    flags = [f"--dataset={folder / 'discs'}", f"--out={out}", "--json=-"]
    assert export_windows.main(flags) == 0
    assert json.loads(capsys.readouterr().out)["windows"] == {"train": 25, "validation": 10, "test": 0}
    with np.load(out) as found, open_set(folder / "discs") as stored:
        assert set(found) == set(COUNTS)
        for split, count in COUNTS.items():
            windows = found[split]
            assert windows.dtype == np.float32 and windows.shape == (5 * count, 3, 3, 5)
            scenes = stored.read(split, np.arange(count))
            for number, window in enumerate(windows):
                scene, first = divmod(number, FRAMES - 2)
                now = slice(first, first + 3)
                np.testing.assert_allclose(window[..., :2] * SIZE, scenes["position"][scene, now], rtol=1e-6)
                np.testing.assert_allclose(window[..., 2:4] * SPEED, scenes["velocity"][scene, now], rtol=1e-6)
                np.testing.assert_array_equal(window[..., 4], np.tile(scenes["mass"][scene], (3, 1)))
        inside = found["train"][..., :2]
        assert inside.min() > 0 and inside.max() < 1 and set(np.unique(found["train"][..., 4])) <= {1.0, 5.0}
        starts = {split: {x.tobytes() for x in found[split].reshape(-1, 3, 15)} for split in COUNTS}
        assert not starts["train"] & starts["validation"]
    assert [path.name for path in tmp_path.iterdir()] == ["windows.npz"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--out=a.npz"], "--dataset is missing"),
        (["--dataset={home}/discs"], "--out is missing"),
        (["--dataset={home}/discs", "--out=a.pt"], "the ending '.pt' is unknown"),
        (["--dataset={home}/discs", "--out=nowhere/a.npz"], "the folder nowhere does not exist"),
        (["--dataset={home}/none", "--out=a.npz"], "no set of samples"),
        (["--dataset={home}/other", "--out=a.npz"], "is a set of 'oscillator', and windows of discs are wanted"),
    ],
)
def test_bad_input_is_one_line_and_no_file(folder, tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert export_windows.main([text.format(home=folder) for text in flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
