"""experiments.captions: each act on a small file, and what it refuses; what experiments.scene refuses of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from o2t_jax.commands import captions, scene
from tests.data.scene.test_scene_captions import genome


def run(*words: str) -> int:
    return captions.main([*words, "--cpu_tuning=off"])


@pytest.fixture
def motions(tmp_path: Path) -> str:
    said = {"1": ("a person walks", "someone walks on"), "2": ("a person waves",), "3": ("he jumps", "a man jumps")}
    entries = {k: {"path": f"clip{k}", "annotations": [{"text": t} for t in v]} for k, v in said.items()}
    (tmp_path / "motions.json").write_text(json.dumps(entries))
    return str(tmp_path / "motions.json")


def test_retrieval_is_measured_and_clips_are_found(motions: str, tmp_path: Path, capsys) -> None:
    assert run("retrieve", motions, f"--json={tmp_path / 'found.json'}") == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["queries"] == 2 and found["R@1 of 3"]["bag of words"] == 1.0
    assert "by chance 0.33333" in capsys.readouterr().out
    assert run("find", motions, "a person who waves") == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("clip2  'a person waves'")


def test_a_genome_folder_becomes_a_file_that_is_scored(tmp_path: Path, capsys) -> None:
    genome(tmp_path)
    out = tmp_path / "made.csv"
    assert run("genome", str(tmp_path), f"--out={out}") == 0
    assert run("score", str(out), f"--nouns={out}") == 0
    assert "rules, 1 captions: set_match" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "give one of"),
        (["fly", "x"], "is unknown"),
        (["find", "none.json"], "find takes 2 of file, folder and words, not 1"),
        (["score", "none.csv", "--t5", "folder"], "flags are --name=value"),
        (["find", "none.json", "words"], "none.json cannot be read"),
        (["retrieve", "none.json", "--encoder=none"], "none.json cannot be read"),
        (["genome", "none"], "--out"),
        (["genome", "none", "--out=x.csv"], "region_graphs.json"),
        (["score", "none.csv"], "none.csv cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(words: list[str], part: str, capsys) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err.strip()
    assert part in error and "\n" not in error


def test_parsers_that_are_not_there_are_refused(tmp_path: Path, capsys) -> None:
    genome(tmp_path)
    out = tmp_path / "made.csv"
    assert run("genome", str(tmp_path), f"--out={out}") == 0
    for flags, part in (
        (["--parser=t5"], "no config.json"),
        (["--parser=learned"], "--parser_workdir"),
        (["--parser=learned", f"--parser_workdir={tmp_path}"], str(tmp_path)),
        ([f"--parser_workdir={tmp_path}"], f"{tmp_path} holds no checkpoint"),
        ([f"--t5={tmp_path}"], "no config.json"),
        (["--parser=rules", f"--t5={tmp_path}"], f"--t5={tmp_path} is read by --parser=t5 alone, and rules is asked"),
        ([f"--nouns={out}", "--parser_workdir=x"], f"--nouns={out} is read by --parser=rules alone, and learned is"),
    ):
        capsys.readouterr()
        assert run("score", str(out), *flags) == 2
        assert part in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--parser=learned"], "--parser_workdir"),
        (["--parser_workdir=none"], "none holds no checkpoint"),
        (["--parser=rules", "--parser_workdir=none"], "--parser_workdir=none is read by --parser=learned alone"),
        (["--enhance=none"], "model_index.json"),
    ],
)
def test_the_scene_command_refuses_what_is_not_there(flags: list[str], part: str, capsys) -> None:
    assert scene.main(["a ball falls", "--out=never", *flags, "--cpu_tuning=off"]) == 2
    assert part in capsys.readouterr().err
