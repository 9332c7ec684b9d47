"""Films of discs: the truth and what models predict, side by side, drawn from the positions themselves."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.writers.pictures import picture_grid
from o2t_jax.physics.discs.drawing import drawing
from o2t_jax.physics.discs.scene import Scene, Walls
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.render.planar import draw, to_bytes

HEIGHT = 240  # px of the room in a film
_AWAY = 1e6  # px, where a disc is drawn whose predicted place is no number: outside of the picture


def scene_of(scenes: Mapping[str, np.ndarray], number: int) -> Scene:
    """One of N stored scenes (`DiscScenes`), in its first frame."""
    one = {name: jnp.asarray(x[number]) for name, x in scenes.items()}
    walls = Walls(one["walls/ends"], one["walls/present"])
    return Scene(one["position"][0], one["velocity"][0], one["mass"], one["radius"], one["present"], walls)


def pictures(scene: Scene, position: np.ndarray, size: tuple[float, float], height: int = HEIGHT) -> np.ndarray:
    """uint8 [T, height, width, 3] of the discs of `scene` at positions [T, B, 2]; the width follows from the room's."""
    width = round(height * size[0] / size[1])
    places = np.clip(np.nan_to_num(position, nan=_AWAY), -_AWAY, _AWAY)
    return np.stack([np.asarray(_picture(scene, place, height, width)) for place in places])


@functools.partial(jax.jit, static_argnums=(2, 3))
def _picture(scene: Scene, position: jax.Array, height: int, width: int) -> jax.Array:
    return to_bytes(draw(drawing(scene._replace(position=position)), height, width))


def of_scene(
    scenes: Mapping[str, np.ndarray], number: int, predicted: Mapping[str, np.ndarray], world: DiscWorld
) -> np.ndarray:
    """uint8 [T + 1, H, W, 3]: one of N stored scenes from its second frame on, and beside it what models predict.

    Args: `predicted`, name -> positions [N, T, B, 2] px from the third frame on.
    """
    steps = min(x.shape[1] for x in predicted.values())
    truth = scenes["position"][number, 1 : steps + 2]
    tracks = {name: np.concatenate([truth[:1], x[number, :steps]]) for name, x in predicted.items()}
    scene = scene_of(scenes, number)
    panels = {name: pictures(scene, x, world.size) for name, x in {"truth": truth, **tracks}.items()}
    return np.stack(
        [
            picture_grid({name: x[t : t + 1] for name, x in panels.items()}, [f"t = {t * world.dt:.1f} s"])
            for t in range(steps + 1)
        ]
    )


__all__ = ["HEIGHT", "of_scene", "pictures", "scene_of"]
