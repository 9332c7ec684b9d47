"""Config files: found by path or name, run, checked; their fields listed for --help. Needs no JAX.

`--config=FILE:VARIANT` passes the text VARIANT to get_config, as in ml_collections. An error in a file is reported in
one line that names the file, the field and the cure.
"""

from __future__ import annotations

import inspect
import re
import runpy
import textwrap
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ml_collections import ConfigDict, FrozenConfigDict

from o2t_jax.config import FREE_FIELDS, Config, Field, Group, check_fields, declared, flatten, nearest, no_such_field
from o2t_jax.errors import UsageError
from o2t_jax.limits import NOT_NEGATIVE, Limits
from o2t_jax.systems import SYSTEM_FIELDS, base_config, fields_of

T = TypeVar("T")
CONFIGS = Path(__file__).resolve().parent / "configs"
IN_CLONE = "experiments/configs/"  # the clone's link to them; a path that begins so is found from everywhere
DEFAULT_CONFIG = "cpu"
_LONGEST_MESSAGE = 300
_COLUMN = 34


class Loaded(NamedTuple):
    """A file's config: `name` is used for the run's folder, `groups` are the fields that its system declares."""

    name: str
    config: Config
    groups: tuple[Group, ...]


def load_config(text: str) -> tuple[str, Config]:
    """Name and config of FILE or FILE:VARIANT; see `load`."""
    loaded = load(text)
    return loaded.name, loaded.config


def load(text: str) -> Loaded:
    """The config of a file with `get_config()`, or of a name in CONFIGS; ":VARIANT" selects a variant.

    Raises:
        UsageError: no such file, a file that fails, or a config that lacks, adds or mistypes a field.
    """
    file, variant = _find(text)
    try:
        namespace = _attempt(file, lambda: runpy.run_path(str(file)))
        get_config = namespace.get("get_config")
        if not callable(get_config):
            raise UsageError("the file has no function get_config()")
        config = _attempt(file, lambda: _call(get_config, variant))
        groups = _attempt(file, lambda: _checked(config, namespace))
    except UsageError as error:
        raise UsageError(f"--config={text}: {error}") from error
    return Loaded(_run_name(file, variant), config, groups)


def names() -> list[str]:
    """The configs of CONFIGS, those in subfolders as FOLDER/NAME."""
    files = (path.relative_to(CONFIGS).with_suffix("").as_posix() for path in CONFIGS.rglob("*.py"))
    return sorted(name for name in files if not name.endswith("__init__"))


def check_field(config: Config, name: str, groups: tuple[Group, ...] = ()) -> None:
    """Raises UsageError, with the nearest name, if the config has no field of that (dotted) name."""
    values = flatten(config.to_dict())
    if name not in values:
        values.pop(FREE_FIELDS, None)
        raise no_such_field(name, values, declared(groups))


def describe(loaded: Loaded) -> str:
    """The fields of a config with values and meanings, under their groups' titles; for --help."""
    values = flatten(loaded.config.to_dict())
    values.pop(FREE_FIELDS, None)
    groups = list(loaded.groups)
    own = [name for name in values if name not in declared(groups)]
    if own:
        groups.append(Group("Fields that the file adds", tuple(Field(name, "", "") for name in own)))
    lines = []
    for group in groups:
        lines += ["", group.title]
        for field in group.fields:
            lines += _described(field, values[field.name])
    return "\n".join(lines[1:])


def _described(field: Field, value: Any) -> list[str]:
    shown = f"  {field.name} = {tuple(value) if isinstance(value, list) else value!r}"
    said = all(choice in field.meaning for choice in field.choices)
    choices = "" if said else f": {', '.join(field.choices)}"
    limits = "" if field.within in (Limits(), NOT_NEGATIVE) else f" ({str(field.within).removeprefix('be ')})"
    meaning = textwrap.wrap(field.meaning + choices + limits, 118 - _COLUMN) or [""]
    if len(shown) < _COLUMN:
        first, *rest = [f"{shown:{_COLUMN}}{meaning[0]}", *meaning[1:]]
    else:
        first, *rest = [shown, *meaning]
    return [first.rstrip(), *(f"{'':{_COLUMN}}{line}" for line in rest)]


