"""`experiments.generate`: a set of the toy's samples, its check, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import types

import numpy as np
import pytest

from o2t_jax.commands import generate
from o2t_jax.commands._config import load_config
from o2t_jax.data.simulated import SequenceSource
from o2t_jax.data.stored import open_set
from o2t_jax.systems.base import build_system

TOY = ["--config=experiments/configs/toy.py", "--config.horizon=3", "--config.compilation_cache=off"]
FEW = ["--train=70", "--validation=5", "--test=0"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which the command has run once."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert generate.main([*TOY, *FEW, "--json=out.json"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _inside(home, monkeypatch):
    monkeypatch.chdir(home)


def error_of(capsys, *argv, code=2):
    assert generate.main(list(argv)) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


def test_the_set_is_what_the_system_would_make(home, capsys):
    written = json.loads((home / "out.json").read_text())
    assert re.fullmatch(r"datasets/oscillator/\d{8}-\d{6}", written["path"])
    assert written["samples"] == {"train": 70, "validation": 5, "test": 0}
    _, config = load_config("toy")
    config.horizon = 3
    (source,) = build_system(config).sample_sources
    with open_set("oscillator/latest", verify=True) as stored:
        assert stored.require(source) is stored
        for name, array in stored.read("train", [69, 3, 64]).items():
            np.testing.assert_array_equal(array, source.make("train", np.array([69, 3, 64]))[name])
        assert stored.metadata["config"]["horizon"] == 3 and "--train=70" in stored.metadata["command"]
        assert {"jax", "array_record"} <= set(stored.metadata["versions"])
    assert generate.main(["--check=oscillator/latest", *TOY]) == 0
    assert "is intact: train 70, validation 5, test 0" in capsys.readouterr().out


def test_mistakes_are_one_line(home, capsys, monkeypatch):
    there = json.loads((home / "out.json").read_text())["path"]
    assert "nothing is overwritten" in error_of(capsys, *TOY, *FEW, f"--out={there}")
    assert "no sample is asked for" in error_of(capsys, *TOY, "--train=0", "--validation=0", "--test=0")
    assert "--train=-3" in error_of(capsys, *TOY, "--train=-3")
    assert "system 'o2t' makes its samples as it trains" in error_of(capsys, "--config=smoke")
    assert "did you mean 'horizon'" in error_of(capsys, *TOY, "--config.horizn=4")
    assert f"there are {there.removeprefix('datasets/')}" in error_of(capsys, "--check=pendulum/latest")
    assert "its params.stiffness is 2.0, and 3.0" in error_of(
        capsys, *TOY, "--config.env.stiffness=3", f"--check={there}"
    )
    shutil.copytree(there, "broken", dirs_exist_ok=True)
    path = next((home / "broken").glob("train-*"))
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    assert f"broken is damaged: {path.name} does not match its SHA-256" in error_of(capsys, "--check=broken")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=1e5))
    assert "its disk has 0.1 MB free, and the set needs" in error_of(capsys, *TOY, "--out=more")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_or_a_full_disk_leaves_nothing(home, capsys, monkeypatch, signum):
    def stopped(self, split, indices):
        assert list(home.glob(".more.unfinished-*"))
        os.kill(os.getpid(), signum)

    monkeypatch.setattr(SequenceSource, "make", stopped)
    assert "interrupted" in error_of(capsys, *TOY, *FEW, "--out=more", code=130)

    def full(self, split, indices):
        raise RuntimeError("write() failed: No space left on device; writing x")

    monkeypatch.setattr(SequenceSource, "make", full)
    assert "more: the disk is full, nothing is left of the set: make room" in error_of(capsys, *TOY, "--out=more")
    assert not list(home.glob("*more*"))
