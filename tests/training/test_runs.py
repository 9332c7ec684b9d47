"""Whole runs of the toy system through `experiments.train`, each in a process of its own.

The contract's test: a system that the library knows nothing of trains, resumes bit-equal, runs on four simulated
devices and in two processes, logs and evaluates. Processes start two at a time, as importing JAX takes seconds.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from o2t_jax import results
from o2t_jax.commands import report as report_command
from o2t_jax.commands import train as train_command
from o2t_jax.training import checkpoint
from o2t_jax.training.metrics import read_metrics
from o2t_jax.training.provenance import read_sessions
from tests.devices import simulated

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "--config=tests/training/toy_config.py"

FOUR_LINES = """
import numpy as np, orbax.checkpoint as ocp, pathlib
step = max(pathlib.Path({checkpoints!r}).resolve().glob("*[0-9]"), key=lambda path: int(path.name))
law = ocp.StandardCheckpointer().restore(step / "law")
print(f"g0 {{law['g0']:.3f}} alpha {{law['alpha']:.3f}} curve {{np.shape(law['curve'])}}")
"""

# Gradients on 1 and 4 devices, then the command itself on 4.
FOUR_DEVICES = """
import sys, jax, numpy as np
from o2t_jax.commands import train
from o2t_jax.commands._config import load_config
from o2t_jax.training.parallel import make_parallel
from o2t_jax.training.state import Initial
from o2t_jax.training.step import make_gradients
from tests.training.toy import Toy

toy = Toy(load_config("tests/training/toy_config.py")[1])
state, batch = Initial(toy.init, toy.tx, (0,)).make(), toy.points(0)
results = []
for count, pieces in ((1, 1), (4, 1), (4, 2), (2, 4)):
    parallel = make_parallel(count)
    make = lambda axis: make_gradients(toy.loss, axis_name=axis, micro_batches=pieces)
    grads = parallel.compile(make, donate=False)
    results.append(parallel.to_host(grads(parallel.replicate(state), parallel.put(batch))))
(want, (want_metrics, want_statistics)), *others = results
for grads, (metrics, statistics) in others:
    for got, exact in zip(jax.tree.leaves(grads), jax.tree.leaves(want), strict=True):
        assert np.max(np.abs(got - exact)) <= 1e-6 * np.max(np.abs(exact)), (got, exact)
    np.testing.assert_allclose(statistics["x"].value, want_statistics["x"].value, rtol=1e-5)
    assert statistics["count"].value == want_statistics["count"].value == 8
    np.testing.assert_allclose(metrics["loss_high"], want_metrics["loss_high"], rtol=1e-6)
    assert metrics["loss_high"][1] == want_metrics["loss_high"][1]
print("gradients agree")
sys.exit(train.main(sys.argv[1:]))
"""


def start(*command: str, **env: str) -> subprocess.Popen:
    environment = {**os.environ, "NPROC": "1", "PYTHONPATH": str(ROOT), **env}
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen, code: int = 0) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def train(workdir: Path, *arguments: str, system: str = "toy:Toy", **env: str) -> subprocess.Popen:
    system = f"--config.system=tests.training.{system}"
    return start("-m", "experiments.train", CONFIG, f"--workdir={workdir}", system, *arguments, **env)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One uninterrupted run, and one that a SIGTERM stops at step 4, in the middle of a log interval."""
    root = tmp_path_factory.mktemp("runs")
    worldly = {"system": "toy_worldly:WorldlyToy"}
    cache = f"--config.compilation_cache={root / 'cache'}"
    both = train(root / "whole", cache, **worldly), train(root / "broken", **worldly, TOY_SIGTERM_AT="3")
    return root, finish(both[0]), finish(both[1], code=128 + 15)


def numbers(workdir: Path) -> list[dict]:
    """What was logged, without what depends on the clock."""
    timed = ("train/samples_per_second", "train/data_wait_seconds", "train/first_step_seconds")
    rows = [{k: v for k, v in row.items() if k not in timed} for row in read_metrics(workdir)]
    return sorted((row for row in rows if len(row) > 1), key=lambda row: (row["step"], sorted(row)))


