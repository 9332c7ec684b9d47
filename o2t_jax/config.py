"""The parts of a config: fields with a default and a meaning, in groups; and the checks of every config.

A system states its fields once, as a tuple of `Group`s. The config that users change is `config_of(groups)`, a plain
`ConfigDict`. `--help` shows the groups. The components' dataclasses have no defaults of their own (`from_flat`).
This module does not import JAX, so that `--help` and errors about mistyped fields appear immediately.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict
from ml_collections.config_dict import RequiredValueError

from o2t_jax.errors import UsageError
from o2t_jax.limits import Limits

T = TypeVar("T")
Config = Any  # an ml_collections.ConfigDict, whose stubs give every field the union of all types
Value = bool | int | float | str | tuple

# Names the fields that may differ when a run is resumed. Kept in a config and its JSON, but not a setting.
FREE_FIELDS = "free_fields"
_SCALARS = (bool, int, float, str)
_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", tuple: "a tuple"}
_MOST_SHOWN = 5


class Field(NamedTuple):
    """One setting.

    Attributes: `name`, dotted for a nested field (`world.g0`); `default`, whose type is the field's; `meaning`, one
    line with the unit; `choices`, all values of a text that has only a few; `free`, whether it may differ when a run
    is resumed, because it does not change what is computed; `within`, the limits of a number.
    """

    name: str
    default: Value
    meaning: str
    choices: tuple[str, ...] = ()
    free: bool = False
    within: Limits = Limits()


class Group(NamedTuple):
    """Related fields, under the title that `--help` shows."""

    title: str
    fields: tuple[Field, ...]

    def changed(self, **defaults: Value) -> Group:
        """The same fields with other defaults. Raises KeyError for a name that is not in the group."""
        unknown = set(defaults) - {field.name for field in self.fields}
        if unknown:
            raise KeyError(f"group {self.title!r} has no field {', '.join(sorted(unknown))}")
        return self._replace(fields=tuple(f._replace(default=defaults.get(f.name, f.default)) for f in self.fields))


Groups = Sequence[Group]


def declared(groups: Groups) -> dict[str, Field]:
    """All fields by name. Raises ValueError where two groups have a field of the same name."""
    fields: dict[str, Field] = {}
    for field in (field for group in groups for field in group.fields):
        if field.name in fields:
            raise ValueError(f"field {field.name!r} is declared twice")
        fields[field.name] = field
    return fields


def config_of(groups: Groups) -> Config:
    """A new config of these fields at their defaults. `ConfigDict` gives each field the type of its default."""
    tree: dict[str, Any] = {}
    fields = declared(groups)
    for field in fields.values():
        *parents, name = field.name.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = field.default
    tree[FREE_FIELDS] = tuple(field.name for field in fields.values() if field.free)
    return ConfigDict(tree)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested fields under dotted names; values as after a round trip through JSON (tuples become lists)."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def from_flat(cls: type[T], config: Any, **own: Any) -> T:
    """The dataclass `cls`, each field from `own` or from the field of that name in a flat `config`.

    Raises:
        UsageError: a field that neither has.
    """
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    missing = [name for name in names if name not in own and name not in config]
    if missing:
        raise UsageError(f"{cls.__name__}: the config lacks {', '.join(missing)}; add them")
    return cls(**{name: own[name] if name in own else config[name] for name in names})


def did_you_mean(name: object, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The sentence "did you mean 'NEAREST'?", or "" where no name is near."""
    near = nearest(name, names, cutoff)
    return "" if near is None else f"did you mean {near!r}?"


