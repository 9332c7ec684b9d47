"""JSON files of right form in which each value in turn is of another type: what random damage of bytes seldom makes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

VALUES = (None, True, -1, 5, 2**63, 10**400, 1e308, float("nan"), "", "x", "\ud800", [], [[]], [5], ["x"], {}, {"a": 1})
MOST = 400  # values of one document that are changed: the first and the last


def changed(data: bytes) -> Iterator[bytes]:
    """The file with each of its values left out, and replaced by each of `VALUES`; nothing where it is no JSON."""
    try:
        lines = [json.loads(data)]
    except ValueError:
        try:
            lines = [json.loads(line) for line in data.splitlines()]
        except ValueError:
            return
    if not all(isinstance(line, dict | list) for line in lines):
        return
    places = [(number, *path) for number, line in enumerate(lines) for path in _paths(line)]
    for place in places if len(places) <= MOST else places[: MOST // 2] + places[-MOST // 2 :]:
        for made in _replaced(lines, place):
            yield "\n".join(map(json.dumps, made)).encode()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys and indices on the way to each value, itself first."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from _paths(item, (*path, key))


def _replaced(document: list[Any], path: tuple[Any, ...]) -> Iterator[list[Any]]:
    """Copies of the document with the value at `path` changed."""
    *above, last = path
    for value in (*VALUES, ...):  # the last: left out
        copied = at = copy.deepcopy(document)
        for key in above:
            at = at[key]
        if value is ...:
            del at[last]
        else:
            at[last] = value
        yield copied


__all__ = ["MOST", "VALUES", "changed"]