def _find(text: str) -> tuple[Path, str | None]:
    """The file of FILE or FILE:VARIANT, and the variant. A file whose own name has a colon is found first."""
    for end in (len(text), *(i for i, character in enumerate(text) if character == ":")):
        path, variant = text[:end], text[end + 1 :] if end < len(text) else None
        packaged = path.removeprefix(IN_CLONE) if path.startswith(IN_CLONE) else f"{path}.py"
        for candidate in (Path(path), CONFIGS / packaged):
            if _is_file(candidate):
                return candidate, variant
    path = text.partition(":")[0]
    known = {name.rpartition("/")[2]: name for name in names()} | {name: name for name in names()}
    near = nearest(path.removesuffix(".py"), known) or nearest(Path(path).stem, known)
    hint = f"did you mean {known[near]!r}? " if near else ""
    file = "" if path == text else f" {path!r}"
    raise UsageError(f"--config={text}: no such file{file}; {hint}configs here are {', '.join(names())}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be read
        return False


def _attempt(file: Path, action: Callable[[], T]) -> T:
    """The result of `action`; an exception in the user's file becomes one line with the line number."""
    try:
        return action()
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any mistake a file can hold
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else (lines or [None])[-1]
        message = " ".join(str(error).split())
        if len(message) > _LONGEST_MESSAGE:
            message = message[:_LONGEST_MESSAGE] + "..."
        where = f"line {line}: " if line else ""
        raise UsageError(f"{where}{type(error).__name__}: {message}") from error


def _call(get_config: Callable[..., Any], variant: str | None) -> Any:
    """get_config's result; a variant goes to its first parameter."""
    parameters = list(inspect.signature(get_config).parameters.values())
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    if variant is not None:
        if not places:
            raise UsageError(f"get_config() takes no variant: leave out :{variant}")
        return get_config(variant)
    if any(p.default is p.empty for p in places if p.kind != p.VAR_POSITIONAL):
        raise UsageError(f"get_config({places[0].name}) needs a variant: write --config=FILE:VARIANT")
    return get_config()


def _checked(config: Any, namespace: Mapping[str, Any]) -> tuple[Group, ...]:
    """Checks a config; returns the groups it was checked against: its system's, or the file's FIELDS."""
    if config is None:
        raise UsageError("get_config() returns nothing: end it with `return config`")
    if isinstance(config, FrozenConfigDict) or not isinstance(config, ConfigDict):
        raise UsageError(
            f"get_config() returns a {type(config).__name__}: return a ml_collections.ConfigDict, so that the command "
            "line can change it"
        )
    system = config.get("system")
    if not isinstance(system, str):
        raise UsageError(
            "the config lacks the field system: start from the system's default config, as "
            "experiments/configs/cpu.py does"
        )
    if system in SYSTEM_FIELDS:
        groups, closed = fields_of(system, config), True
    else:
        groups, closed = namespace.get("FIELDS", base_config.FIELDS), "FIELDS" in namespace
    check_fields(config, groups, closed=closed)
    return tuple(groups)


def _run_name(file: Path, variant: str | None) -> str:
    """Name for the run's folder: the path relative to CONFIGS or here, with dashes, and the variant."""
    place = file.resolve()
    for root in (CONFIGS.resolve(), Path.cwd().resolve()):
        if place.is_relative_to(root):
            place = place.relative_to(root)
            break
    else:
        place = Path(place.name)
    parts = [*place.with_suffix("").parts, *([variant] if variant else [])]
    return "-".join(re.sub(r"[^\w.=+-]+", "-", part) for part in parts)
