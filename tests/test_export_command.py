"""experiments.export_windows: the original's layout of the stored scenes, split by scene; bad input is one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands import export_windows
from o2t_jax.data.discs import export
from o2t_jax.data.discs.scenes import DiscScenes
from o2t_jax.data.records import write_set
from o2t_jax.data.simulated import SequenceSource, SimulatedSequences
from o2t_jax.data.stored import open_set
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.physics.envs import get_environment

COUNTS = {"train": 400, "validation": 2, "test": 0}
SIZE, SPEED, FRAMES = (800.0, 600.0), 60.0, 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of discs of the document's world, and one of oscillators."""
    home = tmp_path_factory.mktemp("sets")
    write_set(home / "discs", DiscScenes(DiscWorld(), FRAMES, seed=3), COUNTS)
    other = SequenceSource(SimulatedSequences(get_environment("oscillator"), 3, (0.1,), 0))
    write_set(home / "other", other, {"train": 2})
    return home


def test_windows_are_the_stored_scenes(folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(export, "_BLOCK", 150)
    out = tmp_path / "windows.npz"
    flags = [f"--dataset={folder / 'discs'}", f"--out={out}", "--json=-"]
    assert export_windows.main(flags) == 0
    assert json.loads(capsys.readouterr().out)["windows"] == {"train": 400 * 58, "validation": 2 * 58, "test": 0}
    with np.load(out) as archive, open_set(folder / "discs") as stored:
        found = dict(archive)
        assert set(found) == set(COUNTS)
        for split, count in COUNTS.items():
            windows = found[split]
            assert windows.dtype == np.float32 and windows.shape == (58 * count, 3, 4, 5)
            scenes = stored.read(split, np.arange(count))
            by_scene = windows.reshape(count, 58, 3, 4, 5)
            for frame in range(3):
                now = slice(frame, frame + 58)
                np.testing.assert_allclose(by_scene[:, :, frame, :, :2] * SIZE, scenes["position"][:, now], rtol=1e-6)
                np.testing.assert_allclose(by_scene[:, :, frame, :, 2:4] * SPEED, scenes["velocity"][:, now], rtol=1e-6)
    starts = {split: {x.tobytes() for x in windows} for split, windows in found.items()}
    assert len(starts["train"]) == 400 * 58 and not starts["train"] & starts["validation"]
    assert [path.name for path in tmp_path.iterdir()] == ["windows.npz"]
    # What docs/discs.md says of this world.
    place, velocity = found["train"][..., :2], found["train"][..., 2:4]
    change = velocity[:, 2] - velocity[:, 1]
    assert place.min() > 0 and place.max() < 1
    assert 0.94 < np.mean(np.all(np.abs(change) < 1e-3, axis=(1, 2))) < 0.96  # nothing happens
    assert 0.007 < np.mean(change**2) < 0.0095  # the error of constant velocity
    assert velocity.min() < -1.0 and 0.005 < np.mean(np.linalg.norm(velocity, axis=-1) > 1.0) < 0.02


def test_the_last_number_is_the_mass_of_each_disc() -> None:
    drawn = np.random.default_rng(0)
    scenes = {name: drawn.normal(size=(2, 5, 3, 2)).astype(np.float32) for name in ("position", "velocity")}
    scenes["mass"] = np.array([[1.0, 5.0, np.inf], [25.0, 1.0, 1.0]], np.float32)
    windows = export.windows(scenes, (9.0, 6.0), 3.0).reshape(2, 3, 3, 3, 5)
    np.testing.assert_array_equal(windows[..., 4], np.broadcast_to(scenes["mass"][:, None, None], (2, 3, 3, 3)))
    np.testing.assert_allclose(windows[1, 2, 0, 1, :2] * [9.0, 6.0], scenes["position"][1, 2, 1], rtol=1e-6)


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
