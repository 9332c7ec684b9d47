"""A scene as a MuJoCo model: each thing's solids on a body that moves freely, on a floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.kinds import Kind

STEP_S = 0.0025
GRAVITY = 9.81
# Stiffness and damping of a contact by unit mass: restitution about 0.7, 13 steps long.
_FIRM = "0.008 1"  # a contact settles in 8 ms
_BOUNCY = "-3600 -13"
_ROLLING = "0.005 0.0005"  # torsional and rolling friction, m


@dataclasses.dataclass(frozen=True)
class Placed:
    """A thing at `place` m (its footprint's middle and lowest height), with a velocity m/s at the start.

    `held`: it does not move, as a lamp that hangs. `bouncy`: its contacts are elastic.
    """

    name: str
    kind: Kind
    place: tuple[float, float, float]
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    held: bool = False
    bouncy: bool = False


def mujoco() -> Any:
    """The package. Raises: UsageError, one line, where the extra is not installed."""
    try:
        import mujoco  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError('MuJoCo is not installed: pip install "o2t_jax[motion]", or give --nosimulate') from None
    return mujoco


def world(things: Sequence[Placed]) -> tuple[ElementTree.Element, ElementTree.Element]:
    """(root, worldbody) of an MJCF document with all things; SI units."""
    root = ElementTree.Element("mujoco")
    ElementTree.SubElement(
        root, "option", timestep=str(STEP_S), gravity=f"0 0 {-GRAVITY}", integrator="implicitfast", cone="elliptic"
    )
    body = ElementTree.SubElement(root, "worldbody")
    ElementTree.SubElement(
        body, "geom", name="floor", type="plane", size="20 20 1", friction=f"0.01 {_ROLLING}", solref=_FIRM
    )
    for thing in things:
        _add(body, thing)
    return root, body


def _add(world_body: ElementTree.Element, thing: Placed) -> None:
    own = ElementTree.SubElement(world_body, "body", name=thing.name, pos=numbers(thing.place))
    if not thing.held:
        ElementTree.SubElement(own, "freejoint", name=thing.name)
    total = sum(part.volume for part in thing.kind.parts)
    for i, part in enumerate(thing.kind.parts):
        geom = ElementTree.SubElement(
            own,
            "geom",
            name=f"{thing.name}/{i}",
            type=part.shape,
            size=numbers(part.size),
            pos=numbers(part.at),
            mass=str(thing.kind.mass * part.volume / total),
            friction=f"{thing.kind.friction} {_ROLLING}",
            condim="6",
            solref=_FIRM,
        )
        if thing.bouncy:
            geom.set("solref", _BOUNCY)
            geom.set("priority", "1")


def numbers(values: Sequence[float] | np.ndarray) -> str:
    """Numbers as MJCF writes them."""
    return " ".join(f"{float(value):.9g}" for value in values)


__all__ = ["GRAVITY", "STEP_S", "Placed", "mujoco", "numbers", "world"]
