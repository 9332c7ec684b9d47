"""The linter tells lawful motions from spoilt ones, and says what and where."""

from __future__ import annotations

import json

import numpy as np
import pytest

from o2t_jax.commands import motion as command
from o2t_jax.commands.studies import motion_linter as study
from o2t_jax.data.motion.bvh import bvh_text
from o2t_jax.data.motion.gaits import CLASSES, MotionSource
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.motion.corruption import CORRUPTIONS, foot_slide, scaled_gravity, time_jump
from o2t_jax.evaluation.motion.linter import lint
from o2t_jax.physics.motion.skeleton import OURS


@pytest.fixture(scope="module")
def clips() -> dict[str, np.ndarray]:
    """32 made clips, four of each class, 20 frames/s."""
    return MotionSource(seed=5).make("train", np.arange(32))


def checks_of(positions: np.ndarray, **options) -> dict:
    return {check.name: check for check in lint(positions, 20.0, **options).checks}


def test_made_gaits_rank_above_the_same_spoilt(clips):
    rows = [study.scores(places, 20.0, f"clip {i}", 0) for i, places in enumerate(clips["positions"])]
    found = study.shares(rows)
    assert found["same_clip"] >= 0.95
    assert found["by_kind"]["noise"]["pairs"] == 32
    assert found["by_kind"]["scaled gravity"]["pairs"] >= 4  # the jumps
    assert "noise: 32 pairs" in study.table({"half": "held", **found})


def test_a_stand_is_fine_and_a_drift_is_a_slide(clips):
    still = clips["positions"][clips["label"] == CLASSES.index("stand")][0]
    assert lint(still, 20.0).verdict == "fine"
    slid = foot_slide(still, 20.0, np.random.default_rng(0))
    assert slid is not None
    check = checks_of(slid)["slide"]
    assert check.verdict == "bad"
    assert check.frames
    assert 0.2 <= check.value <= 0.5  # the drift's own speed


def test_a_cut_is_found_where_it_is(clips):
    walk = clips["positions"][clips["label"] == CLASSES.index("walk")][0]
    cut = np.concatenate([walk[:30], walk[38:]])
    check = checks_of(cut)["jump"]
    assert check.verdict == "bad"
    assert set(check.frames) <= {28, 29, 30, 31}
    assert checks_of(walk)["jump"].verdict == "fine"


def test_g_is_read_from_a_jump(clips):
    jump = clips["positions"][clips["label"] == CLASSES.index("jump")][0]
    found = lint(jump, 20.0)
    assert found.gravity is not None
    assert found.gravity[0] == pytest.approx(9.81, rel=0.02)
    drawn = [scaled_gravity(jump, 20.0, np.random.default_rng(seed)) for seed in range(8)]
    # The higher of them: at less than g the feet do not leave the ground, which other checks see.
    spoilt = max((one for one in drawn if one is not None), key=np.max)
    assert checks_of(spoilt)["gravity"].verdict == "bad"
    assert checks_of(clips["positions"][7])["gravity"].verdict == "cannot tell"  # stands


def test_the_ground_is_taken_from_the_feet_or_given(clips):
    walk = clips["positions"][0]
    lifted = lint(walk + np.array([0, 0.5, 0]), 20.0)
    assert lifted.ground == pytest.approx(0.5, abs=0.01)
    assert checks_of(walk + np.array([0, 0.5, 0]), ground=0.0)["float"].verdict == "bad"
    assert checks_of(walk - np.array([0, 0.02, 0]))["penetration"].verdict == "bad"


def test_what_cannot_be_spoilt_is_no_pair(clips):
    still = clips["positions"][clips["label"] == CLASSES.index("stand")][0]
    assert scaled_gravity(still, 20.0, np.random.default_rng(0)) is None
    assert time_jump(still, 20.0, np.random.default_rng(0)) is None
    assert set(CORRUPTIONS) == {"noise", "foot slide", "time jump", "scaled gravity"}


def test_bad_clips_are_one_line(clips):
    walk = clips["positions"][0].copy()
    with pytest.raises(UsageError, match="at least 8"):
        lint(walk[:5], 20.0)
    with pytest.raises(UsageError, match="1 to 1000"):
        lint(walk, 0.0)
    walk[3, 3] = np.nan
    with pytest.raises(UsageError, match="NaN"):
        lint(walk, 20.0)


@pytest.fixture(scope="module")
def folder(clips, tmp_path_factory):
    """BVH files of made gaits with the names that recorded ones have."""
    path = tmp_path_factory.mktemp("gaits")
    for number in range(8):
        text = bvh_text(OURS, clips["root"][number], clips["rotations"][number])
        (path / f"made_{CLASSES[number]}_normal_{number:03d}.bvh").write_text(text)
    return path


def test_the_command_scores_shows_and_converts(folder, tmp_path, capsys):
    file = next(folder.glob("*jump*"))
    assert command.main(["score", str(file), f"--json={tmp_path / 'found.json'}"]) == 0
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["gravity"]["value"] == pytest.approx(9.81, rel=0.03)
    assert "g from 1 flights" in capsys.readouterr().out
    assert command.main(["preview", str(file), f"--out={tmp_path / 'film.gif'}"]) == 0
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF")
    assert command.main(["convert", str(file), f"--out={tmp_path / 'ours.bvh'}"]) == 0
    assert (tmp_path / "ours.bvh").read_text().startswith("HIERARCHY")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "give one of score"),
        (["judge", "x.bvh"], "unknown"),
        (["score", "none.bvh"], "no file"),
        (["preview", "none.bvh"], "--out is missing"),
        (["score", "x.bvh", "--json=/none/x.json"], "does not exist"),
    ],
)
def test_wrong_commands_end_with_2(argv, told, capsys):
    assert command.main(argv) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_the_study_runs_on_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "study.json"
    halves = [study.main([f"--root={folder}", f"--json={out}", f"--half={half}"]) for half in study.HALVES]
    assert 0 in halves  # eight clips may all be in one half
    assert 0 < json.loads(out.read_text())["clips"] <= 8
    assert study.main([]) == 2
    assert "--root is missing" in capsys.readouterr().err
