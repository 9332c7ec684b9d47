"""Studies whose rows are trainings: which results of a run are columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from o2t_jax.commands.studies import discs, dynamics_pictures, motion, video
from o2t_jax.commands.studies._trained import KeptAs, columns_of

RESULTS = {
    "validation/ratio": {"value": 1.0},
    "test/error": {"value": 2.0},
    "law/share": {"value": 3.0},
    "text/error": {"value": 4.0},
    "test/rows": {"rows": [{"row": "a"}]},
    "law/impulse": {"rows": [{"row": "b"}]},
    "test/sets": {"rows": [{"row": "c"}]},
    "test/film": {"file": "x.mp4"},
}


@pytest.mark.parametrize(
    ("column", "kept"),
    [
        (discs.column, {"error": 2.0, "share": 3.0, "law/impulse": [{"row": "b"}]}),
        (motion.column, {"error": 2.0, "text/error": 4.0, "test/rows": [{"row": "a"}], "test/sets": [{"row": "c"}]}),
        (
            video.column,
            {name: RESULTS[name]["value"] for name in list(RESULTS)[:4]} | {"test/sets": [{"row": "c"}]},
        ),
    ],
)
def test_a_run_keeps_the_results_that_its_study_names(column: KeptAs, kept: dict, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    found = columns_of({"status": "finished", "minutes": 1.26}, tmp_path, column)
    assert found == {"minutes": 1.3, **kept}
    assert columns_of({"status": "failed"}, tmp_path, column) == {}


@pytest.mark.parametrize(
    ("main", "field"),
    [
        (discs.main, "walls=False"),
        (dynamics_pictures.main, "mode=detached"),
        (motion.main, "skate=0.1"),
        (video.main, "dream_frames=4"),
    ],
)
def test_a_studys_fields_are_those_of_its_own_configs(
    main: Callable[[list[str]], int], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --config they were held against O2T's."""
    assert main([f"--config.{field}"]) == 2
    assert "--out is missing" in capsys.readouterr().err
    assert main([f"--config.no_{field}"]) == 2
    assert "no field" in capsys.readouterr().err
