"""The settings for a CPU: asked for once, by our own commands alone, undone by one switch, and not handed on."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import jax
import pytest

from o2t_jax.commands import _cpu
from o2t_jax.commands._cpu import HUGE_PAGES, KEPT, asking_for_memory, default_malloc, is_own_command
from o2t_jax.errors import UsageError
from o2t_jax.process import set_variable, user_environment

ROOT = Path(__file__).resolve().parent.parent
LAW = ROOT / "o2t_jax" / "commands" / "law.py"
ON_REQUEST = "always [madvise] never"
GLIBC = "CS_GNU_LIBC_VERSION" in os.confstr_names and bool(os.confstr("CS_GNU_LIBC_VERSION"))
# Every interpreter runs this first: it tells that one has started.
WITNESS = "import os, sys; print('started', os.environ.get('GLIBC_TUNABLES'), file=sys.stderr)"
CALL = "from o2t_jax.commands import law; print('before', flush=True); code = law.main(); print('after', code)"
REFUSED = "error: --workdir is missing"  # of experiments.law, before it imports JAX


def test_each_setting_is_asked_for_once_and_the_users_own_wins() -> None:
    everything = ":".join((HUGE_PAGES, *KEPT))
    assert asking_for_memory("", ON_REQUEST) == everything
    asked = asking_for_memory("glibc.malloc.arena_max=2", ON_REQUEST)
    assert asked == f"glibc.malloc.arena_max=2:{everything}"
    assert asking_for_memory(asked, ON_REQUEST) is None, "asked for twice"
    refused = HUGE_PAGES.replace("=1", "=0")
    assert asking_for_memory(refused, ON_REQUEST) == ":".join((refused, *KEPT)), "the user has said no"
    for pages in ("[always] madvise never", "always madvise [never]", ""):
        assert asking_for_memory("", pages) == ":".join(KEPT)


def interpreters(folder: Path, *command: str, text: str = "") -> tuple[list[str], str, str]:
    """Runs a program: GLIBC_TUNABLES of each interpreter that started, standard output, the rest of standard error."""
    (folder / "sitecustomize.py").write_text(WITNESS)
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=60
    )
    lines = done.stderr.splitlines()
    started = [line.removeprefix("started ") for line in lines if line.startswith("started ")]
    return started, done.stdout, "\n".join(line for line in lines if not line.startswith("started "))


@pytest.mark.parametrize(
    ("command", "restarts"),
    [
        (("-X", "utf8", "-m", "experiments.law", "--step=1 2"), True),
        (("-m", "o2t_jax.commands.law", "--step=1 2"), True),
        ((str(LAW),), True),
        (("-m", "experiments.law", "--cpu_tuning=off"), False),
        (("-m", "experiments.train", "--config=smoke", "--config.memory_gb=-1", "--config.cpu_tuning=off"), False),
        (("-m", "experiments.train", "--config=without", "--config.memory_gb=-1"), False),
        (("-m", "experiments.law", "--hlep"), False),
    ],
)
def test_one_of_our_commands_starts_once_more_unless_it_is_told_not_to(tmp_path, command, restarts) -> None:
    (tmp_path / "without").write_text(
        "from o2t_jax.commands.configs import smoke\n\ndef get_config():\n    config = smoke.get_config()\n"
        "    config.cpu_tuning = 'off'\n    return config\n"
    )
    started, _, error = interpreters(tmp_path, *command)
    assert error.startswith("error: ") and "\n" not in error
    assert len(started) == (2 if restarts and GLIBC else 1) and started[0] == "None"
    assert all(tunable in started[-1] for tunable in KEPT if restarts and GLIBC)


@pytest.mark.parametrize("command", [("-",), ("-c", CALL), ("my_script.py",), ("-i",)])
def test_a_program_of_the_users_runs_once_and_to_its_end(tmp_path, command) -> None:
    """From standard input, as an argument, from a file, at a prompt."""
    (tmp_path / "my_script.py").write_text(CALL)
    started, output, error = interpreters(tmp_path, *command, text=CALL + "\n")
    assert started == ["None"]
    assert output.splitlines() == ["before", "after 2"] and REFUSED in error


def test_a_notebook_a_profiler_and_a_script_beside_ours_are_not_our_commands() -> None:
    def module(file: Path | None, name: str | None = None) -> types.ModuleType:
        main = types.ModuleType("__main__")
        main.__spec__ = None if name is None else types.SimpleNamespace(name=name)  # type: ignore[assignment]
        if file is not None:
            main.__file__ = str(file)
        return main

    ours = module(LAW, "experiments.law")
    assert is_own_command(ours, ["python", "-X", "x", "-m", "experiments.law", "-m", "x"])
    assert is_own_command(ours, ["python", "-B", "-mexperiments.law"])
    assert is_own_command(module(LAW), ["python", str(LAW), "--a"])
    assert not is_own_command(None, ["python"])
    assert not is_own_command(module(None), ["python"])
    kernel = module(Path("/x/ipykernel_launcher.py"), "ipykernel_launcher")
    assert not is_own_command(kernel, ["python", "-m", "ipykernel_launcher", "-f", "a"])
    # A profiler or IPython's %run puts our file in the place of the main module; restarting would lose the profiler.
    assert not is_own_command(ours, ["python", "-m", "profiler", "-m", "experiments.law"])
    assert not is_own_command(module(LAW), ["python", "/bin/ipython"])
    assert not is_own_command(module(ROOT / "tests" / "x.py"), ["python", str(ROOT / "tests" / "x.py")])


@pytest.fixture
def bare(monkeypatch):
    """An environment without what other tests have set."""
    for name in ("XLA_FLAGS", "O2T_JAX_BEFORE"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("tuning", ["on", "off"])
def test_off_leaves_environment_compiler_and_dispatch_as_they_come(bare, monkeypatch, tuning) -> None:
    told = []
    monkeypatch.setattr(jax.config, "update", lambda name, value: told.append((name, value)))
    before = dict(os.environ)
    _cpu.prepare(tuning)
    _cpu.start_devices(tuning)
    assert (dict(os.environ) == before) == (tuning == "off" or not jax.__version__.startswith("0.10."))
    assert told == ([] if tuning == "off" else [("jax_cpu_enable_async_dispatch", False)])
    assert user_environment() == before


def test_an_unknown_choice_is_refused() -> None:
    with pytest.raises(UsageError, match="cpu_tuning='no' is unknown: choose on or off"):
        _cpu.prepare("no")


def test_a_program_that_we_start_gets_the_users_environment(bare, monkeypatch) -> None:
    monkeypatch.setenv("THEIRS", "a")
    before = dict(os.environ)
    for name, value in (("THEIRS", "b"), ("NEW", "c"), ("THEIRS", "d")):
        set_variable(name, value)
    assert os.environ["THEIRS"] == "d" and os.environ["NEW"] == "c"
    assert user_environment() == before


def test_a_peer_can_be_started_with_malloc_as_it_comes(monkeypatch) -> None:
    def seen() -> str:
        program = "import os; print(os.environ.get('GLIBC_TUNABLES'))"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.strip()

    monkeypatch.setenv("GLIBC_TUNABLES", HUGE_PAGES)
    with default_malloc():
        assert seen() == "None"
    assert seen() == HUGE_PAGES


def test_a_command_that_has_moved_answers_under_its_old_name(capsys) -> None:
    old = ("worlds", "ablations", "budget", "coverage", "forms")
    for name in old:
        assert importlib.import_module(f"o2t_jax.commands.{name}").main(["--help"]) == 2
        error = capsys.readouterr().err
        module = error.partition("python -m ")[2].partition(",")[0]
        assert error.count("\n") == 1 and importlib.util.find_spec(module) is not None, error
