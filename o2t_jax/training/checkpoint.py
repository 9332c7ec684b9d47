"""Checkpoints of a run by Orbax: written in the background, kept by step and by best held-out loss, checked by SHA-256.

    checkpoints/<step>/params      the parameters, nested dicts of plain arrays: readable without this library
                       opt_state, extra
                       law, ...    the numbers of each of the system's read-outs, by name
                       config      the resolved config (JSON)
                       meta        step, system, random key, data position, plan, read-outs (JSON)
                       metrics     held-out loss, if it was measured (JSON)
                       manifest.json  SHA-256 of every file above
    checkpoints/deleting/      on its way out: a step leaves its name whole, whoever is killed
    checkpoints/<step>.damaged set aside by a run that resumed from an earlier one

Only host arrays of one copy of the state are saved. A checkpoint therefore does not depend on devices, and
`orbax.checkpoint.StandardCheckpointer().restore(<step>/params)` returns numpy arrays on any machine.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from flax import serialization, traverse_util
from orbax.checkpoint.checkpoint_managers import preservation_policy as keep

from o2t_jax.config import Config
from o2t_jax.errors import UsageError
from o2t_jax.training import disk, manifest
from o2t_jax.training import workdir as folders
from o2t_jax.training.checkpoint_meta import HELD_OUT, SCHEMA, checked_meta, cost_of, key_of, steps_of
from o2t_jax.training.contract import System
from o2t_jax.training.graft import graft
from o2t_jax.training.plain_path import plain_path
from o2t_jax.training.state import TrainState
from o2t_jax.training.workdir import saved_steps
from o2t_jax.types import PyTree

DELETING = "deleting"
T = TypeVar("T")
# What Orbax and TensorStore raise for files that are not as they wrote them.
_FOREIGN = (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError)


class Opened(NamedTuple):
    """A saved run. `state` holds numpy arrays; its params and extra are nested dicts and its opt_state is None."""

    config: Config
    step: int
    state: TrainState
    meta: dict[str, Any]


def open_workdir(workdir: str | Path, step: int | str | None = None) -> Opened:
    """Reads a run, verified, without its model: everything but the optimiser's state.

    Args:
        workdir: the run's folder.
        step: a kept step, "latest" (also None) or "best" (by the system's metric `best`).

    Raises:
        UsageError: no such folder, checkpoint or step; a damaged or foreign checkpoint.
    """

    def read(folder: Path) -> Opened:
        meta = read_meta(folder)
        state = TrainState(
            step=steps_of(meta),
            params=read_tree(folder, "params"),
            opt_state=None,
            extra=read_tree(folder, "extra"),
            key=key_of(meta),
        )
        return Opened(folders.config_from_json(_read_json(folder, "config")), meta["step"], state, meta)

    return _while_it_trains(workdir, step, read)


def restore_params(workdir: str | Path, step: int | str | None = None) -> PyTree:
    """The verified parameters of a run as nested dicts of numpy arrays. Arguments and errors as `open_workdir`."""

    def read(folder: Path) -> PyTree:
        read_meta(folder)
        return read_tree(folder, "params")

    return _while_it_trains(workdir, step, read)


def _while_it_trains(workdir: str | Path, step: int | str | None, read: Callable[[Path], T]) -> T:
    """`read(folder)` of a step's folder; tries the newer one if a running training deletes the folder meanwhile."""
    while True:
        folder = find_step(workdir, step)
        try:
            return read(folder)
        except (UsageError, OSError):
            if find_step(workdir, step) == folder:  # nothing newer or better: the error is real
                raise


def check_digests(meta: Mapping[str, Any], system: System, what: str) -> None:
    """Raises UsageError where a saved run's parameters had another meaning than today (`System.digests`)."""
    saved, today = meta.get("digests", {}), system.digests()  # runs of earlier versions have none
    for name in saved.keys() & today.keys():
        if saved[name] != today[name]:
            raise UsageError(
                f"{what} was trained with another {name}, without which its parameters mean nothing: bring that file "
                "back as it was, or train from new weights in another --workdir"
            )


def check_fits(opened: Opened, system: System, what: str) -> None:
    """Raises UsageError where a saved run's arrays, or what they mean, are not those of `system` today."""
    check_digests(opened.meta, system, what)
    keys = jnp.asarray(opened.state.key)
    params, extra = jax.eval_shape(system.init if keys.ndim == 1 else jax.vmap(system.init), keys)
    graft(opened.state.params, params, f"params of {what}")
    graft(opened.state.extra, extra, f"extra of {what}")


def restore_state(folder: Path, like: TrainState) -> TrainState:
    """A verified state as numpy arrays, structured like `like` (arrays or `jax.ShapeDtypeStruct`s; None is left out).

    Raises:
        UsageError: a damaged or foreign checkpoint, one whose arrays do not fit `like`, or one without optimiser.
    """
    meta = read_meta(folder)
    if jax.tree.leaves(like.opt_state) and not (folder / "opt_state").is_dir():
        raise UsageError(
            f"{folder} has no optimiser's state (an exported run), so training cannot continue there: choose another "
            f"--workdir and start from its weights with --config.init_from={folder.parent.parent}"
        )
    parts = {name: _restore_part(folder, like, name) for name in _TREES}
    return TrainState(step=steps_of(meta), key=key_of(meta), **parts)


def _restore_part(folder: Path, like: TrainState, name: str) -> PyTree:
    wanted = getattr(like, name)
    return None if wanted is None else graft(read_tree(folder, name), wanted, f"{name} of {folder}")


def find_step(workdir: str | Path, step: int | str | None = None) -> Path:
    """The folder of a kept step: a number, "latest" (None) or "best". Raises UsageError if there is none."""
    root = Path(workdir).resolve() / folders.CHECKPOINTS
    steps = saved_steps(workdir)
    if not steps:
        raise UsageError(f"{workdir} holds no checkpoint: check --workdir, or train with python -m experiments.train")
    if step in (None, "latest"):
        return root / str(steps[-1])
    if step == "best":
        return root / str(best_step(workdir) or steps[-1])
    if not str(step).isdigit() or int(step) not in steps:
        raise UsageError(f"{workdir} has no checkpoint of step {step}: choose one of {steps}, 'latest' or 'best'")
    return root / str(int(step))


def best_step(workdir: str | Path) -> int | None:
    """The kept step of the best held-out number; None if none was measured."""
    root = Path(workdir).resolve() / folders.CHECKPOINTS
    measured = {}
    for step in saved_steps(workdir):
        folder = root / str(step)
        try:
            if manifest.has_item(folder, "metrics"):
                manifest.verify_manifest(folder, "metrics")
                measured[step] = _cost_in(folder)
        except UsageError:
            if folder.exists():
                raise
            # A running training has just removed it: it is no longer the best.
    return min(measured, key=measured.__getitem__) if measured else None


def _cost_or_infinity(metrics: Any) -> float:
    """For Orbax, which reads the numbers of all kept steps: somebody else's are the worst."""
    try:
        return cost_of(metrics)
    except ValueError:
        return float("inf")


def _cost_in(folder: Path) -> float:
    metrics = _read_json(folder, "metrics")
    try:
        return cost_of(metrics)
    except ValueError as error:
        raise manifest.damaged(folder, f"is damaged: {error}") from None


def read_meta(folder: Path) -> dict[str, Any]:
    """Verifies a checkpoint and reads its metadata, checked."""
    manifest.verify_manifest(folder)
    return checked_meta(_read_json(folder, "meta"), folder)


class Checkpoints:
    """Writes a run's checkpoints. One process writes; use as a context manager, so that the last save is completed.

    The first checkpoint and the last are read back once they are on disk, so that a run cannot complete with an
    unreadable one.
    """

    def __init__(self, workdir: Path, keep_latest: int):
        self._workdir = workdir
        self._root = workdir.resolve() / folders.CHECKPOINTS
        self._root.mkdir(parents=True, exist_ok=True)
        for folder in self._root.glob(disk.UNFINISHED):  # left by a killed process or a full disk
            shutil.rmtree(folder, ignore_errors=True)
        self._empty_bin()
        self._saving: int | None = None
        self._like: TrainState | None = None
        self._opened: int | None = None  # the last saved step that was read back
        self._closing = contextlib.ExitStack()
        policies = [
            keep.LatestN(keep_latest),
            keep.BestN(get_metric_fn=_cost_or_infinity, reverse=True, n=1, keep_checkpoints_without_metrics=False),
        ]
        self._manager = ocp.CheckpointManager(
            self._closing.enter_context(plain_path(self._root)),
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep.AnyPreservationPolicy(policies),
                best_fn=_cost_or_infinity,
                best_mode="min",
                todelete_subdir=DELETING,  # deleted where it is, a killed process would leave a half of it
                create=False,
                enable_async_checkpointing=True,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._write_manifest),
                multiprocessing_options=_alone("save"),
            ),
        )

    def save(
        self,
        step: int,
        state: TrainState,
        *,
        config: Config,
        meta: Mapping[str, Any],
        readouts: Mapping[str, Mapping[str, Any] | None] | None = None,
        held_out: float | None = None,
        mode: str = "min",
    ) -> bool:
        """Starts to write a host copy of the state (numpy arrays that must not change) and returns.

        `meta` and `readouts` hold JSON types; `held_out` is the number that picks the best step, smallest or largest by
        `mode`. Waits for the previous save. Returns False if this step is already saved.
        """
        if step in saved_steps(self._workdir):
            return False
        self.wait()
        if self._opened is None:  # the first: an unreadable checkpoint is found now, not at the end
            self.open_again()
        self._saving = step
        self._like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), state)
        trees = {name: _to_nested(getattr(state, name)) for name in _TREES if getattr(state, name) is not None}
        for name, readout in (readouts or {}).items():
            trees[name] = {k: np.asarray(v, np.float64) for k, v in (readout or {}).items() if _is_number(v)}
        items: dict[str, Any] = {name: ocp.args.StandardSave(tree) for name, tree in trees.items() if tree}
        facts = {
            "schema": SCHEMA,
            "step": step,
            "key": np.asarray(state.key).tolist(),
            "readouts": dict(readouts or {}),
            **meta,
        }
        items["meta"] = ocp.args.JsonSave(facts)
        items["config"] = ocp.args.JsonSave(config.to_dict())
        metrics = None if held_out is None or not np.isfinite(held_out) else {HELD_OUT: float(held_out), "mode": mode}
        return self._manager.save(step, args=ocp.args.Composite(**items), metrics=metrics)

    def wait(self) -> None:
        """Returns when the save is on disk; raises its errors."""
        self._manager.wait_until_finished()
        self._manager.check_for_errors()
        self._empty_bin()

    def _empty_bin(self) -> None:
        shutil.rmtree(self._root / DELETING, ignore_errors=True)

    def open_again(self) -> None:
        """Restores the last save as a resumed run would: bytes, names, shapes and types.

        Raises:
            UsageError: it cannot be read back.
        """
        if self._saving is None or self._like is None or self._opened == self._saving:
            return
        self.wait()
        try:
            folder = self._root / str(self._saving)
            read_meta(folder)
            for name in _TREES:  # one at a time: the plan has no memory for a second whole state
                _restore_part(folder, self._like, name)
        except UsageError as error:
            raise UsageError(f"the checkpoint of step {self._saving} cannot be read back: {error}") from error
        self._opened = self._saving

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._closing:
            try:
                self.wait()
                if kind is None:
                    self.open_again()
            finally:
                self._manager.close()

    def _write_manifest(self) -> None:
        """Orbax calls this when all items are on disk, just before it gives the folder its final name.

        A checkpoint therefore never has its final name without a manifest, not even after a SIGKILL.
        """
        for folder in (self._root / f"{self._saving}.orbax-checkpoint-tmp", self._root / str(self._saving)):
            if folder.is_dir():
                manifest.write_manifest(folder)
                return
        raise RuntimeError(f"the checkpoint of step {self._saving} is not where Orbax keeps unfinished ones")


