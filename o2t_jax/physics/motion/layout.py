"""The feature layout of HumanML3D and KIT-ML: 12 J - 1 numbers a frame for J joints (251 of 21, 263 of 22).

| numbers | what | unit, frame |
|---|---|---|
| 1 | half the turn of the heading to the next frame, negative where the heading grows | rad a frame |
| 2 | the root's step to the next frame along the ground (x, z) | m a frame, by the next frame's heading |
| 1 | the root's height | m |
| 3 (J - 1) | the other joints' places, from the point below the root | m, by the heading |
| 6 (J - 1) | rotation of the bone that leads to each joint, from the one before; the first ones from the heading | 6D |
| 3 J | every joint's step to the next frame | m a frame, by the heading |
| 4 | contacts: left ankle, left toe, right ankle, right toe | 0 or 1 |

(Guo et al. 2022, CVPR, "Generating diverse and natural 3D human motions from text", section 3.) The steps make a frame
fewer than there are; here the last frame repeats the steps of the one before, so T frames give T rows and come back.
As the rotations are those of bones, the tilt of the hips is in the spine's and the thighs', and nothing of the joints'
places is lost; how a hand, a head or a toe is turned about its own joint is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import RATE, contacts
from o2t_jax.physics.motion.kinematics import about_y, added_up, from_six, globals_of, locals_of, places_of, to_six
from o2t_jax.physics.motion.skeleton import OUR_FEET, Feet, Skeleton
from o2t_jax.types import Array


def width(joints: int) -> int:
    """Numbers a frame for that many joints."""
    return 12 * joints - 1


def joint_count(numbers: int) -> int:
    """The joints of a layout of that many numbers a frame. Raises: UsageError where there is no such layout."""
    if numbers < width(2) or (numbers + 1) % 12:
        raise UsageError(
            f"{numbers} numbers a frame are no motion features: J joints have 12 J - 1 (251 of 21, 263 of 22)"
        )
    return (numbers + 1) // 12


def parts(joints: int) -> dict[str, slice]:
    """Where each part of a row is: turn, step, height, places, rotations, velocities, contacts."""
    sizes = {
        "turn": 1,
        "step": 2,
        "height": 1,
        "places": 3 * (joints - 1),
        "rotations": 6 * (joints - 1),
        "velocities": 3 * joints,
        "contacts": 4,
    }
    ends = np.cumsum(list(sizes.values())).tolist()
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def heading_of(rotation: Float[Array, "*batch 3 3"]) -> Float[jax.Array, "*batch"]:
    """Where the hips look, rad about the vertical from +z towards +x; they must not look straight up or down."""
    return jnp.arctan2(rotation[..., 0, 2], rotation[..., 2, 2])


def encode(
    skeleton: Skeleton,
    root: Float[Array, "*batch frames 3"],
    rotations: Float[Array, "*batch frames joints 3 3"],
    rate: float = RATE,
    feet: Feet = OUR_FEET,
) -> Float[jax.Array, "*batch frames numbers"]:
    """The features of motions of T >= 2 frames: see the table above. `rate`, frames/s, is for the contacts alone."""
    turned = globals_of(skeleton, rotations)
    positions = places_of(skeleton, root, turned)
    heading = heading_of(turned[..., 0, :, :])
    back = about_y(-heading)
    turn = _last_again(_wrapped(jnp.diff(heading, axis=-1)))
    steps = _last_again(jnp.diff(positions, axis=-3), -3)
    root_step = _rotated(_last_again(back[..., 1:, :, :], -3), steps[..., 0, :])
    ground = positions[..., :1, :] * jnp.array([1.0, 0.0, 1.0])
    places = _rotated(back[..., None, :, :], positions[..., 1:, :] - ground)
    leading = turned[..., np.array(skeleton.parents[1:], int), :, :]  # of the bone that leads to joints 1, 2, ...
    facing = jnp.broadcast_to(about_y(heading)[..., None, :, :], (*leading.shape[:-3], 1, 3, 3))
    bones = locals_of(skeleton, jnp.concatenate([facing, leading], -3))[..., 1:, :, :]
    rows = [
        -0.5 * turn[..., None],
        root_step[..., np.array([0, 2])],
        positions[..., 0, 1:2],
        _flat(places),
        _flat(to_six(bones)),
        _flat(_rotated(back[..., None, :, :], steps)),
        contacts(positions, rate, feet).astype(positions.dtype),
    ]
    return jnp.concatenate(rows, -1)


def root_of(
    features: Float[Array, "*batch frames numbers"],
) -> tuple[Float[jax.Array, "*batch frames 3"], Float[jax.Array, "*batch frames"]]:
    """The root's places m and headings rad: turns and steps added up from the origin, looking along +z."""
    features = jnp.asarray(features)
    turn, step, height = features[..., 0], features[..., 1:3], features[..., 3]
    heading = jnp.cumsum(_first_zero(-2.0 * turn[..., :-1], -1), -1)
    ahead = jnp.stack([step[..., :-1, 0], jnp.zeros_like(step[..., :-1, 0]), step[..., :-1, 1]], -1)
    ahead = _first_zero(_rotated(about_y(heading[..., 1:]), ahead), -2)
    walked = jnp.cumsum(ahead, -2)
    return jnp.stack([walked[..., 0], height, walked[..., 2]], -1), heading


