"""Samples made in child processes are the same ones; children are replaced, and none outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.data.children import CHILD_BYTES, InChildren, check_memory
from o2t_jax.data.o2t.sample_pipeline import TrainingSamples
from o2t_jax.data.workers import Workers
from o2t_jax.errors import UsageError
from o2t_jax.systems.base import build_system
from o2t_jax.systems.o2t import O2TSystem
from tests.made_samples import Draws, ready, until

ROOT = Path(__file__).resolve().parents[2]


def gone(pid):
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.fixture
def children():
    make = InChildren(Draws(), patience=0.0)
    yield make
    make.close()


def test_a_child_gives_the_same_sample_its_own_errors_and_a_killed_one_is_replaced(children):
    here, there = Draws()(1, 7), ready(children)
    assert there["x"].dtype == here["x"].dtype and there["n"].dtype == here["n"].dtype
    for name in ("x", "n"):
        np.testing.assert_array_equal(there[name], here[name])
    kept = {name: array.copy() for name, array in there.items()}
    with pytest.raises(UsageError, match="index 13 cannot be made"):
        children([(13, 7)])
    assert int(children([(2, 7)])[0]["pid"]) == int(there["pid"])  # it lives on
    others = children([(index, 7) for index in range(20, 60)])  # more than there are slots
    for index, other in enumerate(others, start=20):  # none is overwritten while somebody has it
        np.testing.assert_array_equal(other["x"], Draws()(index, 7)["x"])
    np.testing.assert_array_equal(there["x"], kept["x"])
    del others, other
    np.testing.assert_array_equal(children([(61, 7)])[0]["x"], Draws()(61, 7)["x"])
    os.kill(int(there["pid"]), signal.SIGKILL)
    np.testing.assert_array_equal(children([(3, 7)])[0]["x"], Draws()(3, 7)["x"])
    assert int(ready(children)["pid"]) not in (int(there["pid"]), os.getpid())
    pids = children.pids()
    children.close()
    assert pids and all(gone(pid) for pid in pids)


def test_a_sample_of_another_shape_is_refused_and_not_repeated_until_it_fits(children):
    ready(children)
    with pytest.raises(UsageError, match=r"sample 14: x is float64\[1, 5\], the first sample's float64\[3, 5\]"):
        children([(14, 7)])


def test_each_thread_has_a_child_and_the_order_stays(children):
    workers = Workers(
        lambda index: Draws()(index, 0),
        first=20,
        threads=2,
        ahead=6,
        name="test",
        make_some=lambda indices: children([(index, 0) for index in indices]),
        chunk=lambda: 3,
    )
    workers.start()
    found, pids = [], set()
    until(lambda: found.append(next(workers)) or pids.add(int(found[-1]["pid"])) or len(pids - {os.getpid()}) == 2)
    workers.close()
    for index, sample in enumerate(found, start=20):
        np.testing.assert_array_equal(sample["x"], Draws()(index, 0)["x"])


def test_what_cannot_be_sent_is_made_by_threads():
    local = type("Local", (Draws,), {})
    make = InChildren(local(), patience=0.0)
    make([(1, 0)])
    with pytest.warns(UserWarning, match="samples are made by threads"):
        np.testing.assert_array_equal(make([(2, 0)])[0]["x"], Draws()(2, 0)["x"])
    assert make.pids() == []


def test_a_short_run_starts_no_process():
    make = InChildren(Draws(), patience=60.0)
    assert [int(make([(i, 0)])[0]["pid"]) for i in range(3)] == [os.getpid()] * 3 and make.pids() == []


def test_no_child_outlives_a_killed_parent():
    code = """
import time
from tests.made_samples import Draws, ready
from o2t_jax.data.children import InChildren
make = InChildren(Draws(), patience=0.0)
print(int(ready(make)["pid"]), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    until(lambda: gone(pid))


def test_an_o2t_sample_is_the_same_in_a_child():
    _, config = load_config("smoke")
    system = build_system(config)
    assert isinstance(system, O2TSystem)
    samples = TrainingSamples(system.source, system.curriculum)
    make = InChildren(samples, patience=0.0)
    try:
        until(lambda: make([(0, 0)]) and make.all_ready(1))
        for index in range(3):
            here, there = samples(index, 5), make([(index, 5)])[0]
            assert here.keys() == there.keys()
            for name in here:
                np.testing.assert_array_equal(there[name], here[name])
    finally:
        make.close()


def test_more_workers_than_memory_holds_is_one_line():
    check_memory(2, 3 * CHILD_BYTES)
    with pytest.raises(UsageError, match=r"render_workers=30 processes need .* set --config.render_workers=3$"):
        check_memory(30, 3 * CHILD_BYTES)
