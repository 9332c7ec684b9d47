"""JSON files of a run's folder that are damaged, or made to do harm: one line, or the damaged line is left out."""

from __future__ import annotations

import json

import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.folder import INDEX, read_index
from o2t_jax.training import workdir as folders
from o2t_jax.training.manifest import NAME, verify_manifest
from o2t_jax.training.metrics import read_metrics
from o2t_jax.training.provenance import read_sessions

DEEP = "[" * 100_000 + "]" * 100_000


def test_configs_that_are_none(tmp_path):
    path = tmp_path / folders.CONFIG
    for text in (
        DEEP,
        '{"a":' * 500 + "1" + "}" * 500,
        "[]",
        "3",
        '"text"',
        b"\xff\xfe\x00",
    ):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(UsageError) as caught:
            folders.config_from_json(folders.read_json(path))
        assert "\n" not in str(caught.value)


def test_a_workdir_whose_config_is_a_list_is_refused(tmp_path):
    (tmp_path / folders.CHECKPOINTS / "5").mkdir(parents=True)
    (tmp_path / folders.CONFIG).write_text("[1]")
    with pytest.raises(UsageError, match="holds no config"):
        folders.check_workdir(tmp_path, folders.config_from_json({"a": 1}))


def test_lines_that_are_no_rows_are_left_out(tmp_path):
    rows = ['{"step": 1, "a": 2}', '{"step": "one"}', '{"step": null}', '{"step": [1]}', "[1]", DEEP, '{"step": NaN}']
    (tmp_path / folders.METRICS).write_bytes("\n".join(rows).encode() + b'\n{"step": 2, "a\xff": 1}\n')
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]
    (tmp_path / "sessions.jsonl").write_bytes(b'{"step": 1}\n\xff\n[]\n' + DEEP.encode())
    assert read_sessions(tmp_path) == [{"step": 1}]


def test_results_nested_without_end(tmp_path):
    (tmp_path / INDEX).write_text(DEEP)
    with pytest.raises(UsageError, match="deeper"):
        read_index(tmp_path)


@pytest.mark.parametrize("name", ["meta/../../../secret", "/etc/hostname", "meta/a\0b", "meta/" + "a" * 300])
def test_a_manifest_that_names_files_elsewhere(tmp_path, name):
    folder = tmp_path / "checkpoints" / "5"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / NAME).write_text(json.dumps({"sha256": {"meta/": "0", name: "0"}}))
    with pytest.raises(UsageError) as caught:
        verify_manifest(folder)
    assert "\n" not in str(caught.value)
