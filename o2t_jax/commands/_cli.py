"""Shared by all entry points: flags and config, one line and exit code 2 for errors that the user can fix.

JAX is not imported before the flags are checked, so `--help` and errors for mistyped fields appear immediately.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from o2t_jax.commands import _cpu
from o2t_jax.commands._config import DEFAULT_CONFIG, Loaded, check_field, describe, load, names
from o2t_jax.commands._streams import lasting_streams
from o2t_jax.config import Config, flatten
from o2t_jax.errors import UsageError
from o2t_jax.process import set_variable


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The user's arguments. `config` is locked; it and its name are None if an entry point takes no config."""

    flags: flags.FlagValues
    config: Config | None = None
    config_name: str | None = None
    argv: tuple[str, ...] = ()
    loaded: Loaded | None = None

    @property
    def cpu_tuning(self) -> str:
        """The config's field; if an entry point takes no config, the flag of that name."""
        return self.flags.cpu_tuning if self.config is None else self.config.get("cpu_tuning", "on")


def run(
    main: Callable[[Arguments], int | None],
    argv: list[str] | None = None,
    *,
    doc: str,
    define: Callable[[flags.FlagValues], None],
    with_config: bool = True,
    config: str = DEFAULT_CONFIG,
) -> int:
    """Parses flags, calls `main(arguments)` and returns the process' exit code.

    Args:
        main: the entry point's own work; raises UsageError for errors that the user can fix.
        argv: arguments without the program's name; the process' own by default.
        doc: the entry point's docstring, shown by --help.
        define: declares the entry point's own flags, with `flag_values=values`.
        with_config: whether `--config=FILE` and `--config.field=value` are accepted.
        config: whose fields are meant where no `--config=FILE` is given.
    """
    with lasting_streams() as lost:
        code = _run(main, list(sys.argv[1:] if argv is None else argv), doc, define, config if with_config else None)
        sys.stdout.flush()
        return fail(f"a part of the output is lost ({lost[0]})", 1) if lost and not code else code


def out_folder(values: flags.FlagValues, what: str) -> Path:
    """The flag --out, the folder for `what`; an error if it is missing."""
    if not values.out:
        raise UsageError(f"--out is missing: give the folder for {what}")
    return Path(values.out)


def check_folder(flag: str, target: str | Path | None) -> None:
    """Before minutes of work, not after. Raises: UsageError for a file to write whose folder does not exist."""
    if target and str(target) != "-" and not Path(target).parent.is_dir():
        raise UsageError(f"--{flag}={target}: the folder {Path(target).parent} does not exist; make it first")


def out_file(text: str | None, endings: Sequence[str]) -> Path:
    """The file to write. Raises: UsageError for a missing or unknown ending, or a folder that does not exist."""
    if not text:
        raise UsageError(f"--out is missing: give a file that ends in {', '.join(endings)}")
    out = Path(text)
    if out.suffix not in endings:
        raise UsageError(f"--out={out}: the ending {out.suffix!r} is unknown; give one of {', '.join(endings)}")
    check_folder("out", out)
    if out.is_dir():
        raise UsageError(f"--out={out} is a folder; give a file")
    return out


def _run(
    main: Callable[[Arguments], int | None],
    argv: list[str],
    doc: str,
    define: Callable[[flags.FlagValues], None],
    config: str | None,
) -> int:
    try:
        values = flags.FlagValues()
        define(values)
        if config is None:
            flags.DEFINE_enum("cpu_tuning", "on", _cpu.CHOICES, "settings for a CPU's speed", flag_values=values)
        wants_help = any(item in ("--help", "-help", "-h", "--helpfull", "--helpshort") for item in argv)
        typed = [item for item in argv if item.startswith("--config")] if wants_help else argv
        arguments, rest = _parse(values, typed, config)
        if wants_help:
            print(as_typed_here(_help(doc, arguments)))
            return 0
        if rest:
            raise UsageError(f"unknown argument {rest[0]!r}: flags are written --name=value; see --help")
        _cpu.prepare(arguments.cpu_tuning)
        be_quiet()
        return main(arguments) or 0
    except UsageError as error:
        return fail(str(error))
    except OSError as error:
        from o2t_jax.training.disk import reason_of

        reason = reason_of(error)
        if reason is None:
            raise
        return fail(f"{error.filename or 'a file'} cannot be written: {reason[0]}: {reason[1]}")
    except KeyboardInterrupt:
        return fail("interrupted", 130)


def fail(message: str, code: int = 2) -> int:
    """Prints the message as one line on standard error; returns the exit code."""
    print("error:", " ".join(as_typed_here(message).split()), file=sys.stderr)
    return code


