"""experiments.motion compare: made motions in an evaluator's embeddings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import motion

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """64 texts; true motions next to them, `close` farther away, `shuffled` those of other texts."""
    texts = RNG.normal(size=(64, 6))
    true = texts + 0.01 * RNG.normal(size=texts.shape)
    others = {"close": texts + 0.1 * RNG.normal(size=texts.shape), "shuffled": np.roll(true, 1, axis=0)}
    for name, array in {"texts": texts, "true": true, **others}.items():
        np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
    return tmp_path


def test_made_motions_stand_beside_true_ones(folder: Path, tmp_path: Path, capsys) -> None:
    assert motion.main(["compare", f"--evaluator={folder}", f"--json={tmp_path / 'x.json'}"]) == 0
    rows = {row["motions"]: row for row in json.loads((tmp_path / "x.json").read_text())["rows"]}
    assert list(rows) == ["true", "close", "shuffled"] and "r_precision_3" in capsys.readouterr().out
    assert rows["true"]["r_precision_1"] == 1.0 and rows["true"]["frechet"] == pytest.approx(0.0, abs=1e-9)
    assert rows["true"]["matched_distance"] < rows["close"]["matched_distance"] < rows["shuffled"]["matched_distance"]
    # The distribution does not tell which motion is whose; the precision does.
    assert rows["shuffled"]["frechet"] == pytest.approx(0.0, abs=1e-9) and rows["shuffled"]["r_precision_1"] < 0.2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "true.npy").unlink(), "must hold texts.npy, true.npy and one NAME.npy"),
        (lambda folder: np.save(folder / "close.npy", np.zeros((64, 5))), "give one row for each text"),
        (lambda folder: np.save(folder / "close.npy", np.full((64, 6), np.nan)), "must be finite numbers"),
        (lambda folder: (folder / "close.npy").write_bytes(b"x"), "is no array of numbers"),
        (lambda folder: [np.save(file, np.ones((31, 6))) for file in folder.glob("*.npy")], "31 texts, at least 32"),
    ],
)
def test_a_wrong_folder_is_one_line(folder: Path, spoil, says: str, capsys) -> None:
    spoil(folder)
    assert motion.main(["compare", f"--evaluator={folder}"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_missing_folder_is_one_line(folder: Path, capsys) -> None:
    assert motion.main(["compare"]) == 2
    assert "--evaluator is missing" in capsys.readouterr().err
    assert motion.main(["compare", f"--evaluator={folder}", "--json=nowhere/x.json"]) == 2
    assert "the folder nowhere does not exist; make it first" in capsys.readouterr().err
