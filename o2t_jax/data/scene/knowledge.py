"""The knowledge base: 12 kinds of things, and those that a user adds by a JSON file of the same form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from o2t_jax.data.scene.words import COLOURS, MASS_FACTORS, PERSONS, SIZE_FACTORS
from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of
from o2t_jax.physics.scene.kinds import Kind, Part, kind_from

PERSON = "person"


def load_kinds(added: str | Path | None = None) -> dict[str, Kind]:
    """Kinds by name and by alias; an added one replaces ours of its name. Raises: UsageError."""
    text = (resources.files("o2t_jax.data.scene") / "objects.json").read_text()
    kinds = [kind_from(entry, "objects.json") for entry in json.loads(text)]
    if added:
        kinds += [kind_from(entry, str(added)) for entry in _entries(Path(added))]
    found: dict[str, Kind] = {}
    for kind in kinds:
        if kind.name in PERSONS or set(kind.aliases) & PERSONS:
            raise UsageError(f"{added}: {kind.name!r} is a person, whose form is the skeleton's; give it another name")
        for colour in (kind.colour, *(part.colour or kind.colour for part in kind.parts)):
            if not isinstance(colour, str) or colour not in COLOURS:
                raise UsageError(
                    f"{added}: {kind.name!r}: the colour {colour!r} is unknown; known: {', '.join(COLOURS)}"
                )
        found |= dict.fromkeys((kind.name, *kind.aliases), kind)
    return found


def thing(kinds: Mapping[str, Kind], noun: str, attributes: Sequence[str]) -> Kind | None:
    """The kind of `noun` with its attributes: colour, size and mass. None where the noun is unknown."""
    if noun in PERSONS:
        return _with_colour(_PERSON, attributes)
    if noun not in kinds:
        return None
    size = mass = 1.0
    for word in attributes:
        size *= SIZE_FACTORS.get(word, 1.0)
        mass *= MASS_FACTORS.get(word, 1.0)
    return _with_colour(kinds[noun].scaled(size, mass), attributes)


_PERSON = Kind(PERSON, 70.0, 0.9, "blue", (Part("box", (0.3, 0.3, 0.85), (0.0, 0.0, 0.85)),))
"""What the planner keeps free for a person; the simulation has the humanoid instead."""


def _with_colour(kind: Kind, attributes: Sequence[str]) -> Kind:
    from dataclasses import replace

    colour = next((word for word in attributes if word in COLOURS), None)
    return replace(kind, colour=colour) if colour else kind


def _entries(path: Path) -> list[object]:
    try:
        entries = json_of(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): give a JSON file of objects") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}): see docs/scene.md for its form") from None
    if not isinstance(entries, list):
        raise UsageError(f"{path}: give a list of objects, [{{'name': ...}}, ...]; see docs/scene.md")
    return entries


__all__ = ["PERSON", "load_kinds", "thing"]