def as_typed_here(text: str) -> str:
    """A text with its commands as they are typed here: where the clone's `experiments` is not found, by `o2t`."""
    found = PathFinder.find_spec("experiments")
    alias = Path(__file__).resolve().parents[2] / "experiments" / "__init__.py"
    in_clone = found is not None and found.origin is not None and Path(found.origin).resolve() == alias
    return text if in_clone else text.replace("python -m experiments.", "o2t ")


def command_line(name: str, argv: Sequence[str]) -> str:
    """The command `name` with its arguments, as it is typed here and noted in what it writes."""
    return " ".join([as_typed_here(f"python -m experiments.{name}"), *map(shlex.quote, argv)])


def workdir_of(values: flags.FlagValues) -> Path:
    """The run's folder from `--workdir`; raises UsageError if none is given."""
    if not values.workdir:
        raise UsageError("--workdir is missing: give the folder of a run, such as runs/cpu-1a2b3c4d")
    return a_run(Path(values.workdir))


def a_run(folder: Path) -> Path:
    """The folder itself. Raises: UsageError for a film's results, which `experiments.recording` writes."""
    if (folder / "track.csv").is_file() and not (folder / "config.json").exists():
        raise UsageError(
            f"--workdir={folder} is no training but a film's results: its report is {folder / 'report.html'}, its law "
            f"is in {folder / 'result.json'}"
        )
    return folder


def config_overrides(argv: list[str]) -> list[str]:
    """The config's arguments, joined as --config=... and --config.field=value."""
    return [item for item in _joined(argv) if item.lstrip("-").startswith(("config=", "config."))]


def _parse(values: flags.FlagValues, argv: list[str], config: str | None) -> tuple[Arguments, list[str]]:
    """The parsed arguments, and those that belong to no flag. Args: `config`, the default's name; None: takes none."""
    loaded, typed = None, tuple(argv)
    if config is not None:
        argv = _joined(argv)
        paths = [item.partition("=")[2] for item in argv if item.lstrip("-").startswith("config=")]
        loaded = load(paths[-1] if paths else config)
        argv = [_checked_field(item, loaded) for item in argv if not item.lstrip("-").startswith("config=")]
    try:
        if loaded is None:
            rest = values(["", *argv])[1:]
            return Arguments(values, argv=typed), rest
        config_flags.DEFINE_config_dict("config", loaded.config, flag_values=values, sys_argv=argv, lock_config=True)
        rest = values(["", *argv])[1:]
        return Arguments(values, values.config, loaded.name, typed, loaded), rest
    except (flags.Error, ValueError, TypeError) as error:
        raise UsageError(f"{error}; see --help") from error


def _checked_field(item: str, loaded: Loaded) -> str:
    """The argument itself; "a,b" for a tuple as Python writes it. Raises UsageError for a mistyped field."""
    option, equals, value = item.partition("=")
    if not option.lstrip("-").startswith(("config.", "noconfig.")):
        return item
    name = option.partition("config.")[2]
    check_field(loaded.config, name, loaded.groups)
    now = flatten(loaded.config.to_dict())[name]
    if isinstance(now, list) and all(isinstance(part, str) for part in now) and not value.startswith(("(", "[")):
        value = repr(tuple(part.strip() for part in value.split(",") if part.strip()))
    elif isinstance(now, list) and value and not value.startswith(("(", "[")):
        value = f"({value},)"  # numbers
    return f"{option}{equals}{value}"


def _joined(argv: list[str]) -> list[str]:
    """["--config", "x.py"] -> ["--config=x.py"], and the same for fields."""
    out: list[str] = []
    items = iter(argv)
    for item in items:
        name = item.lstrip("-")
        if item.startswith("-") and "=" not in item and (name == "config" or name.startswith("config.")):
            item = f"{item}={next(items, '')}"
        out.append(item)
    return out


def _help(doc: str, arguments: Arguments) -> str:
    values = arguments.flags
    lines = [doc.strip(), "", "Flags:"]
    for name in sorted(values):
        if name.partition(".")[0] != "config":
            lines.append(f"  --{name}: {values[name].help} (default: {values[name].default})")
    if arguments.loaded is not None:
        lines += [f"  --config: a file with get_config(), or one of {', '.join(names())} (default: {DEFAULT_CONFIG});"]
        lines += ["    FILE:VARIANT passes the text VARIANT to get_config"]
        lines += ["", f"Fields of the config {arguments.config_name!r}, set by --config.NAME=VALUE:", ""]
        lines += [describe(arguments.loaded)]
    return "\n".join(lines)


def be_quiet() -> None:
    """Suppresses the log messages of libraries. Call it before JAX is imported; the user's own settings win."""
    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        set_variable("TF_CPP_MIN_LOG_LEVEL", "1")
    from absl import logging

    logging.set_verbosity(logging.ERROR)  # Orbax logs every file it touches