_TREES = ("params", "opt_state", "extra")


def _to_nested(tree: PyTree) -> dict[str, Any]:
    """Nested dicts of arrays, without the many empty nodes of an optimiser's state."""
    flat = traverse_util.flatten_dict(serialization.to_state_dict(tree))
    return traverse_util.unflatten_dict({path: np.asarray(leaf) for path, leaf in flat.items() if leaf is not None})


def read_tree(folder: Path, item: str) -> dict[str, Any]:
    """One tree of a step's folder ("params", "opt_state", "extra", a read-out) as nested dicts; empty if absent."""
    if not (folder / item).is_dir():
        return {}
    return _read(folder, item, ocp.StandardCheckpointHandler)


def _read_json(folder: Path, item: str) -> Any:
    # Orbax's manager names the file inside "metrics" after the item, and inside all other JSON items "metadata".
    filename = item if item == "metrics" else None
    return _read(folder, item, functools.partial(ocp.JsonCheckpointHandler, filename))


def _read(folder: Path, item: str, handler: Callable[..., ocp.CheckpointHandler]) -> Any:
    """Reads one item in this process alone, without waiting for other processes."""
    options = _alone("read")
    with (
        plain_path(folder) as plain,
        ocp.Checkpointer(handler(multiprocessing_options=options), multiprocessing_options=options) as reader,
    ):
        try:
            return reader.restore(plain / item)
        except jax.errors.JaxRuntimeError:  # the device's, not the file's
            raise
        except _FOREIGN as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{folder / item} is not a checkpoint of this library ({reason})") from error


def _alone(what: str) -> ocp.options.MultiprocessingOptions:
    index = jax.process_index()
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"{what}{index}"
    )


def _is_number(value: Any) -> bool:
    """A number, a rectangular list of numbers, or None in place of a number (kept as NaN)."""
    if value is None:
        return True
    if isinstance(value, list) and any(x is None for x in value):
        return all(x is None or isinstance(x, int | float) for x in value)
    try:
        return np.asarray(value).dtype.kind in "iuf" and np.asarray(value).size > 0
    except ValueError:
        return False
