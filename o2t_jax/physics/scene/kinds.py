"""Kinds of things: the solids they are made of, mass and friction."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError

SHAPES = {"sphere": 1, "capsule": 2, "box": 3}
"""Shape -> how many numbers its size has: radius; radius and half length along z; half extents."""

_LIMITS = {"mass": (1e-3, 1e4), "friction": (0.0, 5.0)}
_KEYS = {"name", "aliases", "mass", "friction", "colour", "parts", "hollow", "clearance", "surface"}


@dataclasses.dataclass(frozen=True)
class Part:
    """A solid of a thing: `size` as `SHAPES` says, m; its centre `at`, m above the middle of the thing's footprint."""

    shape: str
    size: tuple[float, ...]
    at: tuple[float, float, float]
    colour: str | None = None

    @property
    def half(self) -> Float[np.ndarray, 3]:
        """Half extents, m."""
        if self.shape == "box":
            return np.array(self.size)
        radius = self.size[0]
        return np.array([radius, radius, radius + (self.size[1] if self.shape == "capsule" else 0.0)])

    @property
    def volume(self) -> float:
        """m^3."""
        if self.shape == "box":
            return 8.0 * math.prod(self.size)
        ball = 4.0 / 3.0 * math.pi * self.size[0] ** 3
        return ball + (2.0 * math.pi * self.size[0] ** 2 * self.size[1] if self.shape == "capsule" else 0.0)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of thing: kg, friction coefficient, colour's name.

    `hollow`: open above, things go in. `clearance`: m of room beneath. `surface`: m, where things stand on it, its top
    by default.
    """

    name: str
    mass: float
    friction: float
    colour: str
    parts: tuple[Part, ...]
    aliases: tuple[str, ...] = ()
    hollow: bool = False
    clearance: float = 0.0
    surface: float | None = None

    @property
    def level(self) -> float:
        """Height of what stands on it, m."""
        return 2.0 * float(self.half[2]) if self.surface is None else self.surface

    @property
    def half(self) -> Float[np.ndarray, 3]:
        """Half extents of the box about all parts, m; the footprint's middle is the box's."""
        reach = np.max([np.abs(part.at[:2]) + part.half[:2] for part in self.parts], axis=0)
        return np.array([*reach, 0.5 * max(part.at[2] + part.half[2] for part in self.parts)])

    def scaled(self, size: float, mass: float) -> Kind:
        """The same form `size` times as large, of the same density times `mass`."""
        parts = tuple(
            dataclasses.replace(p, size=tuple(size * s for s in p.size), at=tuple(size * s for s in p.at))  # pyright: ignore[reportArgumentType]
            for p in self.parts
        )
        surface = None if self.surface is None else self.surface * size
        return dataclasses.replace(
            self, parts=parts, mass=self.mass * size**3 * mass, clearance=self.clearance * size, surface=surface
        )


def kind_from(entry: Any, where: str) -> Kind:
    """One entry of a knowledge base (docs/scene.md). Raises: UsageError, naming `where`, entry and cure."""
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where}: an object has no name: give {{'name': ..., 'mass': ..., 'parts': [...]}}")
    at = f"{where}: {name!r}"
    if unknown := sorted(set(entry) - _KEYS):
        raise UsageError(f"{at}: unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    numbers = {key: _number(entry.get(key, 0.6 if key == "friction" else None), at, key) for key in _LIMITS}
    if not isinstance(entry.get("parts"), list) or not entry["parts"]:
        raise UsageError(f"{at}: give parts, a list of {{'shape': 'box', 'size': [x, y, z], 'at': [x, y, z]}}")
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise UsageError(f"{at}: aliases={aliases!r} must be a list of words")
    parts = tuple(_part(part, at) for part in entry["parts"])
    if min(part.at[2] - part.half[2] for part in parts) < -1e-6:
        raise UsageError(f"{at}: a part reaches below the ground, its z - half height must be at least 0")
    return Kind(
        name,
        numbers["mass"],
        numbers["friction"],
        str(entry.get("colour", "grey")),
        parts,
        tuple(aliases),
        bool(entry.get("hollow", False)),
        _length(entry, "clearance", at) or 0.0,
        _length(entry, "surface", at),
    )


def _number(value: Any, at: str, key: str) -> float:
    low, high = _LIMITS[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{at}: {key}={value!r} must be a number from {low:g} to {high:g}")
    return float(value)


def _length(entry: dict[str, Any], key: str, at: str) -> float | None:
    if key not in entry:
        return None
    if not _finite([entry[key]], 1) or entry[key] < 0.0:
        raise UsageError(f"{at}: {key}={entry[key]!r} must be a length of at least 0 m")
    return float(entry[key])


def _part(part: Any, at: str) -> Part:
    part = part if isinstance(part, dict) else {}
    shape = part.get("shape")
    if not isinstance(shape, str) or shape not in SHAPES:
        raise UsageError(f"{at}: the shape {shape!r} is unknown; give one of {', '.join(SHAPES)}")
    size, place = part.get("size", []), part.get("at", [0.0, 0.0, 0.0])
    if not _finite(size, SHAPES[shape]) or min(size) <= 0.0:
        raise UsageError(f"{at}: a {shape}'s size={size!r} must be {SHAPES[shape]} numbers above 0, in metres")
    if not _finite(place, 3):
        raise UsageError(f"{at}: at={place!r} must be three numbers in metres")
    x, y, z = (float(value) for value in place)
    return Part(shape, tuple(float(s) for s in size), (x, y, z), part.get("colour"))


def _finite(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(v, int | float) and abs(v) <= sys.float_info.max for v in values)  # not so NaN
    )


__all__ = ["SHAPES", "Kind", "Part", "kind_from"]