def nearest(name: object, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name with the most similar spelling; None where none is near."""
    return next(iter(difflib.get_close_matches(str(name), list(names), 1, cutoff)), None)


def unknown_choice(what: str, name: object, names: Iterable[str]) -> UsageError:
    """The error for a value that is not one of `names`, with the nearest name."""
    names = list(names)
    hint = did_you_mean(name, names)
    return UsageError(f"{what}={name!r} is unknown: {hint}{' ' if hint else ''}choose one of {', '.join(names)}")


def check_variant(variant: str, known: Iterable[str]) -> None:
    """Raises UsageError, with the nearest, for a config file's variant that is not one of `known`; "" is none."""
    known = list(known)
    if variant not in known:
        or_none = ", or leave it out" if "" in known else ""
        raise UsageError(f"{unknown_choice('variant', variant, [name for name in known if name])}{or_none}")


def no_such_field(name: str, names: Iterable[str], fields: Mapping[str, Field] | None = None) -> UsageError:
    """The error for a field that a config does not have, with the nearest name, or a field whose meaning matches."""
    hint = did_you_mean(name, names, 0.7) or _by_meaning(name, fields or {}) or did_you_mean(name, names, 0.5)
    return UsageError(f"the config has no field {name!r}; {hint or '--help lists all fields'}")


def check_fields(config: Config, groups: Groups, *, closed: bool = True) -> None:
    """Rejects a config whose fields are not those of `groups`, or have values that JSON cannot hold.

    Corrected in place: None in a text field becomes "", an int in a float field a float. A nested part that was
    replaced, such as `config.world = {"g0": 3.7}`, gets the defaults of its missing fields.

    closed: False for a system outside the registry that has not declared its fields. It may add fields, unless their
    names are near a declared one.

    Raises:
        UsageError: names the field and the cure.
    """
    _check_set(config)
    fields = declared(groups)
    for field in fields.values():
        parent, _, name = field.name.rpartition(".")
        if parent and isinstance(config.get(parent), ConfigDict) and name not in config[parent]:
            put(config, field.name, field.default)
    values = flatten(config.to_dict())
    values.pop(FREE_FIELDS, None)
    missing = [name for name in fields if name not in values]
    unknown = [name for name in values if name not in fields]
    for name in unknown:
        if closed or (missing and did_you_mean(name, missing)) or did_you_mean(name, fields, 0.8):
            raise no_such_field(name, fields, fields)
    if missing:
        more = f" and {len(missing) - _MOST_SHOWN} more" if len(missing) > _MOST_SHOWN else ""
        raise UsageError(
            f"the config lacks {', '.join(missing[:_MOST_SHOWN])}{more}: start from the system's default config, "
            "such as experiments/configs/cpu.py, and change what differs"
        )
    for name, value in values.items():
        _check_value(config, name, value, fields.get(name))


def check_values(config: Config, groups: Groups) -> None:
    """Rejects values that a field's `choices` or limits exclude. Fields that the config lacks are left out.

    Raises:
        UsageError: names the field, its value, the limit and the cure.
    """
    values = flatten(config.to_dict())
    for name, field in declared(groups).items():
        value = values.get(name)
        if field.choices and value is not None and value not in field.choices:
            raise unknown_choice(name, value, field.choices)
        if isinstance(value, int | float) and not field.within.hold(value):
            near = min(max(value, field.within.least), field.within.most)
            cure = f"={near:g}" if field.within.hold(near) else ""
            raise UsageError(f"{name}={value:g} must {field.within}: set --config.{name}{cure}")


def _check_set(config: Config, prefix: str = "") -> None:
    """Rejects a `config_dict.required_placeholder` without a value. Reading it raises an error without its name."""
    for name in config:
        try:
            value = config[name]
        except RequiredValueError as error:
            raise UsageError(f"{prefix}{name} is required and has no value: set it in the file") from error
        if isinstance(value, ConfigDict):
            _check_set(value, f"{prefix}{name}.")


def _check_value(config: Config, name: str, value: Any, field: Field | None) -> None:
    """One field's value; `field` is None for an undeclared one."""
    kind = type(field.default) if field else None
    if value is None and kind is str:
        put(config, name, "")
    elif value is None and kind is not None:
        assert field is not None
        raise UsageError(f"{name}=None: it must be {_KINDS[kind]} ({field.meaning}); the default is {field.default!r}")
    elif not _is_plain(value):
        raise UsageError(
            f"{name}={value!r} ({type(value).__name__}): a config holds numbers, texts, True or False and tuples of "
            "them; convert it by int(), float(), str() or tuple()"
        )
    elif not is_finite(value):
        raise UsageError(f"{name}={value} is not a finite number: give one")
    elif kind is float and type(value) is int:
        put(config, name, float(value))
    elif kind is not None and type(value) is not (list if kind is tuple else kind):
        raise UsageError(f"{name}={value!r} must be {_KINDS[kind]}")


def _is_plain(value: Any) -> bool:
    """Whether JSON returns it unchanged. Subclasses are excluded: numpy's float64 is one of float."""
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in _SCALARS


def is_finite(value: Any) -> bool:
    """Whether a field's value has no NaN and no infinity."""
    numbers = value if isinstance(value, list | tuple) else [value]
    return all(math.isfinite(number) for number in numbers if isinstance(number, float))


def put(config: Config, name: str, value: Value) -> None:
    """Sets a field by its dotted name, whether or not it or its group exists or the config is locked, and whatever its
    type was."""
    *parents, last = name.split(".")
    for parent in parents:
        if parent not in config:
            with config.unlocked():
                config[parent] = ConfigDict()
        config = config[parent]
    with config.unlocked(), config.ignore_type():
        config[last] = value


def _by_meaning(name: str, fields: Mapping[str, Field]) -> str:
    """As `did_you_mean`: the field with the shortest meaning that has all words of a name such as `learning_rate`."""
    words = set(name.rpartition(".")[2].lower().split("_"))
    fitting = [field for field in fields.values() if words <= set(field.meaning.lower().replace(",", " ").split())]
    best = min(fitting, key=lambda field: len(field.meaning), default=None)
    return f"did you mean {best.name!r} ({best.meaning})?" if best else ""
