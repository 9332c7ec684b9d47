"""What is tried: a parser with small valid files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Parser(NamedTuple):
    """`seeds`, names of files with their content; `read`, of a path; `slow`, whether few are tried in tests; `threads`,
    whether it has threads, beside which tracemalloc may crash when it stops (CPython issue 128679)."""

    seeds: Mapping[str, bytes]
    read: Callable[[Path], Any]
    slow: bool = False
    threads: bool = False


def beside(place: Path, name: str, read: Callable[[], Any]) -> Callable[[Path], Any]:
    """A reader of the file `name` in `place`, for files that are only read under their own name."""

    def moved(path: Path) -> Any:
        path.replace(place / name)
        return read()

    return moved


def alone(place: Path, read: Callable[[], Any]) -> Callable[[Path], Any]:
    """A reader of a file that is the only one in `place`, under its own name."""
    place.mkdir(exist_ok=True)

    def moved(path: Path) -> Any:
        for old in place.iterdir():
            old.unlink()
        path.replace(place / path.name)
        return read()

    return moved


def one_changed(place: Path, seeds: Mapping[str, bytes], read: Callable[[], Any]) -> Callable[[Path], Any]:
    """A reader of several files in `place`, of which one is changed: the others are whole. ! in a name is a folder."""
    for name, data in seeds.items():
        (place / name.replace("!", "/")).parent.mkdir(parents=True, exist_ok=True)
        (place / name.replace("!", "/")).write_bytes(data)

    def moved(path: Path) -> Any:
        inside = place / path.name.replace("!", "/")
        path.replace(inside)
        try:
            return read()
        finally:
            inside.write_bytes(seeds[path.name])

    return moved


__all__ = ["Parser", "alone", "beside", "one_changed"]