def decode(features: Float[Array, "*batch frames numbers"]) -> Float[jax.Array, "*batch frames joints 3"]:
    """Where the joints are, m, from the places in the features; the first frame is at the origin, looking along +z.

    Differentiable. Raises: UsageError for a number of features that no layout has.
    """
    joints = joint_count(features.shape[-1])
    root, heading = root_of(features)
    places = features[..., parts(joints)["places"]].reshape(*features.shape[:-1], joints - 1, 3)
    ground = root * jnp.array([1.0, 0.0, 1.0])
    others = _rotated(about_y(heading)[..., None, :, :], places) + ground[..., None, :]
    return jnp.concatenate([root[..., None, :], others], -2)


def decode_pose(
    skeleton: Skeleton, features: Float[Array, "*batch frames numbers"]
) -> tuple[Float[jax.Array, "*batch frames 3"], Float[jax.Array, "*batch frames joints 3 3"]]:
    """Root and rotations relative to the parents, from the rotations in the features: bones keep their lengths.

    Six numbers need not be a rotation (`from_six`). Joints at the tree's ends turn with the bone that leads to them.
    Children of one joint each have a copy of its rotation, and the first one's is taken (`decode_bones` takes all).
    Only for features made by `encode`: HumanML3D's own files relate the first bones to another rotation, as published.

    Raises: UsageError where the features are of another number of joints.
    """
    root, leading = _bones(skeleton, features)
    children = {parent: i for i, parent in reversed(list(enumerate(skeleton.parents))) if parent >= 0}
    owner = [children.get(i, i) for i in range(len(skeleton))]
    return root, locals_of(skeleton, leading[..., np.array(owner), :, :])


def decode_bones(
    skeleton: Skeleton, features: Float[Array, "*batch frames numbers"]
) -> Float[jax.Array, "*batch frames joints 3"]:
    """As `decode`, but from the rotations in the features, every one of them: bones keep their lengths.

    Only for features made by `encode` (see `decode_pose`). Raises: UsageError where they are of another skeleton.
    """
    root, leading = _bones(skeleton, features)
    bones = _rotated(leading, jnp.asarray(skeleton.offsets, leading.dtype))[..., 1:, :]
    return root[..., None, :] + added_up(skeleton, bones)


def canonical(
    root: Float[Array, "*batch frames 3"], rotations: Float[Array, "*batch frames joints 3 3"]
) -> tuple[Float[jax.Array, "*batch frames 3"], Float[jax.Array, "*batch frames joints 3 3"]]:
    """The same motion with the first frame above the origin, looking along +z; heights stay."""
    back = about_y(-heading_of(rotations[..., 0, 0, :, :]))[..., None, :, :]
    start = root[..., :1, :] * jnp.array([1.0, 0.0, 1.0])
    turned = (back @ rotations[..., 0, :, :])[..., None, :, :]
    return _rotated(back, root - start), jnp.concatenate([turned, jnp.asarray(rotations[..., 1:, :, :])], -3)


def _bones(skeleton: Skeleton, features: Array) -> tuple[jax.Array, jax.Array]:
    """The root's places, and at joint i the rotation in the world of the bone that leads to it."""
    joints = joint_count(features.shape[-1])
    if joints != len(skeleton):
        raise UsageError(f"the features are of {joints} joints, the skeleton has {len(skeleton)}")
    root, heading = root_of(features)
    six = features[..., parts(joints)["rotations"]].reshape(*features.shape[:-1], joints - 1, 6)
    facing = about_y(heading)[..., None, :, :]
    return root, globals_of(skeleton, jnp.concatenate([facing, from_six(six)], -3))


def _rotated(rotation: Array, vectors: Array) -> jax.Array:
    return jnp.einsum("...ab,...b->...a", rotation, vectors)


def _flat(values: jax.Array) -> jax.Array:
    return values.reshape(*values.shape[:-2], -1)


def _last_again(values: jax.Array, axis: int = -1) -> jax.Array:
    last = jax.lax.slice_in_dim(values, values.shape[axis] - 1, values.shape[axis], axis=axis)
    return jnp.concatenate([values, last], axis)


def _first_zero(values: jax.Array, axis: int) -> jax.Array:
    first = jnp.zeros_like(jax.lax.slice_in_dim(values, 0, 1, axis=axis))
    return jnp.concatenate([first, values], axis)


def _wrapped(angle: jax.Array) -> jax.Array:
    return angle - 2.0 * jnp.pi * jnp.round(angle / (2.0 * jnp.pi))


__all__ = [
    "canonical",
    "decode",
    "decode_bones",
    "decode_pose",
    "encode",
    "heading_of",
    "joint_count",
    "parts",
    "root_of",
    "width",
]
