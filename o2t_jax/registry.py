"""Registries of objects by name: systems, environments, laws, scenes, encoders, log writers.

An unknown name is rejected, and the nearest one suggested. An entry may be the text "module:attribute", imported at
first use, so that importing a registry needs neither JAX nor the object itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Name -> an object of type T, or where to import it from: "package.module:attribute".

    Args: `what`, the config field or word at the start of error messages; `entries`, the initial ones; `foreign`,
    whether `get` also takes "package.module:attribute" for a user's own object that is not registered.
    """

    def __init__(self, what: str, entries: Mapping[str, T | str] | None = None, *, foreign: bool = False) -> None:
        self.what = what
        self.foreign = foreign
        self._entries: dict[str, T | str] = dict(entries or {})

    def register(self, name: str, entry: T | str) -> None:
        """Adds an entry. Raises UsageError if the name is taken."""
        if name in self._entries:
            raise UsageError(f"{self.what}={name!r} is registered already; choose another name")
        self._entries[name] = entry

    def get(self, name: str) -> T:
        """The object of that name.

        Raises:
            UsageError: an unknown name, with the nearest and all registered ones; a module or attribute that does
                not exist. An import that fails inside an existing module raises its own error.
        """
        if isinstance(name, str) and name in self._entries:
            return self._resolved(name, self._entries[name])
        if self.foreign and isinstance(name, str) and ":" in name:
            return self._resolved(name, name)
        raise self.unknown(name)

    __getitem__ = get

    def check(self, name: object) -> None:
        """Rejects a name as `get` does, but imports nothing: a user's own object may still turn out to be missing."""
        if name not in self and not (self.foreign and isinstance(name, str) and ":" in name):
            raise self.unknown(name)

    def unknown(self, name: object) -> UsageError:
        """The error for an unknown name."""
        own = "; or give one of your own as package.module:attribute" if self.foreign else ""
        return UsageError(f"{unknown_choice(self.what, name, self)}{own}")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _resolved(self, name: str, entry: T | str) -> T:
        return cast("T", self._imported(name, entry)) if isinstance(entry, str) else entry

    def _imported(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        if not attribute or not module or module.startswith("."):
            raise self.unknown(name)
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module exists; one of its imports does not
            raise UsageError(f"{self.what}={name!r}: no module {error.name!r} can be imported from here") from error
        if not hasattr(found, attribute):
            raise UsageError(f"{self.what}={name!r}: module {module} has no {attribute!r}")
        return getattr(found, attribute)
