"""A scene in motion, by MuJoCo: things fall, stack, roll and are pushed; a person's body follows a clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.mjcf import GRAVITY, STEP_S, Placed, mujoco, world

FPS = 20
_STEPS_A_FRAME = round(1.0 / (FPS * STEP_S))


class Push(NamedTuple):
    """A force that a person gives to thing `name` from `start` s on, for `seconds`, in `direction` [2] (length 1).

    While it acts, friction is overcome and the thing gains up to `speed` m/s.
    """

    name: str
    start: float
    seconds: float
    direction: tuple[float, float]
    speed: float


class Actor(Protocol):
    """A body beside the things: adds itself to the model, then acts before each step."""

    def add(self, root: ElementTree.Element, world_body: ElementTree.Element) -> None: ...

    def begin(self, model: Any, data: Any) -> None: ...

    def act(self, model: Any, data: Any) -> None: ...


class Track(NamedTuple):
    """What moved, T frames at `FPS`, B bodies and G geoms. Quaternions are (w, x, y, z); m, s.

    `shape` [G]: "sphere", "capsule" or "box"; `size` [G, 3] as MuJoCo's; `centre` [T, G, 3], `turn` [T, G, 3, 3]. Geom
    names are "thing/part". `contacts` [T]: how many contacts there were.
    """

    time: Float[np.ndarray, " frames"]
    bodies: tuple[str, ...]
    position: Float[np.ndarray, "frames bodies 3"]
    quaternion: Float[np.ndarray, "frames bodies 4"]
    velocity: Float[np.ndarray, "frames bodies 3"]
    geoms: tuple[str, ...]
    shape: tuple[str, ...]
    size: Float[np.ndarray, "geoms 3"]
    centre: Float[np.ndarray, "frames geoms 3"]
    turn: Float[np.ndarray, "frames geoms 3 3"]
    contacts: np.ndarray

    def of(self, body: str) -> Float[np.ndarray, "frames 3"]:
        """Positions of one body, m."""
        return self.position[:, self.bodies.index(body)]


def simulate(
    things: Sequence[Placed], seconds: float, pushes: Sequence[Push] = (), actors: Sequence[Actor] = ()
) -> Track:
    """The scene for `seconds`, its first frame as it was placed.

    Raises: UsageError where MuJoCo is not installed, `seconds` is no length of time, or the simulation diverges.
    """
    if not 0.0 < seconds <= 60.0:
        raise UsageError(f"seconds={seconds:g} must be above 0 and at most 60")
    mj = mujoco()
    root, body = world(things)
    for actor in actors:
        actor.add(root, body)
    model = mj.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    data = mj.MjData(model)
    for thing in things:
        if not thing.held:
            data.joint(thing.name).qvel[:3] = thing.velocity
    for actor in actors:
        actor.begin(model, data)
    mj.mj_forward(model, data)
    frames = [_frame(mj, model, data)]
    for frame in range(1, round(seconds * FPS) + 1):
        for _ in range(_STEPS_A_FRAME):
            _push(model, data, pushes)
            for actor in actors:
                actor.act(model, data)
            mj.mj_step(model, data)
        if not np.isfinite(data.qpos).all() or data.warning[mj.mjtWarning.mjWARN_BADQACC].number:
            raise UsageError(f"the simulation diverged at {frame / FPS:.2f} s: give fewer or lighter things")
        frames.append(_frame(mj, model, data))
    return _track(mj, model, frames)


def _push(model: Any, data: Any, pushes: Sequence[Push]) -> None:
    data.xfrc_applied[:] = 0.0
    for push in pushes:
        if push.start <= data.time < push.start + push.seconds:
            body = model.body(push.name).id
            direction = np.array([*push.direction, 0.0])
            speed = float(data.joint(push.name).qvel[:3] @ direction)
            mass = model.body_mass[body]
            resistance = mass * GRAVITY * max(model.geom_friction[model.geom_bodyid == body, 0], default=0.0)
            gain = mass * (push.speed - speed) / max(push.start + push.seconds - data.time, 10.0 * STEP_S)
            data.xfrc_applied[body, :3] = max(resistance + gain, 0.0) * direction if speed < push.speed else 0.0


def _frame(mj: Any, model: Any, data: Any) -> dict[str, Any]:
    mj.mj_kinematics(model, data)
    velocity = np.zeros((model.nbody, 3))
    for joint in range(model.njnt):
        if model.jnt_type[joint] == mj.mjtJoint.mjJNT_FREE:
            first = model.jnt_dofadr[joint]
            velocity[model.jnt_bodyid[joint]] = data.qvel[first : first + 3]
    return {
        "time": data.time,
        "position": data.xpos.copy(),
        "quaternion": data.xquat.copy(),
        "velocity": velocity,
        "centre": data.geom_xpos.copy(),
        "turn": data.geom_xmat.reshape(-1, 3, 3).copy(),
        "contacts": data.ncon,
    }


def _track(mj: Any, model: Any, frames: list[dict[str, Any]]) -> Track:
    stacked = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    names = {int(mj.mjtGeom.mjGEOM_SPHERE): "sphere", int(mj.mjtGeom.mjGEOM_CAPSULE): "capsule"}
    names[int(mj.mjtGeom.mjGEOM_BOX)] = "box"
    solid = [i for i in range(model.ngeom) if int(model.geom_type[i]) in names]
    return Track(
        stacked["time"],
        tuple(model.body(i).name for i in range(1, model.nbody)),
        stacked["position"][:, 1:],
        stacked["quaternion"][:, 1:],
        stacked["velocity"][:, 1:],
        tuple(model.geom(i).name for i in solid),
        tuple(names[int(model.geom_type[i])] for i in solid),
        model.geom_size[solid].copy(),
        stacked["centre"][:, solid],
        stacked["turn"][:, solid],
        stacked["contacts"],
    )


__all__ = ["FPS", "Actor", "Push", "Track", "simulate"]
