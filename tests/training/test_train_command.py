"""`experiments.train` refuses what cannot work: one line, exit code 2, nothing touched. In this process, for speed."""

import json
import subprocess
import sys
import time

import pytest

from o2t_jax.commands import sweep, train
from o2t_jax.commands._cli import config_overrides
from o2t_jax.commands._config import load_config
from o2t_jax.errors import UsageError
from o2t_jax.training import parallel
from o2t_jax.training import workdir as folders

CONFIG = "--config=tests/training/toy_config.py"


def refuse(capsys, *arguments: str) -> str:
    """Runs the command in this process; its one line on standard error."""
    assert train.main([CONFIG, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--config.bacth=4", "no field 'bacth'; did you mean 'batch'?"),
        ("--config.batch=four", "invalid literal"),
        ("--config.lr=nan", "lr=nan is not a finite number"),
        ("--config.train_steps=0", "train_steps=0 must be at least 1"),
        ("--config.seed=-1", "seed=-1 must not be negative"),
        ("--wrokdir=x", "Did you mean: workdir"),
        ("stray", "unknown argument 'stray'"),
        ("--config=nowhere.py", "no such file"),
        ("--config=tests/conftest.py", "no function get_config"),
        ("--config.system=o2", "did you mean 'o2t'?"),
        ("--config.system=no.such.module", "no module 'no'"),
        ("--config.system=tests.training.toy:nothing", "has no 'nothing'"),
        ("--config.device=gup", "did you mean 'gpu'?"),
        ("--config.device=tpu", "device=tpu is not available"),
        ("--config.parallel=99", "parallel=99, but this process has"),
        ("--config.memory_gb=0.01", "one sample at a time needs"),
        ("--config.init_from=/nowhere", "/nowhere holds no checkpoint"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, argument, says):
    assert says in refuse(capsys, f"--workdir={tmp_path / 'run'}", argument)
    assert not (tmp_path / "run").exists()


def test_a_batch_that_devices_cannot_share_is_refused():
    four = parallel.Parallel(tuple(parallel.make_parallel().devices) * 4)
    four.check_batch(8)
    with pytest.raises(Exception, match=r"batch=10 cannot be shared equally by 4 devices: set --config\.batch=8"):
        four.check_batch(10)


def test_a_device_that_a_variable_asks_for_is_told_as_such(monkeypatch):
    def absent():
        raise AssertionError

    monkeypatch.setattr(parallel.jax, "devices", absent)
    for name, words in (("cuda", "has JAX_PLATFORMS=cuda, .*: unset the variable"), ("", "set --config.device=cpu")):
        monkeypatch.setenv("JAX_PLATFORMS", name)
        with pytest.raises(UsageError, match=f"device=auto.*{words}"):
            parallel.start_devices("auto")


def test_help_and_typing_mistakes_are_answered_without_jax():
    begun = time.monotonic()
    code = "import sys; from o2t_jax.commands import train; code = train.main(sys.argv[1:]); "
    code += "print('jax' in sys.modules, code)"
    run = subprocess.run([sys.executable, "-c", code, CONFIG, "--help"], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("False 0\n") and "checkpoint_every = 2" in run.stdout and "--workdir" in run.stdout
    typed = [sys.executable, "-m", "o2t_jax.commands.train", CONFIG, "--config.traim_steps=3"]
    run = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr == "error: the config has no field 'traim_steps'; did you mean 'train_steps'?\n"
    assert time.monotonic() - begun < 20


def test_the_workdir_follows_from_what_is_computed():
    _, config = load_config("tests/training/toy_config.py")
    name = folders.default_workdir("toy", config)
    config.log_every, config.device = 7, "cpu"  # does not change what is computed
    assert folders.default_workdir("toy", config) == name
    config.lr = 0.2
    assert folders.default_workdir("toy", config) != name


def test_a_workdir_of_another_config_is_left_alone(capsys, tmp_path):
    _, config = load_config("tests/training/toy_config.py")
    folders.claim_workdir(tmp_path, config, {"b": 3.0})
    config.lr = 0.7
    folders.check_workdir(tmp_path, config)  # no checkpoint yet: nothing to lose
    config.lr = 0.1
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    error = refuse(capsys, f"--workdir={tmp_path}", "--config.lr=0.5", "--config.slope=1")
    assert "differing fields: lr (there 0.1, now 0.5), slope (there 3.0, now 1.0)" in error
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    config.log_every = 3
    folders.check_workdir(tmp_path, config)  # a field that is free to change


def test_a_workdir_that_another_process_trains_in_is_left_alone(capsys, tmp_path):
    _, config = load_config("tests/training/toy_config.py")
    folders.claim_workdir(tmp_path, config, None)
    with folders.locked(tmp_path):
        assert "another process is training" in refuse(capsys, f"--workdir={tmp_path}")
    assert "cannot be written" in refuse(capsys, f"--workdir={tmp_path / 'config.json'}")


def test_config_survives_json(tmp_path):
    _, config = load_config("tests/training/toy_config.py")
    folders.claim_workdir(tmp_path, config, None)
    again = folders.config_from_json(json.loads((tmp_path / "config.json").read_text()))
    assert again.to_dict() == config.to_dict() and isinstance(again.free_fields, tuple)


def test_overrides_are_told_from_other_flags():
    argv = ["--config", "a.py", "--out=x", "--config.lr", "3", "--config.batch=4"]
    assert config_overrides(argv) == ["--config=a.py", "--config.lr=3", "--config.batch=4"]


class FakeTraining:
    """Stands in for `sweep.launch`: writes the result that a run of the given fields would leave."""

    def __init__(self):
        self.calls = []

    def __call__(self, arguments, log):
        options = dict(item.lstrip("-").split("=", 1) for item in arguments)
        self.calls.append(options)
        if options["config.lr"] == "9":
            return 2, "error: loss is nan"
        folder = log.parent / log.stem
        folder.mkdir(exist_ok=True)
        value = float(options["config.lr"]) + float(options["config.seed"])
        result = {
            "train": {"loss": value},
            "eval": {"test/mse": 2 * value},
            "readouts": {"law": {"g0": 9.0, "alpha": None, "s": "x"}},
        }
        folders.write_json(folder / "result.json", result)
        return 0, ""


def test_sweep_runs_fields_times_seeds_skips_what_is_finished_and_tells_failures(monkeypatch, capsys, tmp_path):
    fake = FakeTraining()
    monkeypatch.setattr(sweep, "launch", fake)
    command = [CONFIG, "--config.slope=2", "--seeds=2", f"--out={tmp_path}"]
    assert sweep.main([*command, "--fields=lr=1,3;batch=8"]) == 0
    assert [(call["config.lr"], call["config.seed"]) for call in fake.calls] == [*zip("1133", "0101", strict=True)]
    assert all(call["config.slope"] == "2" and call["config.batch"] == "8" for call in fake.calls)
    rows = json.loads((tmp_path / "table.json").read_text())
    mean = next(row for row in rows if row["seed"] == "mean" and row["lr"] == "3")
    assert mean["test/mse"] == 7.0 and mean["law/g0"] == 9.0 and mean["status"] == "2 runs"
    assert (tmp_path / "table.csv").read_text().startswith("lr,batch,seed,status,train/loss,test/mse,law/g0\n")
    assert sweep.main([*command, "--fields=lr=1,9;batch=8"]) == 1  # lr=1 is there, lr=9 fails
    assert len(fake.calls) == 6 and "2 of 4 runs failed" in capsys.readouterr().out
    assert sweep.main([*command, "--fields=lrr=1"]) == 2
    assert sweep.main([*command, "--fields=lr"]) == 2
