"""Plans: whatever fits is kept, the global batch never changes, what cannot fit is refused by name."""

import pathlib
import platform
import subprocess
import sys
import time

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.errors import UsageError
from o2t_jax.training import resources
from o2t_jax.training.contract import Plan
from o2t_jax.training.resources import Memory, make_plan

MB = 10**6


def plan(memory_mb, device_mb=None, **changes):
    arguments = {
        "batch": 16,
        "devices": 1,
        "local_devices": 1,
        "state_bytes": 30 * MB,
        "params_bytes": 10 * MB,
        "activation_bytes": lambda n: n * 100 * MB,
        "sample_bytes": 1 * MB,
        "pool_size": 1000,
        "size_fields": ("render_size",),
    }
    memory = Memory(memory_mb * MB, None if device_mb is None else device_mb * MB)
    return make_plan(memory=memory, **(arguments | changes))


def test_enough_memory_changes_nothing():
    assert plan(20_000) == Plan(1000, 16, 1, 1)


def test_a_smaller_machine_gets_a_smaller_buffer_and_micro_batch_and_is_told():
    small = plan(2_000)
    assert small.micro_batch * small.micro_batches == 16 and small.micro_batches > 1
    assert 16 <= small.pool_size < 1000
    assert len(small.warnings) == 2 and "pool_size 1000 ->" in small.warnings[0]
    needed = small.pool_size * MB + small.micro_batch * 100 * MB + 30 * MB + 20 * MB
    assert needed < 2_000 * MB


@settings(deadline=None, max_examples=60)
@given(
    st.integers(300, 30_000),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([8, 12, 16, 64]),
    st.one_of(st.none(), st.integers(100, 5_000)),
)
def test_every_plan_fits_and_keeps_the_global_batch(memory_mb, devices, batch, device_mb):
    try:
        made = plan(memory_mb, device_mb, devices=devices, local_devices=devices, batch=batch)
    except UsageError:
        assert memory_mb < 2_500 or (device_mb or 10_000) < 250  # only what is really small is refused
        return
    assert made.devices * made.micro_batches * made.micro_batch == batch
    step = made.micro_batch * 100 * MB + 50 * MB
    if device_mb is None:
        assert made.pool_size * MB + devices * step <= memory_mb * MB
    else:
        assert made.pool_size <= memory_mb and step <= device_mb * MB


def test_a_buffer_on_the_device_counts_there_and_not_on_the_host():
    device = plan(1_000, 3_000, pool_on_device=True)
    assert device.pool_size == 1000, "the host, which has no room for it, need not hold it"
    assert device.pool_size * MB + device.micro_batch * 100 * MB + 50 * MB <= 3_000 * MB
    small = plan(20_000, 1_000, pool_on_device=True)
    assert 16 <= small.pool_size < 500 and "not free in device memory" in small.warnings[0]
    with pytest.raises(UsageError, match=r"buffer of 1000 samples .* of device memory are free"):
        plan(20_000, 1_000, sample_bytes=60 * MB, pool_on_device=True)
    assert plan(2_000, pool_on_device=True) == plan(2_000), "one memory: nothing changes"


def test_below_one_sample_the_field_to_change_is_named():
    with pytest.raises(UsageError, match=r"one sample at a time needs .*free.*lower --config\.render_size"):
        plan(550)
    with pytest.raises(UsageError, match=r"of device memory"):
        plan(20_000, device_mb=100)
    with pytest.raises(UsageError, match=r"buffer of 1000 samples .* --config\.pool_size, --config\.render_size"):
        plan(1_000, sample_bytes=20 * MB, batch=4)


def test_a_resumed_run_keeps_its_buffer_and_its_pieces():
    stored = Plan(300, 4, 4, 1)
    assert plan(20_000, stored=stored) == stored
    with pytest.raises(UsageError, match=r"buffer of 300 samples .*in a new workdir"):
        plan(800, stored=stored)
    assert plan(20_000, stored=Plan(300, 3, 5, 1), devices=1).micro_batch == 16  # does not divide: chosen anew


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_cgroup_v2_takes_the_strictest_group_on_the_way_up(tmp_path):
    proc, root = tmp_path / "cgroup", tmp_path / "fs"
    proc.write_text("0::/outer/inner\n")
    write(root / "outer" / "inner", memory__max="max", memory__current=5, memory__stat="inactive_file 0")
    write(root / "outer", memory__max=1000, memory__current=700, memory__stat="anon 9\ninactive_file 200")
    assert resources._cgroup_free(proc, root) == 500


def test_cgroup_v1_inside_a_container(tmp_path):
    proc, root = tmp_path / "cgroup", tmp_path / "fs"
    proc.write_text("7:cpu:/x\n4:memory:/docker/abc\n")  # the host's path; inside, the group is mounted at the base
    write(root / "memory", memory__limit_in_bytes=900, memory__usage_in_bytes=400, memory__stat="total_inactive_file 1")
    assert resources._cgroup_free(proc, root) == 501


def test_no_cgroup_is_no_limit(tmp_path):
    assert resources._cgroup_free(tmp_path / "none", tmp_path) == float("inf")
    assert resources.free_memory().host > 10 * MB


def test_a_stated_limit_counts():
    assert resources.free_memory(0.25).host == 250 * MB


def test_the_program_s_seconds_count_what_it_did_before_it_asked():
    program = """
import time
time.sleep(0.5)
from o2t_jax.training.resources import program_seconds
print(program_seconds())
"""
    begun = time.monotonic()
    found = float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
    before = 0.5 if sys.platform == "linux" else 0.0
    assert before <= found <= time.monotonic() - begun + 0.1


def test_a_user_without_a_home_goes_without_the_cache(monkeypatch):
    """A container's user that is a bare number."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    told = {}
    monkeypatch.setattr(pathlib.Path, "home", no_home)
    monkeypatch.setattr(pathlib.Path, "expanduser", lambda path: no_home() if str(path).startswith("~") else path)
    monkeypatch.setattr(jax.config, "update", told.__setitem__)
    for name in ("XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert resources.set_compilation_cache("auto") is None
    assert told == {"jax_enable_compilation_cache": False}
    with pytest.raises(UsageError, match="=~/x: this user has no home directory: give a path or 'off'"):
        resources.set_compilation_cache("~/x")


FREES = """
import pathlib
from o2t_jax.training.resources import give_memory_back

def resident():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))  # kB

parts = [b"1" * 100_000 for _ in range(2000)]
last = parts[-1]  # lies above the freed ones, so that the heap does not shrink by itself
del parts
before = resident()
give_memory_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of others gives back by itself")
def test_freed_memory_is_given_back():
    done = subprocess.run([sys.executable, "-c", FREES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000, "kB of 200,000 that were freed"


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(resources.ctypes, "CDLL", lambda name: object())
    resources.give_memory_back()
