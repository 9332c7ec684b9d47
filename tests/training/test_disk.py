"""Room is looked at before it is needed; where it ends all the same, one line says so and what was saved stays."""

import errno
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from o2t_jax.errors import UsageError
from o2t_jax.training import disk

ROOT = Path(__file__).resolve().parents[2]
TOY = "--config=tests/training/toy_config.py"


@pytest.mark.parametrize(
    ("saved", "saves", "free", "fits"), [(0, 99, 3.9, False), (0, 99, 4.0, True), (3, 99, 1.0, True), (0, 1, 1.0, True)]
)
def test_the_latest_the_best_and_the_one_being_written_must_fit(tmp_path, monkeypatch, saved, saves, free, fits):
    """With two latest; what is there, and what will never be written, needs no room."""
    for step in range(saved):
        (tmp_path / "run" / "checkpoints" / str(step)).mkdir(parents=True)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=free * 1e9))
    if fits:
        disk.check_room(tmp_path / "run", 10**9, keep=2, saves=saves)
        return
    with pytest.raises(UsageError, match=r"its disk has 3\.9 GB free, but 4 more checkpoints of 1\.0 GB are needed"):
        disk.check_room(tmp_path / "run", 10**9, keep=2, saves=saves)


def test_a_full_disk_is_known_by_the_systems_number_or_words_wherever_they_are():
    for code, what in ((errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EFBIG, "size")):
        plain = OSError(code, os.strerror(code))
        library = ValueError(f'RESOURCE_EXHAUSTED: Error writing "a/0": [OS error {code}: {os.strerror(code)}]')
        wrapped = RuntimeError("save failed")
        wrapped.__cause__ = library
        masked = KeyError("while closing")
        masked.__context__ = wrapped
        for error in (plain, library, wrapped, masked):
            assert what in (disk.reason_of(error) or ("",))[0]
    assert "clock" in (disk.reason_of(TimeoutError("ChainedFuture completed 0/7 futures")) or ("",))[0]
    assert disk.reason_of(TimeoutError("of something else")) is None
    assert disk.reason_of(OSError(errno.EACCES, "Permission denied")) is None and disk.reason_of(None) is None


def test_one_line_tells_the_step_and_what_is_whole_and_the_half_written_goes(tmp_path):
    for name in ("4", "8.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    with (
        pytest.raises(
            UsageError, match="the disk is full at step 9; checkpoint 4 is intact: make room and run the same"
        ),
        disk.explained(tmp_path, lambda: 9),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path / "checkpoints") == ["4"]
    with pytest.raises(PermissionError), disk.explained(tmp_path, lambda: 9):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="needs bash' ulimit")
def test_a_run_that_meets_the_limit_ends_with_one_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "experiments.train",
        TOY,
        f"--workdir={tmp_path / 'run'}",
        "--config.train_steps=2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    limited = ["/bin/bash", "-c", 'ulimit -f 2; exec "$@"', "bash", *command]
    done = subprocess.run(limited, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "a file has reached the limit on a file's size at step" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