def test_a_foreign_system_trains_logs_evaluates_and_leaves_things_in_order(runs):
    root, output, _ = runs
    assert "devices   1 x cpu" in output and "plan      batch 8" in output and "filling the buffer 1/1" in output
    assert "step 6/6 · loss" in output and "ETA" in output and "step 6 · test · loss" in output
    rows = [row for row in read_metrics(root / "whole") if "train/first_step_seconds" in row]
    assert len(rows) == 1, "told once"
    seconds = rows[0]["train/first_step_seconds"]
    assert seconds > 0 and f"first step finished {seconds:.1f} s after the program started" in output
    result = json.loads((root / "whole" / "result.json").read_text())
    assert result["step"] == 6 and result["best_step"] in (3, 6) and result["readouts"]["law"]["text"] == "line"
    logged = {name for row in read_metrics(root / "whole") for name in row}
    assert {"train/loss", "train/loss_high", "train/grad_norm", "train/b", "test/loss", "law/g0"} <= logged
    assert json.loads((root / "whole" / "truth.json").read_text()) == {"b": 3.0}
    assert not list((root / "whole" / "checkpoints").rglob("truth*"))
    assert list((root / "cache").iterdir())  # the compiled step is kept for the next start
    assert (root / "whole" / "pictures" / "test_picture_0000006.png").stat().st_size
    score = results.from_json(json.loads((root / "whole" / "results.json").read_text())["test/loss"])
    assert score.baselines == {"always 0": 1.0} and score.value == result["eval"]["test/loss"]
    (session,) = read_sessions(root / "whole")
    assert session["step"] == 0 and session["cores"] >= 1 and "jax" in session["versions"]
    assert report_command.main([f"--workdir={root / 'whole'}", f"--out={root / 'whole.html'}"]) == 0
    page = (root / "whole.html").read_text()
    assert all(word in page for word in ("test/loss", "always 0", "test/picture", "law/curve", "6 of 6, complete"))
    assert session["command"].startswith(f"python -m experiments.train {CONFIG} --workdir={root / 'whole'} ")
    opened = checkpoint.open_workdir(root / "whole")
    assert np.any(opened.state.extra["mean_x"]) and opened.meta["data"] == {"next_step": 6}


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(runs):
    root, _, stopped = runs
    # The batch drawn ahead carried the signal, so step 3 was its first to notice.
    assert "stopped at step 3 and saved" in stopped and not (root / "broken" / "result.json").exists()
    assert "from step 3 to 6" in finish(train(root / "broken", system="toy_worldly:WorldlyToy"))
    for tree in ("params", "opt_state", "extra"):
        whole, broken = (checkpoint.read_tree(checkpoint.find_step(root / name), tree) for name in ("whole", "broken"))
        assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), whole, broken)), tree
    assert numbers(root / "broken") == numbers(root / "whole")


def test_four_devices_give_the_gradient_of_one_and_a_checkpoint_that_needs_no_library(runs):
    root, *_ = runs
    worldly = "--config.system=tests.training.toy_worldly:WorldlyToy"
    four = start("-c", FOUR_DEVICES, CONFIG, worldly, f"--workdir={root / 'four'}", XLA_FLAGS=simulated(4)["XLA_FLAGS"])
    output = finish(four)
    assert "gradients agree" in output and "devices   4 x cpu" in output
    blocked = "import sys; sys.modules['o2t_jax'] = None\n"
    read = start("-c", blocked + FOUR_LINES.format(checkpoints=str(root / "four" / "checkpoints")))
    law = checkpoint.open_workdir(root / "four").meta["readouts"]["law"]
    assert f"g0 {law['g0']:.3f} alpha nan curve (2, 2)" in finish(read)
    np.testing.assert_allclose(losses(root / "four"), losses(root / "whole"), rtol=1e-4)


def test_another_runs_weights_are_a_start_and_no_more(runs, tmp_path):
    root, *_ = runs
    source = checkpoint.open_workdir(root / "whole", 3).state
    start_from = [f"--config.init_from={root / 'whole'}@3", f"--workdir={tmp_path}", "--config.train_steps=1"]
    assert train_command.main([CONFIG, "--config.lr=0.0", *start_from]) == 0
    state = checkpoint.open_workdir(tmp_path).state
    np.testing.assert_array_equal(state.params["w"], source.params["w"])  # whose learning rate is 0
    assert state.params["b"] != source.params["b"]
    # One step on from the source's running mean, not from zero.
    assert np.max(np.abs(state.extra["mean_x"] - 0.9 * source.extra["mean_x"])) < 0.1
    assert np.max(np.abs(source.extra["mean_x"])) > 0.01


def test_a_small_machine_adds_up_gradients_over_the_same_global_batch(runs, tmp_path, capsys):
    root, *_ = runs
    worldly = "--config.system=tests.training.toy_worldly:WorldlyToy"
    assert train_command.main([CONFIG, worldly, f"--workdir={tmp_path}", "--config.memory_gb=1"]) == 0
    output = capsys.readouterr().out
    assert "batch 8 = 1 device(s) x 2 x 4" in output and "warning: micro-batch 8 -> 4" in output
    np.testing.assert_allclose(losses(tmp_path), losses(root / "whole"), rtol=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_last_good_checkpoint(tmp_path, capsys):
    command = [CONFIG, f"--workdir={tmp_path}", "--config.lr=1e30", "--config.checkpoint_every=1"]
    assert train_command.main(command) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: loss is ")
    assert error.count("\n") == 1
    bad_step = int(error.partition("at step ")[2].partition(":")[0])
    good = checkpoint.open_workdir(tmp_path)
    assert good.step == bad_step - 1
    assert jax.tree.all(jax.tree.map(lambda x: np.all(np.isfinite(x)), good.state.params))


def test_two_processes_train_as_one(runs):
    root, *_ = runs
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"--coordinator=localhost:{free.getsockname()[1]}"
    pair = [
        train(root / "two", address, "--num_processes=2", f"--process_id={i}", system="toy_worldly:WorldlyToy")
        for i in (0, 1)
    ]
    first, second = map(finish, pair)
    assert "devices   2 x cpu" in first and "2 process(es)" in first
    assert "step " not in second.replace("step 0", "")  # the second says nothing and writes nothing
    np.testing.assert_allclose(losses(root / "two"), losses(root / "whole"), rtol=1e-4)


def losses(workdir: Path) -> list[float]:
    return [row["train/loss"] for row in read_metrics(workdir) if "train/loss" in row]
