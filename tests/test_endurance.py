"""What a long run keeps: growth is told from noise, and a look counts what it should."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import endurance

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


def test_growth_is_that_of_the_line_and_noise_is_not_growth():
    seconds = np.linspace(600.0, 3600.0, 60)
    noise = np.random.default_rng(0).normal(0.0, 2.0, 60)
    leak = endurance.growth(seconds, 1000.0 * (1 + 0.05 * (seconds - 600.0) / 3000.0) + noise)
    assert leak["growth_%"] == pytest.approx(5.0, abs=0.2) and leak["low"] > endurance.LIMIT
    assert leak["begin"] == pytest.approx(1000.0, abs=2.0) and leak["end"] == pytest.approx(1050.0, abs=2.0)
    flat = endurance.growth(seconds, 1000.0 + noise)
    assert flat["low"] < 0.0 < flat["high"] < endurance.LIMIT
    spikes = 1000.0 + np.where(np.arange(60) % 10 == 9, 500.0, 0.0)  # what an evaluation takes and gives back
    assert abs(endurance.growth(seconds, spikes)["growth_%"]) < 0.1
    assert endurance.growth(seconds, np.zeros(60))["growth_%"] == 0.0
    assert math.isnan(endurance.growth([1, 2, 3, 4], [1, 1, 1, 1])["growth_%"])


def test_the_warm_up_does_not_count():
    flat = dict.fromkeys(("own", "handles", "threads", "disk"), 5.0)
    samples = [{"seconds": 60.0 * i, "rss": 100.0 + min(i, 10), **flat} for i in range(30)]
    memory, *others = endurance.rows_of(samples, 600.0)
    assert memory["growth_%"] == 0.0 and memory["samples"] == 20 and all(row["growth_%"] == 0.0 for row in others)
    assert endurance.rows_of(samples, 0.0)[0]["growth_%"] > 1.0


# Takes 40 MB, a thread, a child and an open file when told to: the memory of the process of the tests moves by itself.
GROWS = """
import subprocess, sys, threading
print("before", flush=True)
input()
kept, done = bytearray(b"1" * 40_000_000), threading.Event()
threading.Thread(target=done.wait).start()
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
with open(sys.argv[1]):
    print(child.pid, flush=True)
    input()
child.communicate(b"\\n")
done.set()
"""


@LINUX
def test_a_look_counts_memory_handles_threads_children_and_files_but_no_logs(tmp_path):
    (tmp_path / "tensorboard").mkdir()
    for name in ("metrics.jsonl", "tensorboard/events", "checkpoint"):
        (tmp_path / name).write_bytes(bytes(2_000_000))
    command = [sys.executable, "-c", GROWS, str(tmp_path / "checkpoint")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout and process.stdout.readline() == "before\n"
        before = endurance.look(process.pid, tmp_path)
        process.stdin.write("\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        after, found = endurance.look(process.pid, tmp_path), endurance.family(process.pid)
        process.communicate("\n")
    assert process.returncode == 0 and found == [process.pid, child]
    assert before["disk"] == after["disk"] == 2.0
    assert all(after[name] - before[name] > 39.0 for name in ("rss", "own"))
    assert after["handles"] - before["handles"] >= 2 and after["threads"] - before["threads"] >= 2


@LINUX
def test_rounds_leave_nothing_and_a_failure_is_no_round(tmp_path):
    def train(workdir: Path) -> int:
        workdir.mkdir()
        (workdir / "checkpoint").write_bytes(bytes(10**6))
        time.sleep(0.002)
        trained.append(workdir)
        return 0

    trained: list[Path] = []
    samples = endurance.rounds(tmp_path, 0.002, train, lambda text: None)
    assert len(samples) == len(trained) > 0 and all(sample["disk"] == 0 for sample in samples)
    with pytest.raises(RuntimeError, match="round 1: exit code 2"):
        endurance.rounds(tmp_path, 0.001, lambda workdir: 2, lambda text: None)


def test_bad_input_is_one_line(capsys):
    assert endurance.main(["--minutes=5"]) == 2
    said = capsys.readouterr().err
    assert "must be above --warm_up=10" in said and said.count("\n") == 1


@LINUX
def test_a_restarted_command_goes_on_and_its_peaks_are_seen(tmp_path):
    """A program in place of a training: it takes 60 MB for a moment, saves a step more, and waits for SIGTERM."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "root = pathlib.Path(sys.argv[-1].partition('=')[2]) / 'checkpoints'\n"
        "taken = b'1' * 60_000_000\n"
        "time.sleep(1.0)\n"
        "del taken\n"
        "(root / str(len(list(root.glob('*'))) + 1)).mkdir(parents=True)\n"
        "time.sleep(600)\n"
    )
    command, told = [sys.executable, str(program)], []
    samples = endurance.restarts(tmp_path, 0.05, command, 1, told.append)
    assert len(samples) == len(told) == len(list((tmp_path / "run" / "checkpoints").iterdir())) > 0
    assert all(sample["own"] > 60 and sample["cache"] == 0 for sample in samples)
    (tmp_path / "cache").rmdir()
    with pytest.raises(RuntimeError, match="round 1: exit code 1"):
        endurance.restarts(tmp_path, 0.05, [sys.executable, "-c", "raise SystemExit(1)"], 1, told.append)


@LINUX
def test_a_watched_command_is_looked_at_until_the_time_is_up_and_its_failure_is_told(tmp_path):
    program = tmp_path / "program.py"

    def watched(*command: str) -> list[dict]:
        return endurance.watched(tmp_path, 0.01, [sys.executable, *command], lambda text: None, 0.1)

    program.write_text(
        "import pathlib, sys, time\n"
        "root = pathlib.Path(sys.argv[-1].partition('=')[2])\n"
        "root.mkdir()\n"
        "(root / 'checkpoint').write_bytes(bytes(10**6))\n"
        "time.sleep(600)\n"
    )
    samples = watched(str(program))
    assert len(samples) > 2 and samples[-1]["disk"] == pytest.approx(1.0, abs=1e-3) and samples[-1]["rss"] > 3
    with pytest.raises(RuntimeError, match="exit code 3: no"):
        watched("-c", "import sys; print('no', flush=True); sys.exit(3)")
