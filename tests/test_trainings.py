"""A command that starts trainings ends with them, whatever ends it, and tells why one of them failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from o2t_jax.commands import _trainings

ROOT = Path(__file__).resolve().parent.parent
# In the place of experiments.train: works for a minute; at a signal it takes a while to save, as training does.
TRAINING = """
import os, signal, sys, time
folder = [item.partition("=")[2] for item in sys.argv if item.startswith("--workdir=")][0]
os.makedirs(folder, exist_ok=True)

def save(signum, frame):
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, lambda *_: open(folder + "/again", "a").write("x"))
    time.sleep(0.3)
    open(folder + "/saved", "w").close()
    sys.exit(128 + signum)

signal.signal(signal.SIGTERM, save)
signal.signal(signal.SIGINT, save)
with open(folder + "/begun", "w") as file:
    file.write(str(os.getpid()))
os.replace(folder + "/begun", folder + "/started")  # whole as soon as it is there
time.sleep(60)
"""
COMMAND = """
import sys
from o2t_jax.commands import _trainings, sweep
from o2t_jax.commands.studies import worlds
_trainings.COMMAND = (sys.executable, "training.py")
sys.exit({"sweep": sweep, "worlds": worlds}[sys.argv[1]].main(sys.argv[2:]))
"""
SWEEP = ("sweep", "--config=smoke", "--fields=lr=1e-4,3e-4,1e-3", "--out=out")
WORLDS = ("worlds", "--config=smoke", "--worlds=1.5,2.5", "--out=out")


@pytest.mark.parametrize(
    ("command", "signum", "to_all", "started"),
    [
        (SWEEP, signal.SIGTERM, False, 1),
        ((*SWEEP, "--jobs=2"), signal.SIGHUP, False, 2),
        (WORLDS, signal.SIGUSR1, False, 1),
        (WORLDS, signal.SIGINT, True, 1),  # Ctrl-C: the terminal sends it to the trainings as well
    ],
)
def test_a_signal_is_handed_on_and_waited_for(tmp_path, command, signum, to_all, started):
    (tmp_path / "training.py").write_text(TRAINING)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *command],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("out/*/started"))) < started:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    (os.killpg if to_all else os.kill)(process.pid, signum)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert f"stopped by {signal.Signals(signum).name}" in output and "failed" not in output
    folders = [path.parent for path in tmp_path.glob("out/*/started")]
    assert len(folders) == started, "no other training was begun"
    assert all((folder / "saved").exists() for folder in folders), "waited for"
    for folder in folders:
        with pytest.raises(ProcessLookupError):
            os.kill(int((folder / "started").read_text()), 0)
    assert not list(tmp_path.glob("out/*-seed0.json")), "no record of a run that has not ended"


def test_the_reason_of_a_failure_is_the_trainings_own_and_the_log_stays(tmp_path, monkeypatch):
    """Another process may be training in the same folder, with its output in the same log."""
    log = tmp_path / "run.log"
    log.write_text("step 1 of another\nerror: an old one\n")
    code = "print('run'); print('error: another process is training in x'); print('step 2 of another'); exit(2)"
    monkeypatch.setattr(_trainings, "COMMAND", (sys.executable, "-c", code))
    assert _trainings.launch([], log) == (2, "error: another process is training in x")
    assert log.read_text().startswith("step 1 of another\nerror: an old one\nrun\n")
    monkeypatch.setattr(_trainings, "COMMAND", (sys.executable, "-c", "print('error: was'); print('complete')"))
    assert _trainings.launch([], log) == (0, "complete")
    monkeypatch.setattr(_trainings, "COMMAND", (sys.executable, "-c", "exit(3)"))
    assert _trainings.launch([], log) == (3, "exit code 3")


def test_a_training_gets_the_users_environment(tmp_path, monkeypatch):
    """So that it chooses its own settings, which may differ: a sweep over cpu_tuning compares what it says."""
    monkeypatch.setenv("XLA_FLAGS", "--ours")
    monkeypatch.setenv("O2T_JAX_BEFORE", '{"XLA_FLAGS": "--users"}')
    code = "import os; print(os.environ['XLA_FLAGS'])"
    monkeypatch.setattr(_trainings, "COMMAND", (sys.executable, "-c", code))
    assert _trainings.launch([], tmp_path / "log") == (0, "--users")


def test_a_trainings_own_progress_is_shown_while_it_runs(tmp_path, monkeypatch, capsys):
    log = tmp_path / "run.log"
    log.write_text("step 9/9 · ETA 0:00 of an earlier training\n")
    code = (
        "import sys, time\nfor line in ('compiling', 'step 1/2 · ETA 0:07', 'evaluating', 'step 2/2 · ETA 0:00'):\n"
        "    print(line, flush=True); time.sleep(0.3)"
    )
    monkeypatch.setattr(_trainings, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(_trainings, "_running", _trainings._Running())
    monkeypatch.setattr(_trainings, "_LOOK_S", 0.05)
    monkeypatch.setattr(_trainings, "_PLAIN_S", 0.0)
    assert _trainings.launch([], log) == (0, "step 2/2 · ETA 0:00")
    assert capsys.readouterr().out.splitlines() == ["  run: step 1/2 · ETA 0:07", "  run: step 2/2 · ETA 0:00"]
