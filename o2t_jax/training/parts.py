"""Named parts of a tree of parameters: those a run starts from (`init_parts`) and those it does not train (`freeze`).

A part is the path of a subtree, its names joined by dots: "encoder", or "layer.gravity_mlp".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flax import serialization, traverse_util

from o2t_jax.config import did_you_mean
from o2t_jax.errors import UsageError
from o2t_jax.types import PyTree


def is_in(path: Sequence[Any], parts: Sequence[str]) -> bool:
    """Whether a leaf's path, such as ("encoder", "stem", "kernel"), lies in one of the parts."""
    return any(tuple(path[: part.count(".") + 1]) == tuple(part.split(".")) for part in parts)


def mask_of(tree: PyTree, parts: Sequence[str]) -> PyTree:
    """True at every leaf of `tree` (nested dicts) that lies in one of `parts`."""
    return traverse_util.path_aware_map(lambda path, _: is_in(path, parts), tree)


def check_parts(trees: Sequence[PyTree], parts: Sequence[str], field: str) -> None:
    """Raises UsageError, with the nearest name, if a part is in none of the trees."""
    paths = [path for tree in trees for path in traverse_util.flatten_dict(serialization.to_state_dict(tree))]
    names = {".".join(map(str, path[:depth])) for path in paths for depth in range(1, len(path) + 1)}
    for part in parts:
        if part in names:
            continue
        top = ", ".join(sorted({name.partition(".")[0] for name in names}))
        hint = did_you_mean(part, sorted(names))
        raise UsageError(f"{field}={part!r} is not a part of the model: {hint}{' ' if hint else ''}its parts are {top}")
