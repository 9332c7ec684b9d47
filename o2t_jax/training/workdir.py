"""A run's folder: its files, and the config it belongs to. Needs no JAX.

config.json     the resolved config
truth.json      the hidden truth of a simulated world, if there is one; never read by training
checkpoints/    one folder per step (see `checkpoint`)
metrics.jsonl   every logged number, one JSON object per line
tensorboard/    the same numbers and the pictures, as event files
sessions.jsonl  each start of the command: time, first step, versions and devices
results.json    the last results of each evaluator, with units, intervals and baselines
pictures/, films/, curves/, tables/
                the results that are not single numbers: PNG, MP4, CSV, JSON
result.json     written when the run is complete: last metrics, evaluation, read-outs
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from o2t_jax.config import FREE_FIELDS, Config, flatten
from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of

CONFIG, TRUTH, CHECKPOINTS, METRICS, RESULT, LOCK = (
    "config.json",
    "truth.json",
    "checkpoints",
    "metrics.jsonl",
    "result.json",
    ".lock",
)
RESULT_FOLDERS = ("pictures", "films", "curves", "tables")
_MISSING = object()
_MOST_SHOWN = 5


def default_workdir(name: str, config: Config) -> Path:
    """runs/<config name>-<short hash of the resolved config>: the same command finds the same folder."""
    return Path("runs") / f"{name}-{config_hash(config)}"


def config_hash(config: Config) -> str:
    """Eight hex digits over all fields that affect the computation."""
    fixed = _fixed_fields(flatten(config.to_dict()), config)
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]


def config_from_json(tree: Mapping[str, Any]) -> Config:
    """A locked config from its JSON form; lists become tuples again. Raises: UsageError where it is none."""

    def restore(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: restore(item) for name, item in value.items()}
        return tuple(map(restore, value)) if isinstance(value, list) else value

    if not isinstance(tree, Mapping):
        raise UsageError(f"a config is an object of fields by name, not a {type(tree).__name__}: repair {CONFIG}")
    free = tree.get(FREE_FIELDS, [])
    if not isinstance(free, list | tuple) or not all(isinstance(name, str) for name in free):
        raise UsageError(f"{FREE_FIELDS} of a config must be names of fields: repair {CONFIG}")
    try:
        return ConfigDict(restore(tree)).lock()
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # names that no field can have
        raise UsageError(f"no config can have these fields ({error}): repair {CONFIG}") from error


def saved_steps(workdir: str | Path) -> list[int]:
    """Steps with a complete checkpoint, ascending. Incomplete ones of a killed process have other names."""
    root = Path(workdir) / CHECKPOINTS
    return sorted(int(path.name) for path in root.iterdir() if path.name.isdigit()) if root.is_dir() else []


def check_workdir(workdir: Path, config: Config) -> None:
    """Raises UsageError if `workdir` holds checkpoints of another config, or checkpoints without a config.

    Without a checkpoint there is nothing to lose: a first attempt may have failed because of one of its fields.
    """
    if not saved_steps(workdir):
        return
    path = workdir / CONFIG
    if not path.exists():
        raise UsageError(f"{workdir} holds checkpoints but no {CONFIG}: choose another --workdir")
    there = read_json(path)
    if not isinstance(there, Mapping):
        raise UsageError(f"{path} holds no config: choose another --workdir, or repair it")
    old = _fixed_fields(flatten(there), config)
    new = _fixed_fields(flatten(config.to_dict()), config)
    differing = [
        f"{name} (there {_show(old, name)}, now {_show(new, name)})"
        for name in sorted(old.keys() | new.keys())
        if old.get(name, _MISSING) != new.get(name, _MISSING)
    ]
    if differing:
        more = len(differing) - _MOST_SHOWN
        tail = f" and {more} more" if more > 0 else ""
        raise UsageError(
            f"{workdir} belongs to another config; differing fields: {', '.join(differing[:_MOST_SHOWN])}{tail}. "
            "Choose another --workdir, or leave it out; start from its weights with --config.init_from"
        )


def claim_workdir(workdir: Path, config: Config, truth: Mapping[str, Any] | None) -> None:
    """Writes the config and the truth. Call it after `check_workdir`. Raises UsageError if it cannot write."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / CONFIG, config.to_dict())
        if truth is not None:
            write_json(workdir / TRUTH, truth)
    except OSError as error:
        raise UsageError(f"{workdir} cannot be written ({error.strerror}): choose another --workdir") from error


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Locks a run's folder, so that two runs of the same command do not both write it.

    Raises:
        UsageError: another process trains there.
    """
    with (workdir / LOCK).open("w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process is training in {workdir}: wait for it or stop it") from None
        except (ImportError, OSError):  # no such locks on this system or file system: continue without
            pass
        yield


def sweep(workdir: Path) -> None:
    """Removes the temporary files of killed processes; for the one that has locked the folder."""
    for folder in (workdir, *(path for path in workdir.iterdir() if path.name in RESULT_FOLDERS)):
        for path in folder.glob("*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink()


def read_json(path: Path) -> Any:
    """Raises UsageError if the file is not JSON."""
    try:
        return json_of(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} is not readable JSON ({error}): repair or delete it") from error


def write_json(path: Path, value: Any) -> None:
    """Writes the whole file or none of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(value, indent=1, default=_plain) + "\n")
    temporary.replace(path)


def once(path: Path, make: Callable[[], Any]) -> Any:
    """The JSON value of `path`; `make()` is called and written there if the file does not exist."""
    if not path.exists():
        write_json(path, make())
    return read_json(path)


def _plain(value: Any) -> Any:
    """Numpy and JAX scalars and arrays as JSON types."""
    return value.tolist()


def _fixed_fields(flat: Mapping[str, Any], config: Config) -> dict[str, Any]:
    free = {*config.get(FREE_FIELDS, ()), FREE_FIELDS}
    return {name: value for name, value in flat.items() if name not in free}


def _show(flat: Mapping[str, Any], name: str) -> str:
    return repr(flat[name]) if name in flat else "absent"
