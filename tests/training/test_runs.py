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

import numpy as np
import pytest

from o2t_jax.training import checkpoint
from o2t_jax.training.metrics import read_metrics

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
from experiments import train
from experiments._cli import load_config
from o2t_jax.training.parallel import make_parallel
from o2t_jax.training.step import make_gradients
from tests.training.toy import Toy

toy = Toy(load_config("tests/training/toy_config.py")[1])
state, batch = toy.init(jax.random.PRNGKey(0)), toy.points(0)
results = []
for count, pieces in ((1, 1), (4, 1), (4, 2), (2, 4)):
    parallel = make_parallel(count)
    grads = parallel.compile(lambda axis: make_gradients(toy.loss_fn, axis_name=axis, micro_batches=pieces), donate=False)
    results.append(parallel.to_host(grads(parallel.replicate(state), parallel.put(batch))))
(want, (want_metrics, want_extra)), *others = results
for grads, (metrics, extra) in others:
    for got, exact in zip(jax.tree.leaves(grads), jax.tree.leaves(want), strict=True):
        assert np.max(np.abs(got - exact)) <= 1e-6 * np.max(np.abs(exact)), (got, exact)
    np.testing.assert_allclose(extra["mean_x"], want_extra["mean_x"], rtol=1e-6)
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
    both = train(root / "whole", **worldly), train(root / "broken", **worldly, TOY_SIGTERM_AT="3")
    return root, finish(both[0]), finish(both[1], code=128 + 15)


def numbers(workdir: Path) -> list[dict]:
    """What was logged, without what depends on the clock."""
    timed = ("train/samples_per_second", "train/data_wait_seconds")
    rows = [{k: v for k, v in row.items() if k not in timed} for row in read_metrics(workdir)]
    return sorted((row for row in rows if len(row) > 1), key=lambda row: (row["step"], sorted(row)))


def test_a_foreign_system_trains_logs_evaluates_and_leaves_things_in_order(runs):
    root, output, _ = runs
    assert "devices   1 x cpu" in output and "plan      batch 8" in output and "filling the buffer 1/1" in output
    assert "step 6/6 · loss" in output and "ETA" in output and "step 6 · test · loss" in output
    result = json.loads((root / "whole" / "result.json").read_text())
    assert result["step"] == 6 and result["best_step"] in (3, 6) and result["law"]["text"] == "line"
    logged = {name for row in read_metrics(root / "whole") for name in row}
    assert {"train/loss", "train/loss_high", "train/grad_norm", "train/b", "test/loss", "law/g0"} <= logged
    assert json.loads((root / "whole" / "truth.json").read_text()) == {"b": 3.0}
    assert not list((root / "whole" / "checkpoints").rglob("truth*"))
    assert (root / "whole" / "pictures" / "test_picture_0000006.png").stat().st_size
    opened = checkpoint.open_workdir(root / "whole")
    assert np.any(opened.state.extra["mean_x"]) and opened.meta["data"] == {"next_step": 6}


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(runs):
    root, _, stopped = runs
    # The batch drawn ahead carried the signal, so step 3 was its first to notice.
    assert "stopped at step 3 and saved" in stopped and not (root / "broken" / "result.json").exists()
    first, second = train(root / "broken", system="toy_worldly:WorldlyToy"), train(root / "whole", "--config.lr=0.2")
    assert "from step 3 to 6" in finish(first)
    assert "differing fields: lr (there 0.1, now 0.2)" in finish(second, code=2)
    for tree in ("params", "opt_state", "extra"):
        whole, broken = (
            checkpoint._read_tree(checkpoint.find_step(root / name), tree) for name in ("whole", "broken")
        )
        import jax

        assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), whole, broken)), tree
    assert numbers(root / "broken") == numbers(root / "whole")


def test_four_devices_give_the_gradient_of_one_and_a_checkpoint_that_needs_no_library(runs):
    root, *_ = runs
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    worldly = "--config.system=tests.training.toy_worldly:WorldlyToy"
    four = start("-c", FOUR_DEVICES, CONFIG, worldly, f"--workdir={root / 'four'}", XLA_FLAGS=flags)
    bad = train(root / "nan", "--config.lr=1e30", "--config.checkpoint_every=1")
    output = finish(four)
    assert "gradients agree" in output and "devices   4 x cpu" in output
    error = finish(bad, code=2)
    assert error.splitlines()[-1].startswith("error: loss is") and "Traceback" not in error
    bad_step = int(error.partition("at step ")[2].partition(":")[0])
    assert checkpoint.open_workdir(root / "nan").step == bad_step - 1  # intact
    blocked = "import sys; sys.modules['o2t_jax'] = None\n"
    read = start("-c", blocked + FOUR_LINES.format(checkpoints=str(root / "four" / "checkpoints")))
    law = checkpoint.open_workdir(root / "four").meta["law"]
    assert f"g0 {law['g0']:.3f} alpha nan curve (2, 2)" in finish(read)
    np.testing.assert_allclose(losses(root / "four"), losses(root / "whole"), rtol=1e-4)


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
