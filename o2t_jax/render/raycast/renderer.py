"""The ray-caster behind the interface of `types.Renderer`: pictures are made on JAX's default device."""

from __future__ import annotations

import jax
import numpy as np

from o2t_jax.physics.room.exact import Setup
from o2t_jax.render.opencv.rasteriser import StaticScene
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.raycast.raycaster import Camera, Scene, cast_pictures, scene_from

# Pictures of one call to the device, as many as each of a sample's cameras makes. It is fixed, so that a size is
# compiled once and a picture's bytes do not depend on the other pictures of a call.
CHUNK = 3


class RaycastRenderer(SceneRenderer):
    """A `SceneRenderer` that casts rays: the balls' positions are computed on the host, the pictures on the device.

    Equal arguments give equal bytes on one machine; another kind of device may round a byte differently.
    """

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
        count = len(turns)
        pictures = np.empty((count, *size, 3), np.uint8)
        # All calls first, then all results: the device computes one while the host reads another.
        made = []
        for first in range(0, count, CHUNK):
            rows = np.minimum(np.arange(first, first + CHUNK), count - 1)
            shots = [picture_inputs(setup, position[i], visible[i], places[i], turns[i]) for i in rows]
            made.append((first, cast_pictures(*stack_inputs(shots), *size)))
        for first, cast in made:
            pictures[first : first + CHUNK] = np.asarray(cast)[: count - first]
        return pictures


def picture_inputs(
    setup: Setup, position: np.ndarray, visible: np.ndarray, place: np.ndarray, turn: np.ndarray
) -> tuple[Scene, Camera]:
    """One picture's arrays for `cast_pictures`: `position` [K, 3] m, `visible` [K], the camera's `place` [3] m and
    `turn` [2] deg."""
    scene = scene_from(setup, position, visible)
    return scene, Camera(np.asarray(place, np.float64), np.asarray(turn[0]), np.asarray(turn[1]))


def stack_inputs(shots: list[tuple[Scene, Camera]]) -> tuple[Scene, Camera]:
    """Inputs of several pictures as one with a leading axis, float32."""
    return jax.tree.map(lambda *leaves: _narrow(np.stack(leaves)), *shots)


def _narrow(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == bool else array.astype(np.float32)


__all__ = ["CHUNK", "RaycastRenderer", "picture_inputs", "stack_inputs"]
