"""The machine's resources and how a run fits into them: memory limits, plan, estimated cost, compilation cache."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.errors import UsageError
from o2t_jax.training.contract import Plan

GB = 1e9
_PREFETCHED = 3  # batches on their way to the device
_HEADROOM = 0.85  # share of the free memory that a run may plan with
_RUNTIME = int(0.4 * GB)  # compiler, interpreter, pictures in flight
_IMPORTED = time.monotonic()


class Memory(NamedTuple):
    """Free bytes: of the host, and of one device if it has memory of its own (None: it shares the host's)."""

    host: int
    device: int | None


def free_memory(limit_gb: float = 0.0) -> Memory:
    """Usable memory: the least of machine, container (cgroup v1 and v2) and `limit_gb` (0: no limit)."""
    host = int(min(_machine_free(), _cgroup_free()))
    if limit_gb:
        host = min(host, int(limit_gb * GB))
    stats = jax.local_devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return Memory(host, None if limit is None else int(limit) - int(stats.get("bytes_in_use", 0)))


def give_memory_back() -> None:
    """Gives the system what glibc's allocator keeps after it was freed. Elsewhere nothing happens.

    A training calls it at its end, since its process may be a notebook and live on, and after each evaluation, whose
    pieces are no use to a step. The step's own memory goes too, and the next step takes it anew (what that costs:
    docs/notes/cpu_performance.md, "What paid: memory"); so a save, which may come often, does not call it.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library to be found, or another one
        ctypes.CDLL(None).malloc_trim(0)


def program_seconds() -> float:
    """Seconds since this program started, imports included (if not on Linux: since this module was imported)."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED


def _machine_free() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # not Linux: half of the installed memory


def _cgroup_free(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Limit minus use: least over this process's control group and all above it; infinity if there is no limit."""
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return float("inf")
    free = float("inf")
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, used = root, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, used = root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = base / path.lstrip("/")
        # In a container the path may be the host's and not exist here: its own group is then mounted at the base.
        for folder in [group, *group.parents] if group.is_relative_to(base) else [base]:
            free = min(free, _group_free(folder, limit, used))
            if folder == base:
                break
    return free


def _group_free(folder: Path, limit_file: str, used_file: str) -> float:
    try:
        limit, used = (folder / limit_file).read_text().strip(), int((folder / used_file).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return float("inf")
    if not limit.isdigit():  # "max"
        return float("inf")
    cache = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))  # released under memory pressure
    return max(0, int(limit) - used + cache)


def make_plan(
    *,
    batch: int,
    devices: int,
    local_devices: int,
    memory: Memory,
    state_bytes: int,
    params_bytes: int,
    activation_bytes: Callable[[int], int],
    sample_bytes: int = 0,
    pool_size: int = 0,
    pool_on_device: bool = False,
    size_fields: tuple[str, ...] = ("batch",),
    stored: Plan | None = None,
) -> Plan:
    """The largest buffer and micro-batch that fit, up to the config's values. The global batch never changes.

    Args:
        batch: global batch; `devices` (over all processes) divide it.
        local_devices: devices of this process, which share its host's memory.
        memory: free memory.
        state_bytes, params_bytes: one copy of the state, and of the parameters in it.
        activation_bytes: bytes that a step over n samples needs on one device in addition to state and gradients.
        sample_bytes, pool_size: one sample in the buffer, and the requested number of them.
        pool_on_device: the buffer is in the memory of the (only) device.
        size_fields: config fields that make one sample cheaper.
        stored: the plan of the run that is resumed. Its buffer must keep its size: batches depend on it.

    Raises:
        UsageError: not even one sample at a time fits, or the buffer cannot hold one batch.
    """
    local_batch = batch // devices
    shared = memory.device is None
    # Devices hold gradients and updates beside the state; the host holds a checkpoint's copy and prefetched batches.
    on_device = state_bytes + 2 * params_bytes
    on_host = _RUNTIME + state_bytes + _PREFETCHED * local_devices * local_batch * sample_bytes
    host = memory.host * _HEADROOM - on_host - (local_devices * on_device if shared else 0)
    device = host / local_devices if memory.device is None else memory.device * _HEADROOM - on_device
    one = activation_bytes(1)
    if min(device - one, host) < 0:
        short = "device" if not shared and device < one else "host"
        raise UsageError(_too_small(one, on_device, on_host, memory, short, size_fields))

    # Activations get at least as much as the buffer.
    beside = (host - local_devices * one) / 2 if shared else (device - one) / 2
    room = beside if shared or pool_on_device else host
    where = "device" if pool_on_device and not shared else "host"
    wanted = stored.pool_size if stored else pool_size
    least = wanted if stored else min(wanted, batch)
    pool = wanted if sample_bytes == 0 else min(wanted, int(room / sample_bytes))
    reduced = []
    if pool < least:
        raise UsageError(_no_buffer(wanted, least, sample_bytes, room, where, size_fields, resumed=stored is not None))
    if pool < wanted:
        reduced.append(f"pool_size {wanted} -> {pool}: {gb(wanted * sample_bytes)} are not free in {where} memory")

    if shared:
        device = (host - pool * sample_bytes) / local_devices
    elif pool_on_device:
        device -= pool * sample_bytes
    asked = stored.micro_batch if stored and local_batch % stored.micro_batch == 0 else local_batch
    pieces = [n for n in range(asked, 0, -1) if local_batch % n == 0]
    micro = next(n for n in pieces if n == 1 or activation_bytes(n) <= device)
    if micro < asked:
        reduced.append(
            f"micro-batch {asked} -> {micro}: the global batch stays {batch}, gradients are accumulated over "
            f"{local_batch // micro} pieces ({gb(activation_bytes(asked))} needed, {gb(device)} free)"
        )
    return Plan(pool, micro, local_batch // micro, devices, tuple(reduced))


def _no_buffer(
    wanted: int, least: int, sample_bytes: int, room: float, where: str, fields: tuple[str, ...], resumed: bool
) -> str:
    names = ", ".join(f"--config.{name}" for name in ("pool_size", *fields))
    return (
        f"the buffer of {wanted} samples needs {gb(wanted * sample_bytes)} and must hold at least {least}; "
        f"{gb(max(room, 0))} of {where} memory are free for it: lower one of {names}"
        + (" in a new workdir" if resumed else "")
    )


def _too_small(one: int, on_device: int, on_host: int, memory: Memory, short: str, fields: tuple[str, ...]) -> str:
    free = memory.device if short == "device" and memory.device is not None else memory.host
    need = one + on_device + (0 if short == "device" else on_host)
    names = " or ".join(f"--config.{name}" for name in fields)
    return (
        f"one sample at a time needs {gb(need)} of {short} memory ({gb(one)} of it for the sample), "
        f"but only {_HEADROOM:.0%} of the {gb(free)} that are free may be used: lower {names}, or free memory"
    )


def measured_rate() -> float:
    """Floating-point operations per second that this machine's first device reaches in a small convolution."""

    def loss(weight: jax.Array, image: jax.Array) -> jax.Array:
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jnp.sum(jax.lax.conv_general_dilated(image, weight, (1, 1), "SAME", dimension_numbers=dimensions) ** 2)

    image, weight = jnp.ones((8, 64, 64, 32)), jnp.ones((3, 3, 32, 32))
    lowered = jax.jit(jax.grad(loss)).lower(weight, image)
    compiled = lowered.compile()
    jax.block_until_ready(compiled(weight, image))
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < 0.1:
        jax.block_until_ready(compiled(weight, image))
        runs += 1
    return runs * flops(lowered) / (time.perf_counter() - start)


def flops(lowered: jax.stages.Lowered) -> float:
    """The compiler's own count for a lowered function; loop bodies count once. NaN if it reports none."""
    return float((lowered.cost_analysis() or {}).get("flops", float("nan")))


def set_compilation_cache(choice: str = "auto") -> Path | None:
    """Lets JAX keep compiled steps on disk, regardless of size.

    Args:
        choice: "auto" for a folder of this user (or the one in JAX_COMPILATION_CACHE_DIR), "off", or a path.

    Returns:
        The folder; None when off.
    """
    if choice == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return None
    try:
        own = choice if choice != "auto" else os.environ.get("JAX_COMPILATION_CACHE_DIR")
        folder = Path(own or _cache_home() / "o2t_jax" / "xla").expanduser()
    except RuntimeError:  # a user without a home directory: in containers it may be only a number
        if choice == "auto":
            return set_compilation_cache("off")
        raise UsageError(f"compilation_cache={choice}: this user has no home directory: give a path or 'off'") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if choice == "auto":  # a read-only home directory is no reason to stop
            return set_compilation_cache("off")
        raise UsageError(
            f"compilation_cache={folder} cannot be created ({error.strerror}): give a path or 'off'"
        ) from None
    # As if the folder could not be created: an entry that cannot be kept is compiled again.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def gb(size: float) -> str:
    """1.5e9 -> "1.5 GB"; small sizes in MB."""
    return f"{size / GB:.1f} GB" if size >= GB else f"{size / 1e6:.1f} MB"
