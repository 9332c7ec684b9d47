"""The nine pictures of a shot, and whether they are accepted, in JAX: `acceptance.render_plan` and its `rejection`.

Each of three cameras is cast at three moments. A picture is one number per pixel, its three bytes packed, until it is
accepted: masks read a third of the arrays that way, and only accepted pictures are unpacked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.o2t.acceptance import LATER_S, AcceptanceRule
from o2t_jax.data.o2t.on_device.shots import DeviceShot
from o2t_jax.geometry.para import LEFT_1, LEFT_2, RIGHT_1, TARGET
from o2t_jax.physics.room.jax_twin import RoomState
from o2t_jax.render.raycast.raycaster import Camera, Scene

NUM_CAST = 9
# Moments of a shot: t1, t2, the target's time, and two later ones.
_CAMERAS = np.repeat([LEFT_1, RIGHT_1, TARGET], 3)
_MOMENTS = np.array([0, 1, 3, 0, 1, 3, 2, 3, 4])
# Of the nine, the sample's own: left and right eye at t1 and t2, the target.
_OWN = np.array([0, 3, 1, 4, 6])


class Verdict(NamedTuple):
    """Why a shot is not kept, bool []: `still`, a picture in which too little moves; `cut`, only the border's doing."""

    still: Any
    cut: Any


def moments(shot: DeviceShot) -> jax.Array:
    """Times [5] s at which the shot's scene is needed."""
    last = shot.times.max()
    return jnp.stack([shot.times[LEFT_1], shot.times[LEFT_2], shot.times[TARGET], *(last + delay for delay in LATER_S)])


def inputs(state: RoomState, colour: Any, position: Any, visible: Any, shot: DeviceShot) -> tuple[Scene, Camera]:
    """Scenes and cameras [9] of a shot's pictures; `position` [5, K, 3] m and `visible` [5, K] at its moments."""
    alike = (state.radius, colour, state.side, state.ramp, state.vanishes)
    alike = jax.tree.map(lambda x: jnp.broadcast_to(x, (NUM_CAST, *jnp.shape(x))), alike)
    angles = shot.angles[_CAMERAS]
    camera = Camera(shot.positions[_CAMERAS], angles[:, 0], angles[:, 1])
    return Scene(position[_MOMENTS], visible[_MOMENTS], *alike), camera


def judge(packed: jax.Array, shot: DeviceShot, rule: AcceptanceRule) -> Verdict:
    """The rule of `acceptance.rejection` on the nine packed pictures, uint32 [9, H, W]."""

    def differ(a: int, b: int) -> jax.Array:
        return _differ(packed[a], packed[b], rule.motion_threshold)

    masks = []
    for first in (0, 3):  # both eyes
        once, late, again = differ(first, first + 1), differ(first, first + 2), differ(first + 1, first + 2)
        masks += [once & late, once & again]
    masks.append(differ(6, 7) & differ(6, 8))
    mask = jnp.stack(masks)
    area = mask.sum(axis=(1, 2), dtype=jnp.int32)
    border = jnp.stack([mask[:, 0].any(1), mask[:, -1].any(1), mask[:, :, 0].any(1), mask[:, :, -1].any(1)]).any(0)
    # Where the target is the first picture, its own three moments do not count.
    counts = (jnp.arange(len(masks)) < len(masks) - 1) | ~_is_first(shot)
    still = (counts & (area < rule.smallest(*packed.shape[1:]))).any()
    cut = (counts & border).any() & rule.require_whole
    return Verdict(still, cut & ~still)


def own(packed: jax.Array, shot: DeviceShot) -> jax.Array:
    """The sample's five pictures, packed, of the nine."""
    target = jnp.where(_is_first(shot), _OWN[LEFT_1], _OWN[TARGET])
    return packed[jnp.asarray(_OWN).at[TARGET].set(target)]


def _is_first(shot: DeviceShot) -> jax.Array:
    """Whether the target's picture is the first one, as in DIS."""
    same = (shot.positions[TARGET] == shot.positions[LEFT_1]).all() & (shot.angles[TARGET] == shot.angles[LEFT_1]).all()
    return same & (shot.n == 0)


def _differ(a: jax.Array, b: jax.Array, threshold: int) -> jax.Array:
    """Where a byte of packed pictures [H, W] differs by more than `threshold`: bool [H, W]."""
    far = jnp.zeros(a.shape, bool)
    for shift in (0, 8, 16):
        one, other = (((x >> shift) & 255).astype(jnp.int32) for x in (a, b))
        far |= jnp.abs(one - other) > threshold
    return far


__all__ = ["NUM_CAST", "Verdict", "inputs", "judge", "moments", "own"]
