"""What a checkpoint says of itself, checked: right sums tell who wrote it last, not that it was this library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.training import manifest
from o2t_jax.training.contract import Plan

SCHEMA = 2
HELD_OUT = "held_out"  # key of the number that picks the best checkpoint
_PLAN = Plan(0, 1, 1, 1).saved().keys()


def checked_meta(meta: Any, folder: Path) -> dict[str, Any]:
    """The metadata of the checkpoint in `folder`, whose name is its step. Raises: UsageError where it is another's."""
    schema = meta.get("schema") if isinstance(meta, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"{folder} has checkpoint schema {_brief(schema)}, this version reads {SCHEMA}")
    step = meta.get("step")
    if type(step) is not int or step != int(folder.name):
        raise manifest.damaged(folder, f"is damaged: it holds step {_brief(step)}")
    try:
        key_of(meta)
    except ValueError:
        raise manifest.damaged(folder, f"is damaged: its key of random numbers is {_brief(meta.get('key'))}") from None
    for name, fits in (
        ("data", _is_dict),
        ("digests", _is_dict),
        ("readouts", _is_dict),
        ("system", lambda found: isinstance(found, str)),
        ("plan", _is_plan),
        ("window", _is_window),
    ):
        if name in meta and not fits(meta[name]):
            raise manifest.damaged(folder, f"is damaged: {name!r} of its metadata is {_brief(meta[name])}")
    return meta


def required(meta: Mapping[str, Any], folder: Path, *names: str) -> None:
    """Raises: UsageError where the metadata lacks one of `names`, without which a training cannot go on."""
    if missing := [name for name in names if name not in meta]:
        raise manifest.damaged(folder, f"is damaged: its metadata lacks {', '.join(missing)}")


def key_of(meta: Mapping[str, Any]) -> np.ndarray:
    """The key of random numbers: uint32 [2], or [S, 2] for S seeds. Raises: ValueError for anything else."""
    key = np.array(meta.get("key"))
    if key.dtype.kind not in "iu" or key.ndim not in (1, 2) or key.shape[-1] != 2 or not key.size:
        raise ValueError("a key is pairs of integers")
    if key.min() < 0 or key.max() >= 2**32:
        raise ValueError("a key's integers have 32 bits")
    return key.astype(np.uint32)


def steps_of(meta: Mapping[str, Any]) -> np.ndarray:
    """The state's step: int32 [], or [S] for S seeds."""
    return np.full(key_of(meta).shape[:-1], meta["step"], np.int32)


def cost_of(metrics: Mapping[str, Any]) -> float:
    """The number that is smallest for the best checkpoint. Raises: ValueError where `metrics` holds none."""
    value = metrics.get(HELD_OUT, np.inf) if isinstance(metrics, Mapping) else None
    if not _is_float(value):
        raise ValueError(f"its held-out number is {_brief(value)}")
    return -value if metrics.get("mode") == "max" else value


def _brief(value: Any) -> str:
    """A foreign value in one short line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _is_float(value: Any) -> TypeGuard[float]:
    """A number that a float can hold; an integer of JSON may have hundreds of digits."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**1000)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_plan(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _PLAN and all(type(x) is int for x in value.values())


def _is_window(value: Any) -> bool:
    def is_pair(pair: Any) -> bool:
        return isinstance(pair, list) and len(pair) == 2 and all(map(_is_float, pair))

    return value is None or (isinstance(value, dict) and all(map(is_pair, value.values())))


__all__ = ["HELD_OUT", "SCHEMA", "checked_meta", "cost_of", "key_of", "required", "steps_of"]
