"""experiments.studies.scenes: its tables count what was found; finished ones are skipped; bad input is one line."""

from __future__ import annotations

import json

import pytest

from o2t_jax.commands.studies import scenes


def test_tables_count_what_is_in_the_folder_and_make_nothing_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scenes, "planned", lambda seed, index: pytest.fail("made again"))
    found = [
        {"satisfied": True, "refused": True},
        {"satisfied": False, "refused": False},
        {"satisfied": True, "refused": None},  # no relation that could be reversed
    ]
    for i, each in enumerate(found):
        (tmp_path / f"planner-seed4-{i:03d}.json").write_text(json.dumps(each))
    (tmp_path / "humanoid-seed4-000.json").write_text(
        json.dumps({"class": "wave", "held": True, "held by half": True, "torques alone": False})
    )
    assert scenes.main([f"--out={tmp_path}", "--n=3", "--seed=4"]) == 0
    said = capsys.readouterr().out
    assert "2 of 3 scenes that exist" in said and "1 of 2 with a relation reversed" in said
    assert "held by half: 1 of 1" in said and "(wave 1)" in said and "torques alone: 0 of 1" in said
    assert (tmp_path / "table.txt").read_text().strip() == said.strip()


@pytest.mark.parametrize(("flags", "says"), [(["--n=0"], "--n=0"), ([], "--out"), (["--only=films"], "films")])
def test_bad_input_is_one_line(tmp_path, flags, says, capsys):
    given = [*flags, *([] if says == "--out" else [f"--out={tmp_path / 'new'}"])]
    assert scenes.main(given) == 2 and not (tmp_path / "new").exists()
    said = capsys.readouterr().err
    assert says in said and said.strip().count("\n") == 0


@pytest.mark.slow
def test_a_scene_and_a_clip_from_end_to_end(tmp_path):
    pytest.importorskip("mujoco")
    assert scenes.planned(0, 0) == {"things": 6, "relations": 15, "satisfied": True, "refused": True}
    assert scenes.followed(7, 0)["held"] is True
