"""Families of laws with named numbers: laws of gravity (`gravity.py`) and forces of the velocity (`forces.py`).

A family is one row of a registry. A config's `world` names it in one field and has a field for each parameter of each
family of the registry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from o2t_jax.errors import UsageError
from o2t_jax.registry import Registry


class Param(NamedTuple):
    """A parameter: `name`, a field of the config's `world`; `default`; `meaning` with unit; `least` value."""

    name: str
    default: float
    meaning: str
    least: float = -math.inf


class Family(Protocol):
    """What a row of such a registry has."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> tuple[Param, ...]: ...


def names_of(family: Family) -> tuple[str, ...]:
    """The names of its parameters, in order."""
    return tuple(param.name for param in family.params)


def checked(kind: str, family: Family, given: Mapping[str, float]) -> tuple[float, ...]:
    """The numbers in the family's order. `kind` names it in an error: "gravity law".

    Raises:
        UsageError: names that are not its own, a number that is not finite or below its limit.
    """
    names = names_of(family)
    if set(given) != set(names):
        own, got = (", ".join(some) or "nothing" for some in (names, given))
        raise UsageError(f"{kind} {family.name!r} takes {own}; got {got}")
    for param in family.params:
        value = given[param.name]
        what = f"{kind} {family.name!r}: {param.name} = {value}"
        if not math.isfinite(value):
            raise UsageError(f"{what} is not a finite number; give one in SI units")
        if value < param.least:
            raise UsageError(f"{what} is below its limit of {param.least}; raise it")
    return tuple(float(given[name]) for name in names)


def params_of(families: Registry[Any]) -> dict[str, Param]:
    """The parameters of all families by name. Raises ValueError where two families disagree about one."""
    params: dict[str, Param] = {}
    for param in (param for name in families for param in families[name].params):
        if params.setdefault(param.name, param) != param:
            raise ValueError(f"two of {families.what} have different parameters of the name {param.name!r}")
    return params


def values_in(world: Mapping[str, Any], family: Family, families: Registry[Any]) -> dict[str, Any]:
    """The family's parameters in a config's `world`, at their defaults where it does not have them.

    Raises:
        UsageError: a parameter that is set but belongs to another family.
    """
    own = names_of(family)
    for param in params_of(families).values():
        if param.name not in own and world.get(param.name, param.default) != param.default:
            having = ", ".join(name for name in families if param.name in names_of(families[name]))
            raise UsageError(
                f"world.{param.name}={world[param.name]} is not a parameter of {families.what}={family.name}: "
                f"remove it, or set --config.{families.what} to {having}"
            )
    return {param.name: world.get(param.name, param.default) for param in family.params}


__all__ = ["Family", "Param", "checked", "names_of", "params_of", "values_in"]
