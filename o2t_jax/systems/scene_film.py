"""The pictures of a scene: its layout from above, and the film of its simulation."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float, UInt8

from o2t_jax.data.scene.words import COLOURS
from o2t_jax.evaluation.figure import new_figure
from o2t_jax.physics.scene.simulation import Track
from o2t_jax.render.scene.pictures import Shapes, View, pictures
from o2t_jax.render.scene.solids import Solid
from o2t_jax.systems.scene import Stage

_SKIN = (0.85, 0.66, 0.53)
_TROUSERS = (0.23, 0.25, 0.32)
_FOV, _ELEVATION = 40.0, -12.0


def shoot(
    stage: Stage, track: Track, height: int = 288, width: int = 384, smooth: int = 2
) -> UInt8[np.ndarray, "frames height width 3"]:
    """The film, a picture a frame of `track`, from a camera that has everything in view and looks along +y."""
    return pictures(shapes_of(stage, track), view_of(track, width / height), height, width, smooth)


def shapes_of(stage: Stage, track: Track) -> Shapes:
    """The simulation's solids with their colours."""
    colours = np.array([_colour(stage, name) for name in track.geoms])
    size = track.size.copy()
    # A sphere is a capsule of no length.
    size[[shape == "sphere" for shape in track.shape], 1] = 0.0
    box = np.array([shape == "box" for shape in track.shape], bool)

    def part(which: np.ndarray) -> tuple[Solid, np.ndarray]:
        frames = len(track.time)
        if not which.any():  # the ray-caster wants one of each: a point below the floor
            nothing = np.zeros((frames, 1, 3))
            return Solid(nothing - [0, 0, 9], np.tile(np.eye(3), (frames, 1, 1, 1)), nothing + 1e-3), np.zeros((1, 3))
        sizes = np.broadcast_to(size[which], (frames, int(which.sum()), 3))
        return Solid(track.centre[:, which], track.turn[:, which], sizes), colours[which]

    return Shapes(*part(~box), *part(box))


def view_of(track: Track, ratio: float) -> View:
    """A camera for a picture of width / height `ratio`."""
    centre, reach = track.centre, 0.5
    low = centre.min(axis=(0, 1)) - reach
    high = centre.max(axis=(0, 1)) + reach
    tangent = np.tan(np.radians(0.5 * _FOV))
    wide = 0.5 * (high[0] - low[0])
    # The nearest thing must fit too, so the distance counts from the front.
    distance = max(wide / (tangent * ratio), 0.5 * (high[2] - low[2]) / tangent, 2.5)
    middle = 0.5 * (low + high)
    y = low[1] - distance
    aim = middle[1] - y
    z = max(0.4, middle[2] + aim * np.tan(np.radians(-_ELEVATION)))
    return View((float(middle[0]), float(y), float(z)), 90.0, _ELEVATION, _FOV)


def _colour(stage: Stage, geom: str) -> tuple[float, float, float]:
    body, _, number = geom.rpartition("/")
    name, _, joint = body.partition(".")
    kind = stage.things[stage.names.index(name)]
    if joint:
        if any(part in joint for part in ("Head", "Neck", "Hand", "ForeArm")):
            return _SKIN
        return _TROUSERS if any(part in joint for part in ("Leg", "Foot", "Toe", "Hips")) else COLOURS[kind.colour]
    part = kind.parts[int(number)]
    return COLOURS[part.colour or kind.colour]


def layout_picture(stage: Stage) -> bytes:
    """The layout from above as a PNG: footprints, names, relations as arrows."""
    figure = new_figure(figsize=(6, 6))
    from matplotlib.patches import Rectangle

    axes = figure.add_subplot()
    for name, kind, place in zip(stage.names, stage.things, stage.plan.place, strict=True):
        half = kind.half
        corner = (place[0] - half[0], place[1] - half[1])
        axes.add_patch(
            Rectangle(corner, 2 * half[0], 2 * half[1], facecolor=COLOURS[kind.colour], alpha=0.6, edgecolor="k")
        )
        axes.annotate(f"{name}\nz {abs(place[2]):.2f} m", place[:2], ha="center", va="center", fontsize=8)
    for relation in stage.relations:
        start, end = stage.plan.place[relation.subject][:2], stage.plan.place[relation.object][:2]
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "0.3"})
        axes.annotate(relation.predicate, 0.5 * (start + end), fontsize=7, color="0.2")
    reach = _reach(stage)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="x, m (right)", ylabel="y, m (away)")
    axes.set_title(f"largest miss {max([0.0, *stage.plan.missed]) * 100:.1f} cm")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _reach(stage: Stage) -> float:
    corners: Float[np.ndarray, "things 2"] = np.abs(stage.plan.place[:, :2]) + [kind.half[:2] for kind in stage.things]
    return float(corners.max()) + 0.5


__all__ = ["layout_picture", "shapes_of", "shoot", "view_of"]
