"""Counting collectives, and what they are counted for: a step asks for one all-reduce, with the numbers of many."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.train_step import bound
from tests.devices import simulated

ROOT = Path(__file__).resolve().parents[1]

HLO = """
  %all-reduce = (f32[4,16]{1,0}, f32[16,2]{1,0}, /*index=2*/f32[]) all-reduce(%dot, %dot.1, %sum), channel_id=1
  %get-tuple-element.1 = f32[4,16]{1,0} get-tuple-element(%all-reduce), index=0
  %psum.3 = s32[] all-reduce(%convert), channel_id=1, replica_groups={{0,1}}, to_apply=%add
  %all-reduce-start.1 = bf16[8]{0} all-reduce-start(%x), channel_id=2
  %all-reduce-done.1 = bf16[8]{0} all-reduce-done(%all-reduce-start.1)
  ROOT %all-gather.1 = pred[3,0,2]{2,1,0:T(8,128)} all-gather(%y), dimensions={0}
  %fusion = f32[2]{0} fusion(%all-reduce), calls=%all-reduce_fusion
"""

# What a step of the toy's reduces on 4 devices, in one all-reduce a type and by one a leaf; bit for bit the same.
FOUR_DEVICES = """
import json, jax, jax.numpy as jnp, numpy as np, optax
from benchmarks.scaling import count
from o2t_jax.training.parallel import make_parallel
from o2t_jax.training.state import TrainState
from o2t_jax.training.statistics import Sum
from o2t_jax.training.step import _over_devices, make_train_step

def loss(params, extra, batch, keys, step):
    error = (batch["x"] @ params["w"] + params["b"]) ** 2
    odd = batch["kind"] % 2
    statistics = {"z": Sum(batch["x"].sum(0)), "a": Sum(error.sum())}
    return error.mean(), ({"odd": (jnp.sum(error * odd), jnp.sum(odd)), "size": jnp.abs(error).max()}, statistics)

def advance(extra, params, statistics, step, key):
    return {"z": extra["z"] + statistics["z"], "a": extra["a"] + statistics["a"]}

rng = np.random.default_rng(0)
batch = {"x": rng.normal(size=(8, 3)).astype("f"), "kind": np.arange(8, dtype=np.int32)}
params = {"w": np.ones(3, "f"), "b": np.zeros((), "f")}
extra = {"z": np.ones(3, "f"), "a": np.zeros((), "f")}
tx = optax.sgd(0.1)
parallel = make_parallel(4)
state = parallel.replicate(TrainState.create(params=params, tx=tx, key=jax.random.key(0), extra=extra))
step = parallel.compile(lambda axis: make_train_step(loss, tx, advance, axis_name=axis), donate=False)
lowered = step.lower(state, parallel.put(batch))
row = count(lowered, lowered.compile())

leaves = list(rng.normal(size=(4, 4, 5, 7)).astype("f"))
counts = np.arange(4, dtype=np.int32)

def fused(leaves, n):
    metrics = {"m": leaves[2][0, 0], "p": (leaves[2][1, 1], n)}
    return _over_devices(leaves[:2], metrics, {"b": Sum(leaves[3])}, "batch")

def apart(leaves, n):
    mean, total = (lambda x: jax.lax.pmean(x, "batch")), (lambda x: jax.lax.psum(x, "batch"))
    return mean(leaves[:2]), {"m": mean(leaves[2][0, 0]), "p": (total(leaves[2][1, 1]), total(n))}, {
        "b": Sum(total(leaves[3]))}

got, want = jax.device_get(jax.pmap(lambda *x: (fused(*x), apart(*x)), axis_name="batch")(leaves, counts))
assert jax.tree.structure(got) == jax.tree.structure(want)
same = jax.tree.map(lambda a, b: a.dtype == b.dtype and bool(np.all(a == b)), got, want)
print(json.dumps({"row": row, "same": jax.tree.all(same)}))
"""


def test_collectives_are_counted_once_with_all_they_carry():
    found = scaling.find_collectives(HLO)
    assert [each.kind for each in found] == ["all-reduce", "all-reduce", "all-reduce", "all-gather"]
    assert [each.arrays for each in found] == [3, 1, 1, 1]
    assert [each.elements for each in found] == [64 + 32 + 1, 1, 8, 0]
    assert [each.bytes for each in found] == [4 * 97, 4, 16, 0]


def test_a_step_asks_for_one_all_reduce_a_type_and_changes_no_number():
    done = subprocess.run(
        [sys.executable, "-c", FOUR_DEVICES], cwd=ROOT, env=simulated(4), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    row = result["row"]
    assert row["lowered"] == row["all_reduce"] == 2  # floats; the pair's integer count
    assert row["gradient"] == 1 and row["other"] == 0
    # w and b, loss, size, the pair's sum, z and a: floats; one integer.
    assert row["kb"] == pytest.approx(4 * (3 + 1 + 3 + 3 + 1 + 1) / 1e3)
    assert result["same"]


def test_differences_are_a_modules_and_find_the_worst(tmp_path):
    want = {"moment/a/w": np.array([3.0, 4.0]), "moment/b/w": np.array([1e-3]), "parameter/a/w": np.zeros(2)}
    got = {"moment/a/w": np.array([3.0, 4.5]), "moment/b/w": np.array([1.5e-3]), "parameter/a/w": np.array([0, -0.25])}
    for name, arrays in (("want", want), ("got", got)):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    found = scaling.differences(tmp_path / "got.npz", tmp_path / "want.npz")
    assert found["gradient_diff"] == pytest.approx(0.5) and found["parameter_diff"] == 0.25


def test_the_bound_is_the_slower_of_arithmetic_and_memory():
    from o2t_jax.commands.configs import a100

    config = a100.get_config()
    found = bound(config, 989e3, 3350.0, None, None)
    assert found == {"bound_s": 1.0, "limit": "memory"}
    assert bound(config, 100.0, 1.0, 0.05, 10.0) == {"bound_s": 2.0, "limit": "arithmetic"}
