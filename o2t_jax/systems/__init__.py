"""Registry of systems: each a model with its data and measurements, trained by the same loop.

A new system is one module with `build(config) -> System` and one line here. A config may also name a module that is
not listed: `system = "package.module"` or `"package.module:function"`. Importing this package needs no JAX.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import Any

from o2t_jax.errors import UsageError

SYSTEMS: dict[str, str] = {
    "o2t": "o2t_jax.systems.o2t:build",
}


def get_builder(name: str) -> Callable[[Any], Any]:
    """The function `build(config) -> System` of a registered name or of "package.module[:function]".

    Raises:
        UsageError: no such name, module or function.
    """
    target = SYSTEMS.get(name, name)
    if target is name and "." not in name and ":" not in name:
        near = difflib.get_close_matches(name, SYSTEMS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"system={name!r} is unknown: {hint}registered are {', '.join(SYSTEMS)}; "
            "or give an importable module as package.module:function"
        )
    module, _, function = target.partition(":")
    try:
        return getattr(importlib.import_module(module), function or "build")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there; what it imports is not
        raise UsageError(f"system={name!r}: no module {error.name!r} can be imported from here") from error
    except AttributeError as error:
        raise UsageError(f"system={name!r}: {module} has no function {function or 'build'!r}") from error
