"""The commands by their two names: `experiments.X`, the clone's, runs the very file of `o2t_jax.commands.X`."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from o2t_jax.commands import __main__ as console
from o2t_jax.commands import _cli
from o2t_jax.commands._config import CONFIGS

ROOT = Path(__file__).resolve().parent.parent
# What `python -m experiments.law --help` does, then the modules that are there.
AS_MAIN = """
import contextlib, io, json, runpy, sys
sys.argv[1:] = ["--help"]
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    runpy.run_module("experiments.law", run_name="__main__", alter_sys=True)
names = [name for name in sys.modules if name.partition(".")[0] == "experiments"]
print(json.dumps({"names": names, "cli": sys.modules["o2t_jax.commands._cli"].__file__, "said": said.getvalue()}))
"""
# A child of a command that was started by the clone's name imports that command again, by the same name.
SPAWN = """
import json, multiprocessing, sys
from importlib.util import find_spec
sys.modules["__main__"].__spec__ = find_spec("experiments.law")
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(json.dumps(pool.apply(eval, ("__import__('sys').modules['__mp_main__'].__file__",))))
"""


def in_the_clone(code: str):
    """What a program prints that is started in the clone's root, as a user does: no PYTHONPATH."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


def test_a_command_by_the_clones_name_shares_all_other_modules_with_the_package() -> None:
    seen = in_the_clone(AS_MAIN)
    assert seen["names"] == ["experiments"], "a second copy of a module"
    assert Path(seen["cli"]) == ROOT / "o2t_jax" / "commands" / "_cli.py"
    assert "Reads the law from a run: python -m experiments.law" in seen["said"]


def test_a_spawned_child_finds_its_main_module() -> None:
    assert Path(in_the_clone(SPAWN)) == ROOT / "o2t_jax" / "commands" / "law.py"


def test_every_command_and_config_has_both_names() -> None:
    for name, path in console.commands().items():
        spec = importlib.util.find_spec(f"experiments.{name}")
        assert spec is not None and spec.origin is not None and Path(spec.origin) == path
    link = ROOT / "experiments" / "configs"
    assert link.is_symlink() and not link.readlink().is_absolute() and link.resolve() == CONFIGS
    assert list(link.parent.rglob("*.py")) == [link.parent / "__init__.py"], "files of commands belong to the package"


@pytest.mark.parametrize("there", ["nothing", "a folder", "another package"])
def test_where_the_clone_is_not_found_commands_are_told_by_the_console_script(there, tmp_path, monkeypatch) -> None:
    text = "make one with python -m experiments.generate --config=experiments/configs/toy.py"
    assert _cli.as_typed_here(text) == text
    assert _cli.command_line("train", ["--workdir=a b"]) == "python -m experiments.train '--workdir=a b'"
    if there != "nothing":
        (tmp_path / "experiments").mkdir()
    if there == "another package":
        (tmp_path / "experiments" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert _cli.as_typed_here(text) == "make one with o2t generate --config=experiments/configs/toy.py"
    assert _cli.command_line("train", ["--workdir=a b"]) == "o2t train '--workdir=a b'"
