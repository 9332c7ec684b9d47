"""Every parser under a few random changes; `python -m benchmarks.fuzz` tries many."""

from __future__ import annotations

import contextlib
import json
import random
import warnings
from pathlib import Path

import pytest

from benchmarks.fuzz.mutations import KINDS, mutated
from benchmarks.fuzz.other_types import changed
from benchmarks.fuzz.parsers import NEEDS, parsers
from benchmarks.fuzz.trials import fuzz
from benchmarks.reproduce.recipes import PARSERS
from o2t_jax.errors import UsageError


@pytest.mark.parametrize("name", parsers(Path()))
def test_a_parser_reads_its_file_and_refuses_what_is_changed(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    parser = parsers(tmp_path)[name]()
    (tmp_path / "scratch").mkdir()
    refused = 0
    for seed in range(-1, 10 if parser.slow else 60):
        rng = random.Random(seed)
        file, data = rng.choice(list(parser.seeds.items()))
        (tmp_path / "scratch" / file).write_bytes(data if seed < 0 else mutated(data, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                parser.read(tmp_path / "scratch" / file)
            except UsageError:
                assert seed >= 0, "the file itself must be read"
                refused += 1
    assert refused or name in ("metrics", "sessions")  # damaged lines are left out


JSON = [
    "calibration",
    "config",
    "encoder",
    "genome",
    "manifest",
    "metrics",
    "motion_captions",
    "objects",
    "recording_result",
    "results",
    "sessions",
    "set_metadata",
    "wordpiece",
]


@pytest.mark.parametrize("name", [*JSON, pytest.param("checkpoint", marks=pytest.mark.slow)])
def test_values_of_another_type_are_read_or_refused(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    parser, tried = parsers(tmp_path)[name](), 0
    (tmp_path / "scratch").mkdir()
    for file, data in parser.seeds.items():
        for made in changed(data):
            (tmp_path / "scratch" / file).write_bytes(made)
            with contextlib.suppress(UsageError):
                parser.read(tmp_path / "scratch" / file)
            tried += 1
    assert tried > 30


def test_values_of_another_type_are_those_of_every_place():
    made = [json.loads(text) for text in changed(b'{"a": [1]}') if text]
    assert {"a": [[[]]]} in made and {"a": []} in made and {"a": {}} in made and {} in made and True in made
    lines = list(changed(b'{"a": 1}\n{"b": 2}\n'))
    assert b'{"a": 1}\n{"b": [5]}' in lines and b'{"a": 1}' in lines
    assert not list(changed(b"1,2")) and not list(changed(b"a b"))


def test_every_parser_has_a_recipe():
    assert PARSERS.keys() == parsers(Path()).keys()


def test_changes_are_the_same_for_a_seed_and_change_something():
    data = b'{"a": [1, 2.5, -3]}\nx,y\n'
    for kind in set(KINDS):
        made = [kind(data, random.Random(seed)) for seed in range(9)]
        assert made == [kind(data, random.Random(seed)) for seed in range(9)]
        assert any(one != data for one in made), kind
        kind(b"", random.Random(0))


def test_trials_count_every_input():
    found = fuzz("sessions", 0, 120, 60.0)
    assert found["n"] == found["accepted"] == 120 and found["failed"] == 0
