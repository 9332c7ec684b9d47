"""A run that was saved on one number of devices goes on on another: equal values, and losses that stay together.

The devices are simulated: a CPU counts as several. Rounding differs, since each of them adds up its share of a batch.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults import forked
from o2t_jax.errors import UsageError

COUNTS = (1, 2, 4)
SAVED = 6  # the step of the checkpoint
STEPS = 100  # that are compared
WITHIN = 1e-5  # of a loss, relative or absolute where it is below 1


def measure(
    trainings: Mapping[str, Sequence[str]],
    work: Path,
    told: Callable[[str], None],
    counts: Sequence[int] = COUNTS,
    steps: int = STEPS,
) -> list[dict[str, Any]]:
    """One row for each training, number of devices that saved and number that goes on. `trainings` are warm.

    A training that fails is a row that has not passed, with its error: the others are still tried.
    """
    rows = []
    for name, arguments in trainings.items():
        for saving in counts:
            whole = work / f"devices-{name}-{saving}"
            failed = _tried(functools.partial(_train, arguments, steps, whole, saving))
            for going_on in counts:
                folder = work / f"{whole.name}-{going_on}"
                found = failed or _tried(functools.partial(_gone_on, arguments, steps, whole, folder, going_on))
                rows.append({"system": name, "saved_on": saving, "goes_on_on": going_on} | found)
                told(f"devices: {rows[-1]}")
                shutil.rmtree(folder, ignore_errors=True)
    return rows


def _tried(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns, or a row of its failure."""
    try:
        return work()
    except (RuntimeError, OSError, UsageError) as error:  # a hang is a TimeoutError, which is an OSError
        return {"passed": False, "error": str(error)}


def _gone_on(arguments: Sequence[str], steps: int, whole: Path, folder: Path, count: int) -> dict[str, Any]:
    """The run `whole` from its step `SAVED` on, on so many devices, compared with what it did itself."""
    _back(whole, folder)
    _train(arguments, steps, folder, count)
    return forked.result_of(functools.partial(_compared, whole, folder), whole.parent)


def _train(arguments: Sequence[str], steps: int, workdir: Path, count: int) -> dict[str, Any]:
    """A whole training, or the rest of one, in a fork with so many devices. Returns {}.

    Raises: RuntimeError where it fails.
    """
    keep = (f"--config.checkpoint_every={SAVED}", f"--config.keep_checkpoints={steps}", "--config.log_every=1")
    asked = [*arguments, f"--config.train_steps={SAVED + steps}", f"--config.eval_every={SAVED + steps}", *keep]
    workdir.mkdir(parents=True, exist_ok=True)

    def work() -> int:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={count}"
        os.environ["JAX_PLATFORMS"] = "cpu"
        _tell_what_is_restored(workdir / "restored.json")
        return forked.train([*asked, f"--workdir={workdir}"])

    if code := forked.Fork(work, workdir / "log").wait():
        raise RuntimeError(f"exit code {code} on {count} devices: {(workdir / 'log').read_text()[-500:]}")
    return {}


def _tell_what_is_restored(file: Path) -> None:
    """Makes this process write which devices hold which arrays, as soon as the state is on them."""
    from o2t_jax.training.parallel import Parallel

    replicate, told = Parallel.replicate, []

    def telling(self: Parallel, tree: Any) -> Any:
        placed = replicate(self, tree)
        if not told and hasattr(tree, "opt_state"):
            told.append(True)
            parts = (placed.params, placed.opt_state, placed.extra)
            copies = [digests_of(parts, device) for device in self.devices]
            file.write_text(json.dumps(copies))
        return placed

    Parallel.replicate = telling


def digests_of(tree: Any, device: Any = None) -> list[str]:
    """SHA-256 of each array's bytes, sorted; on one device of several, its copy."""
    import jax
    import numpy as np

    def own(leaf: Any) -> np.ndarray:
        if device is None or not isinstance(leaf, jax.Array) or len(leaf.sharding.device_set) == 1:
            return np.asarray(leaf)
        (copy,) = [np.asarray(shard.data)[0] for shard in leaf.addressable_shards if shard.device == device]
        return copy

    leaves = [own(leaf) for leaf in jax.tree.leaves(tree)]
    return sorted(hashlib.sha256(f"{x.dtype} {x.shape}".encode() + x.tobytes()).hexdigest() for x in leaves)


def _back(whole: Path, folder: Path) -> None:
    """A copy of a finished run as it was at step `SAVED`."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    for path in (folder / "checkpoints").iterdir():
        if path.name != str(SAVED):
            shutil.rmtree(path)
    for name in ("result.json", "results.json", "restored.json", ".lock"):
        (folder / name).unlink(missing_ok=True)


def _compared(whole: Path, folder: Path) -> dict[str, Any]:
    """Whether all devices held what was saved, and how far the losses are from those of the run that went on alone."""
    import numpy as np

    from o2t_jax.training.checkpoint import find_step, read_tree

    saved = find_step(folder, SAVED)
    wanted = digests_of([read_tree(saved, item) for item in ("params", "opt_state", "extra")])
    copies = json.loads((folder / "restored.json").read_text())
    one, other = (_losses(place) for place in (whole, folder))
    steps = sorted(step for step in one if step > SAVED)
    found, expected = (np.array([losses[step] for step in steps]) for losses in (other, one))
    difference = np.abs(found - expected)
    return {
        "devices": len(copies),
        "equal": all(copy == wanted for copy in copies),
        "losses": len(steps),
        "absolute": float(difference.max()),
        "relative": float((difference / np.abs(expected)).max()),
        "passed": all(copy == wanted for copy in copies)
        and bool((difference <= WITHIN * np.maximum(np.abs(expected), 1.0)).all()),
    }


def _losses(workdir: Path) -> dict[int, float]:
    from o2t_jax.training.metrics import read_metrics

    return {row["step"]: row["train/loss"] for row in read_metrics(workdir) if "train/loss" in row}
