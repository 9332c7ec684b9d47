"""The project's own renderer: a scene, a gravity law and a simulator behind the interface of `types.Renderer`."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for
from o2t_jax.physics.forces import NO_FORCE, Force
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.exact import INTEGRATORS, Setup, check_force, simulate
from o2t_jax.render.opencv.rasteriser import StaticScene, draw_pictures
from o2t_jax.render.pose import view_for
from o2t_jax.render.scenes.base import Scene

MAX_SIDE_PX = 8192
# Scenes kept by seed: a sample requests the same one several times in a row.
_KNOWN_SETUPS = 64


class SceneRenderer:
    """Pictures of a scene under a law; equal arguments give equal bytes, and threads may share one renderer.

    Raises: UsageError for an unknown integrator, or a force where it is not simulated.
    """

    def __init__(self, scene: Scene, gravity: Gravity, integrator: str = "exact", force: Force = NO_FORCE) -> None:
        if integrator not in INTEGRATORS:
            raise UsageError(f"integrator={integrator!r} is unknown: choose one of {', '.join(INTEGRATORS)}")
        check_force(force, f"scene {scene.name!r}", scene.bounces, integrator)
        self.scene, self.gravity, self.integrator, self.force = scene, gravity, integrator, force
        self._known = functools.lru_cache(maxsize=_KNOWN_SETUPS)(self._setup_and_stage)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_known"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def _setup_and_stage(self, setup_seed: int) -> tuple[Setup, StaticScene]:
        setup = self.scene.sample(np.random.default_rng(setup_seed))
        for value in setup:
            if isinstance(value, np.ndarray):
                value.setflags(write=False)  # it is shared from here on
        return setup, StaticScene.of(setup)

    def setup(self, setup_seed: int) -> Setup:
        """The initial conditions that belong to a seed; its arrays are read-only."""
        return self._known(_seed(setup_seed))[0]

    def render(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        observer_positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """See `types.Renderer.render`; single entries broadcast over the pictures.

        Pictures of one camera share the static part: request many times in one call.
        Raises: UsageError for a negative time, a non-finite number, counts that do not match, an invalid size.
        """
        moments, turns, places = _arguments(times, angles, observer_positions)
        height, width = _size(image_size)
        setup, stage = self._known(_seed(setup_seed))
        position, visible = simulate(setup, moments, self.gravity, self.integrator, self.force)
        return self._draw(setup, stage, position, visible, turns, places, (height, width))

    def _draw(
        self,
        setup: Setup,
        stage: StaticScene,
        position: np.ndarray,
        visible: np.ndarray,
        turns: np.ndarray,
        places: np.ndarray,
        size: tuple[int, int],
    ) -> np.ndarray:
        """Pictures uint8 [T, H, W, 3] of balls at `position` [T, K, 3] m, those `visible` [T, K] seen."""
        intrinsics = intrinsics_for(*size)
        cameras: dict[bytes, int] = {}
        views, of_view = [], []
        for place, turn in zip(places, turns, strict=True):
            i = cameras.setdefault(turn.tobytes() + place.tobytes(), len(views))
            if i == len(views):
                views.append(view_for(place, turn[0], turn[1], intrinsics))
            of_view.append(i)
        return draw_pictures(stage, views, of_view, position, visible)

    def truth(self, setup_seed: int, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions [T, K, 3] m, visible [T, K], radii [K] m; for evaluation only."""
        setup = self.setup(setup_seed)
        position, visible = simulate(setup, np.asarray(times, np.float64), self.gravity, self.integrator, self.force)
        return position, visible, setup.radius


def _seed(setup_seed: Any) -> int:
    seed = int(setup_seed)
    if seed < 0:
        raise UsageError(f"setup_seed={seed} is negative; give 0 or more")
    return seed


def _size(image_size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in image_size)
    except (TypeError, ValueError):
        raise UsageError(f"image_size={image_size!r} must be two whole numbers, (height, width) in px") from None
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
        raise UsageError(f"image_size={height}x{width} must be from 1 to {MAX_SIDE_PX} px a side")
    return height, width


def _arguments(times: Any, angles: Any, places: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times [T], angles [T, 2] and places [T, 3], checked and broadcast, float64 and contiguous."""
    given = {"times": (times, 1), "angles": (angles, 2), "observer_positions": (places, 3)}
    arrays = []
    for name, (value, columns) in given.items():
        try:
            array = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise UsageError(f"{name}={value!r} must be numbers") from None
        array = array.reshape(-1) if name == "times" and array.ndim == 0 else array
        array = array[None] if name != "times" and array.ndim == 1 else array
        wanted = (len(array),) if name == "times" else (len(array), columns)
        if array.shape != wanted or not len(array):
            raise UsageError(
                f"{name} have shape {np.shape(value)}: give one or T rows" + (f" of {columns}" if columns > 1 else "")
            )
        if not math.isfinite(float(np.sum(array))):
            bad = array.ravel()[~np.isfinite(array.ravel())]
            raise UsageError(
                f"{name} hold {bad[0] if bad.size else 'huge numbers'}: every entry must be a finite number"
            )
        arrays.append(array)
    if arrays[0].min() < 0.0:
        raise UsageError(f"time {arrays[0].min():g} s is negative: a scene starts at 0 s")
    count = max(len(a) for a in arrays)
    if any(len(a) not in (1, count) for a in arrays):
        sizes = " and ".join(f"{len(a)} {name}" for a, name in zip(arrays, given, strict=True))
        raise UsageError(f"{sizes} do not fit together: give one or equally many of each")
    shapes = ((count,), (count, 2), (count, 3))
    out = [np.ascontiguousarray(np.broadcast_to(a, s)) for a, s in zip(arrays, shapes, strict=True)]
    return out[0], out[1], out[2]


__all__ = ["MAX_SIDE_PX", "SceneRenderer"]
