"""What all configs share. Needs no JAX, so that `--help` and a mistyped field are answered at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from o2t_jax.errors import UsageError


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The sentence "did you mean 'NEAREST'?", or "" where no name is near."""
    near = difflib.get_close_matches(str(name), list(names), 1, cutoff)
    return f"did you mean {near[0]!r}?" if near else ""


def unknown_choice(what: str, name: object, names: Iterable[str]) -> UsageError:
    """The refusal of a value that is none of a few names, with the nearest."""
    names = list(names)
    hint = did_you_mean(name, names)
    return UsageError(f"{what}={name!r} is unknown: {hint}{' ' if hint else ''}choose one of {', '.join(names)}")
