"""The batch of a step comes back from the run's folder alone, and the line of a loss that is not finite says how."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import batch as batch_command
from o2t_jax.commands import train
from o2t_jax.commands._config import load_config
from o2t_jax.errors import UsageError
from o2t_jax.systems.base import build_system
from o2t_jax.training.contract import Plan
from o2t_jax.training.replay import batch_again
from o2t_jax.training.workdir import saved_steps
from tests.training.toy import Toy

CONFIG = "tests/training/toy_config.py"
COMMAND = (f"--config={CONFIG}", "--config.writers=jsonl", "--config.keep_checkpoints=3")
BAD_STEP = 5


class SpoiltToy(Toy):
    """One number of the batch of step `BAD_STEP` is not finite."""

    def points(self, step: int) -> dict[str, np.ndarray]:
        points = super().points(step)
        if step == BAD_STEP - 1:
            points["x"][2, 1] = np.nan
        return points


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("replay") / "run"
    assert train.main([*COMMAND, f"--workdir={workdir}"]) == 0
    return workdir


def test_a_batch_is_that_on_which_the_step_trained(finished, tmp_path):
    """The toy's batches are a function of the step, so that each is known."""
    config = load_config(CONFIG)[1]
    system = build_system(config)
    assert isinstance(system, Toy)
    plan = Plan(0, config.batch, 1, 1)
    saved = saved_steps(finished)
    for step in range(1, config.train_steps + 1):
        batch, first = batch_again(system, config, finished, step, plan)
        assert first == max([0, *(each for each in saved if each < step)])
        for name, wanted in system.points(step - 1).items():
            assert batch[name].tobytes() == wanted.tobytes()
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "checkpoints" / str(saved[-2]) / "manifest.json").unlink()
    batch, first = batch_again(system, config, copy, config.train_steps, plan)
    assert first < saved[-2] and batch["x"].tobytes() == system.points(config.train_steps - 1)["x"].tobytes()
    for step in (0, config.train_steps + 1):
        with pytest.raises(UsageError, match="has steps 1 to 6"):
            batch_again(system, config, finished, step, plan)


def test_the_line_of_a_loss_that_is_not_finite_names_the_command_that_shows_its_samples(tmp_path, capsys):
    workdir = tmp_path / "a run"
    spoilt = "--config.system=tests.training.test_replay:SpoiltToy"
    assert train.main([*COMMAND, spoilt, f"--workdir={workdir}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"at step {BAD_STEP}: " in line
    again = shlex.split(line.partition("(")[2].partition(")")[0])
    assert again[:3] == ["python", "-m", "experiments.batch"]
    assert batch_command.main([*again[3:], f"--out={tmp_path / 'batch.npz'}"]) == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert rows["x"][1:4] == ["float32", "8x3", "1"] and rows["y"][1:4] == ["float32", "8", "0"]
    with np.load(tmp_path / "batch.npz") as kept:
        assert np.argwhere(np.isnan(kept["x"])).tolist() == [[2, 1]]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--step is missing"),
        (["--step=9"], "has steps 1 to 6"),
        (["--step=1", "--out=/no/such/f.npz"], "--out="),
        (["--step=1", "--out=batch.npy"], "the ending '.npy' is unknown"),
        (["--step=1", "--workdir=tests"], "holds no run"),
    ],
)
def test_bad_input_is_one_line(finished, capsys, flags, says):
    assert batch_command.main([f"--workdir={finished}", *flags]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
