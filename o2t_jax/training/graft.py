"""Saved arrays in the structure of a state: all of them, or those of some parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import serialization, traverse_util

from o2t_jax.errors import UsageError
from o2t_jax.training.parts import is_in
from o2t_jax.types import PyTree


def graft_parts(saved: PyTree, like: PyTree, parts: Sequence[str], what: str) -> PyTree:
    """`like` with the leaves that lie in `parts` (see `parts`; all of them if empty) from `saved`."""
    if not parts:
        return graft(saved, like, what)
    want = traverse_util.flatten_dict(serialization.to_state_dict(like), keep_empty_nodes=True)
    chosen = {path: leaf for path, leaf in want.items() if is_in(path, parts)}
    have = {path: leaf for path, leaf in traverse_util.flatten_dict(saved).items() if is_in(path, parts)}
    taken = graft(traverse_util.unflatten_dict(have), traverse_util.unflatten_dict(chosen), what)
    merged = {**want, **traverse_util.flatten_dict(taken, keep_empty_nodes=True)}
    return serialization.from_state_dict(like, traverse_util.unflatten_dict(merged))


def graft(saved: PyTree, like: PyTree, what: str) -> PyTree:
    """The saved arrays (nested dicts) in the structure of `like`. Raises UsageError if they do not fit."""
    want = traverse_util.flatten_dict(serialization.to_state_dict(like), keep_empty_nodes=True)
    have = traverse_util.flatten_dict(saved)
    need = {path: leaf for path, leaf in want.items() if _is_array(leaf)}
    for path in sorted(need.keys() | have.keys()):
        name, found, wanted = "/".join(path), _shape(have.get(path)), _shape(need.get(path))
        if found != wanted:
            raise UsageError(
                f"{what} does not fit this config: {name} is {found} there, {wanted} here; it was made by another "
                "config or version of the library: continue with that one, or choose a new --workdir"
            )
    filled = {path: have.get(path, leaf) for path, leaf in want.items()}
    return serialization.from_state_dict(like, traverse_util.unflatten_dict(filled))


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _shape(leaf: Any) -> str:
    return "absent" if leaf is None else f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"


__all__ = ["graft", "graft_parts"]
