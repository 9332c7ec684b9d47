"""The console script `o2t`: every command by its name, in the clone also `python -m experiments`.

o2t [COMMAND] [arguments]     without one: the list
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

from o2t_jax.commands._cli import as_typed_here, fail
from o2t_jax.config import unknown_choice

HERE = Path(__file__).parent


def commands() -> dict[str, Path]:
    """Name, such as train or studies.discs, -> its file. Modules that only tell where a command went are left out."""
    files = [*sorted(HERE.glob("*.py")), *sorted((HERE / "studies").glob("*.py"))]
    public = {".".join(path.relative_to(HERE).with_suffix("").parts): path for path in files if path.name[0] != "_"}
    return {name: path for name, path in public.items() if "commands._moved" not in path.read_text("utf-8")}


def main(argv: list[str] | None = None) -> int:
    """The named command takes this process over; without a name, the list. Returns the exit code.

    A new interpreter, and not `runpy`: a command restarts itself with settings of memory only where it is the program.
    """
    given = sys.argv[1:] if argv is None else argv
    found = commands()
    if not given or given[0] in ("-h", "--help", "help"):
        print("o2t COMMAND [arguments]; o2t COMMAND --help tells the rest\n")
        print(as_typed_here("\n".join(f"  {name:28} {_summary(path)}" for name, path in found.items())))
        return 0
    name, *rest = given
    if name not in found:
        return fail(str(unknown_choice("command", name, found)))
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"o2t_jax.commands.{name}", *rest])


def _summary(path: Path) -> str:
    """The first line of a module's docstring, read without importing it."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
