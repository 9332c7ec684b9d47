"""The only module that depends on devices: which ones are used, and how the pure step is distributed over them.

One device uses plain `jax.jit`. Several use `jax.pmap`: each holds a copy of the state and an equal share of the
batch, and the step averages over the axis "batch", which spans all devices of all processes. To replace `pmap`
(by `shard_map`, for example) change only `Parallel.compile`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.training.contract import StepFn
from o2t_jax.types import Batch, PyTree

AXIS = "batch"
DEVICE_CHOICES = ("auto", "cpu", "gpu", "cuda", "rocm", "tpu", "mps")


@dataclasses.dataclass(frozen=True)
class Parallel:
    """The devices of a run: `devices` are this process's; every process has equally many."""

    devices: tuple[Any, ...]
    process_index: int = 0
    process_count: int = 1

    @property
    def num_devices(self) -> int:
        """Devices over all processes."""
        return len(self.devices) * self.process_count

    @property
    def mapped(self) -> bool:
        return self.num_devices > 1

    @property
    def speed_up(self) -> int:
        """How many devices of this process really run in parallel: simulated ones share its cores."""
        return 1 if self.devices[0].platform == "cpu" else len(self.devices)

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and reports to the user."""
        return self.process_index == 0

    def check_batch(self, batch: int) -> None:
        """Raises UsageError if the devices cannot share `batch` samples equally."""
        if batch % self.num_devices:
            near = max(self.num_devices, batch - batch % self.num_devices)
            raise UsageError(
                f"batch={batch} cannot be shared equally by {self.num_devices} devices: "
                f"set --config.batch={near} or use fewer devices with --config.parallel=N"
            )

    def compile(self, make_step: Callable[[str | None], StepFn], *, donate: bool = True) -> Any:
        """Compiles `make_step(axis_name)`. `donate` invalidates the state passed in: keep no reference to it."""
        donated = 0 if donate else ()
        if not self.mapped:
            return jax.jit(make_step(None), donate_argnums=donated)
        return self.in_turn(
            jax.pmap(make_step(AXIS), axis_name=AXIS, donate_argnums=donated, devices=self._pmap_devices())
        )

    def in_turn(self, step: Callable) -> Any:
        """`step`, or on several simulated devices a version of it that waits for its results.

        Those share one thread pool, in which two steps' collectives can deadlock.
        """
        if not self.mapped or self.devices[0].platform != "cpu":
            return step

        @functools.wraps(step)
        def waiting(*args):
            return jax.block_until_ready(step(*args))

        return waiting

    def shapes(self, state: PyTree, batch: PyTree) -> tuple[PyTree, PyTree]:
        """The shapes that `compile`'s step takes for a state and a batch of these shapes: see `replicate` and `put`."""
        if not self.mapped:
            return state, batch
        count, struct = len(self.devices), jax.ShapeDtypeStruct
        return (
            jax.tree.map(lambda x: struct((count, *x.shape), x.dtype), state),
            jax.tree.map(lambda x: struct((count, x.shape[0] // count, *x.shape[1:]), x.dtype), batch),
        )

    def replicate(self, tree: PyTree) -> PyTree:
        """A host tree copied to every device; with several devices each leaf gains a leading axis."""
        if not self.mapped:
            return jax.tree.map(lambda x: jax.device_put(x, self.devices[0], may_alias=False), tree)
        count = len(self.devices)
        return jax.tree.map(
            lambda x: jax.device_put(np.broadcast_to(np.asarray(x), (count, *np.shape(x))), self._sharding()), tree
        )

    def unreplicate(self, tree: PyTree) -> PyTree:
        """The first device's copy, on that device."""
        return jax.tree.map(lambda x: x[0], tree) if self.mapped else tree

    def to_host(self, tree: PyTree) -> PyTree:
        """The first device's copy as numpy arrays that own their memory.

        On a CPU `np.asarray` may return a view of device memory, which the next (donating) step overwrites.
        """
        if not self.mapped:
            return jax.tree.map(lambda x: np.array(x, copy=True), jax.device_get(tree))
        return jax.tree.map(lambda x: np.array(x.addressable_data(0), copy=True)[0], tree)

    def put(self, batch: Batch) -> Batch:
        """This process's share of the batch, sent to its devices without waiting."""
        if not self.mapped:
            return jax.tree.map(lambda x: jax.device_put(x, self.devices[0], may_alias=False), batch)
        count = len(self.devices)

        def share(x: Any) -> jax.Array:
            x = np.asarray(x)
            x = x.reshape(count, x.shape[0] // count, *x.shape[1:])
            return jax.device_put(x, self._sharding(), may_alias=False)

        return jax.tree.map(share, batch)

    def any(self, flag: bool) -> bool:
        """Whether any process sets the flag. All processes must call this at the same step."""
        if self.process_count == 1:
            return flag
        from jax.experimental import multihost_utils

        return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))

    def _sharding(self) -> NamedSharding:
        return NamedSharding(Mesh(np.array(self.devices), (AXIS,)), PartitionSpec(AXIS))

    def _pmap_devices(self) -> list[Any] | None:
        return list(self.devices) if self.process_count == 1 else None  # several processes: pmap uses all devices


def make_parallel(count: int = 0) -> Parallel:
    """The devices to use: all that JAX sees (0), or the first `count` of this process.

    Raises:
        UsageError: fewer than `count` exist, or `count` is set with several processes.
    """
    local = jax.local_devices()
    processes = jax.process_count()
    if not 0 <= count <= len(local):
        raise UsageError(
            f"parallel={count}, but this process has {len(local)} devices: set --config.parallel=0 for all"
        )
    if count and count < len(local) and processes > 1:
        raise UsageError(f"parallel={count} with {processes} processes: every process uses all its devices; set 0")
    return Parallel(tuple(local[: count or len(local)]), jax.process_index(), processes)


def start_devices(
    device: str = "auto",
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Makes JAX use one kind of device and joins other processes; call it before any other use of JAX.

    Args:
        device: one of `DEVICE_CHOICES`; "auto" leaves the choice to JAX (TPU or GPU before CPU).
        coordinator: "host:port" of process 0, the same everywhere, for a run over several processes; "auto" lets
            JAX ask the cluster (SLURM, Open MPI, a TPU pod); None or "" for a run of one process.
        num_processes: number of processes.
        process_id: index of this process, from 0.

    Raises:
        UsageError: an unknown or unavailable kind of device, or incomplete arguments for several processes.
    """
    if device not in DEVICE_CHOICES:
        raise unknown_choice("device", device, DEVICE_CHOICES)
    if device not in ("auto", "gpu"):  # "gpu" as a platform name would require both CUDA and ROCm
        jax.config.update("jax_platforms", device if device == "cpu" else f"{device},cpu")
    if coordinator == "auto":
        jax.distributed.initialize()
    elif coordinator:
        if num_processes is None or process_id is None or not 0 <= process_id < num_processes:
            raise UsageError(
                f"--coordinator={coordinator} needs --num_processes=N and --process_id from 0 to N-1; "
                f"got {num_processes} and {process_id}"
            )
        jax.distributed.initialize(coordinator, num_processes, process_id)
    _check_there(device)


def _check_there(device: str) -> None:
    try:
        platform = jax.devices()[0].platform
    except (RuntimeError, AssertionError) as error:  # which of them depends on the plug-in
        platform, reason = None, str(error).partition("\n")[0] or type(error).__name__
    else:
        reason = f"JAX found only {platform}"
    if platform is None or platform != {"cuda": "gpu", "rocm": "gpu", "auto": platform}.get(device, device):
        install = "or install JAX for it (this project's extras gpu, tpu, mac)"
        asked = os.environ.get("JAX_PLATFORMS")
        if asked and device in ("auto", "gpu"):  # other choices overrule the variable
            raise UsageError(
                f"device={device}: the environment has JAX_PLATFORMS={asked}, and JAX finds no such device ({reason}): "
                f"unset the variable, {install}"
            )
        cure = "set --config.device=cpu" if device == "auto" else "set --config.device=auto"
        raise UsageError(f"device={device} is not available ({reason}): {cure}, {install}")
