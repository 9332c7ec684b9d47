"""From a plan (where hips and ankles are, how arms and trunk are held) to poses of `OURS`, by inverse kinematics."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.physics.motion.kinematics import about_x, about_y, about_z, bone, forward, globals_of, knee, locals_of
from o2t_jax.physics.motion.measures import mass_centre
from o2t_jax.physics.motion.skeleton import OURS

THIGH, SHIN = 0.39, 0.41
_ROUNDS = 4  # of the hips' correction; each leaves about a fifth of the error


def _joints(*names: str) -> np.ndarray:
    return np.array([OURS.index(name) for name in names])


_LEGS = [_joints("Left" + part, "Right" + part) for part in ("UpLeg", "Leg", "Foot", "Toe")]


class Plan(NamedTuple):
    """What a gait prescribes at T times; the last axis of two is (left, right). Angles in rad, places in m.

    `lean` bends the hips, `bend` the spine, forward; `swing` takes a hanging arm forward, `raised` sideways and up
    (pi / 2 is level), `elbow` bends the forearm forward, `sway` turns it in the plane of the raised arm; `pitch` points
    toes down.
    """

    hips: Float[jax.Array, "frames 3"]
    heading: Float[jax.Array, " frames"]
    lean: Float[jax.Array, " frames"]
    bend: Float[jax.Array, " frames"]
    twist: Float[jax.Array, " frames"]
    ankles: Float[jax.Array, "frames 2 3"]
    foot_heading: Float[jax.Array, "frames 2"]
    pitch: Float[jax.Array, "frames 2"]
    swing: Float[jax.Array, "frames 2"]
    raised: Float[jax.Array, "frames 2"]
    elbow: Float[jax.Array, "frames 2"]
    sway: Float[jax.Array, "frames 2"]
    ballistic: Float[jax.Array, ""] | float = 0.0  # 1: the curve of the hips' height is that of the centre of mass


def pose(plan: Plan) -> tuple[Float[jax.Array, "frames 3"], Float[jax.Array, "frames joints 3 3"]]:
    """Root and rotations: ankles are where the plan wants them as far as the legs reach, feet as it turns them."""
    frames = plan.heading.shape[0]
    sign = jnp.array([1.0, -1.0])
    hang = about_z(sign * (plan.raised - jnp.pi / 2))
    turned = {
        ("Hips",): (about_y(plan.heading) @ about_x(plan.lean))[:, None],
        ("Spine", "Chest"): jnp.stack([about_y(0.5 * plan.twist) @ about_x(0.5 * plan.bend)] * 2, 1),
        ("Neck",): about_x(-0.6 * (plan.bend + plan.lean))[:, None],
        ("LeftArm", "RightArm"): about_x(-plan.swing) @ hang,
        ("LeftForeArm", "RightForeArm"): about_y(-sign * plan.elbow) @ about_z(sign * plan.sway),
    }
    local = jnp.broadcast_to(jnp.eye(3), (frames, len(OURS), 3, 3))
    local = local.at[:, _joints(*itertools.chain(*turned))].set(jnp.concatenate(list(turned.values()), 1))
    world = globals_of(OURS, local)
    hip = plan.hips[:, None] + jnp.einsum("tab,sb->tsa", world[:, 0], jnp.asarray(OURS.offsets[_LEGS[0]], jnp.float32))
    ahead = about_y(0.5 * (plan.heading[:, None] + plan.foot_heading))[..., 2]
    bent, ankle = knee(hip, plan.ankles, ahead, THIGH, SHIN)
    foot = about_y(plan.foot_heading) @ about_x(plan.pitch)
    legs = jnp.concatenate([bone(bent - hip, ahead), bone(ankle - bent, ahead), foot, foot], 1)
    return plan.hips, locals_of(OURS, world.at[:, np.concatenate(_LEGS)].set(legs))


def followed(plan: Plan) -> Plan:
    """The plan with its hips raised or lowered so that the centre of mass has the curve of height that they had.

    It is shifted by the mean distance between the two. Where `ballistic` is 0, the plan itself.
    """
    height = plan.hips[:, 1]

    def correct(number: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        hips, distance = state
        up = mass_centre(forward(OURS, *pose(plan._replace(hips=hips))))[:, 1]
        distance = jnp.where(number == 0, jnp.mean(up - height), distance)
        return hips.at[:, 1].add(plan.ballistic * (height + distance - up)), distance

    hips, _ = jax.lax.fori_loop(0, _ROUNDS, correct, (plan.hips, jnp.zeros(())))
    return plan._replace(hips=hips)


__all__ = ["SHIN", "THIGH", "Plan", "followed", "pose"]
