"""A person's body in MuJoCo: capsules on the 21 joints of `physics.motion`, which a clip moves by limited torques.

Each joint is a ball joint under proportional-derivative control: torque = stiffness x the rotation that is missing
(implicit damping by MuJoCo), clipped to what that joint can give. Nothing else holds the body up, unless `assist` gives
the hips a force beside (residual force control, Yuan & Kitani 2020, arXiv 2006.07364), also clipped.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation, Slerp

from o2t_jax.physics.motion.skeleton import OURS, Skeleton
from o2t_jax.physics.scene.mjcf import numbers

MASS_KG = 70.0
UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""From motions' frame (y up) to this one (z up): x stays, who looks along +z then looks along -y."""

# Part of a joint's name -> radius m, share of the mass, most torque N m, stiffness N m / rad. The first that fits.
_LIMBS = {
    "Toe": (0.03, 0.006, 40.0, 40.0),
    "UpLeg": (0.075, 0.10, 350.0, 600.0),
    "Leg": (0.055, 0.045, 300.0, 500.0),
    "Foot": (0.042, 0.012, 180.0, 400.0),
    "Hand": (0.035, 0.007, 10.0, 10.0),
    "ForeArm": (0.035, 0.016, 60.0, 80.0),
    "Arm": (0.045, 0.026, 100.0, 150.0),
    "Shoulder": (0.05, 0.02, 100.0, 300.0),
    "Hips": (0.10, 0.14, 0.0, 0.0),
    "Head": (0.09, 0.06, 30.0, 60.0),
    "Neck": (0.05, 0.012, 50.0, 100.0),
    "": (0.11, 0.16, 350.0, 800.0),
}
_DAMPING = 0.08  # s, of the stiffness
_LIMP = 1.0  # N m s / rad, of joints without torque
_ASSIST_N_PER_M, _ASSIST_DAMPING = 8000.0, 1200.0
_ASSIST_ARM_M = 0.4
_ASSIST_NM_PER_RAD, _ASSIST_TURN_DAMPING = 800.0, 80.0


class Clip(NamedTuple):
    """A motion of a person at `rate` frames/s, in the frame of `physics.motion`: y up, ahead +z."""

    root: Float[np.ndarray, "frames 3"]
    rotations: Float[np.ndarray, "frames joints 3 3"]
    rate: float

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return (len(self.root) - 1) / self.rate


def limb(name: str) -> tuple[float, float, float, float]:
    """Radius m, share of the mass, most torque N m and stiffness N m / rad of the joint called `name`."""
    return next(values for part, values in _LIMBS.items() if part in name)


@dataclasses.dataclass
class Humanoid:
    """An `Actor` of `simulation`: follows `clip` from `place` m (z = 0 on the ground), turned by `heading` rad.

    `assist`: the most force N that the hips get beside the joints' torques (0: none); times `_ASSIST_ARM_M` as torque.
    `limp`: no joint has any torque.
    """

    name: str
    clip: Clip
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)
    heading: float = 0.0
    assist: float = 0.0
    limp: bool = False
    skeleton: Skeleton = OURS

    def __post_init__(self) -> None:
        turn = Rotation.from_euler("z", self.heading).as_matrix()
        start = np.asarray(self.clip.root[0]) * np.array([1.0, 0.0, 1.0])
        self.root = (np.asarray(self.clip.root, float) - start) @ (turn @ UP).T + np.array(self.place)
        local = UP @ np.asarray(self.clip.rotations, float) @ UP.T
        local[:, 0] = turn @ local[:, 0]
        self.times = np.arange(len(self.root)) / self.clip.rate
        self._slerps = [Slerp(self.times, Rotation.from_matrix(local[:, j])) for j in range(len(self.skeleton))]
        self.velocity = np.gradient(self.root, self.times, axis=0)

    def joint(self, index: int) -> str:
        """The body's name in the simulation."""
        return f"{self.name}.{self.skeleton.names[index]}"

    def add(self, root: ElementTree.Element, world_body: ElementTree.Element) -> None:
        """See `Actor`."""
        offsets = np.asarray(self.skeleton.offsets) @ UP.T
        total = sum(limb(name)[1] for name in self.skeleton.names)
        bodies: list[ElementTree.Element] = []
        contact = ElementTree.SubElement(root, "contact")
        for j, (name, parent) in enumerate(zip(self.skeleton.names, self.skeleton.parents, strict=True)):
            own = ElementTree.SubElement(
                bodies[parent] if j else world_body,
                "body",
                name=self.joint(j),
                pos=numbers(offsets[j] if j else [0, 0, 1]),
            )
            bodies.append(own)
            radius, share, _, stiffness = limb(name)
            if j:
                damping = str(_LIMP if self.limp else _DAMPING * stiffness)
                ElementTree.SubElement(own, "joint", name=self.joint(j), type="ball", damping=damping, armature="0.02")
            else:
                ElementTree.SubElement(own, "freejoint", name=self.joint(0))
            self._flesh(own, j, offsets, radius, MASS_KG * share / total)
        # A body is not kept apart from itself: the clip decides where its limbs go.
        for a in range(len(bodies)):
            for b in range(a + 1, len(bodies)):
                ElementTree.SubElement(contact, "exclude", body1=self.joint(a), body2=self.joint(b))

    def _flesh(self, body: ElementTree.Element, j: int, offsets: np.ndarray, radius: float, mass: float) -> None:
        """Capsules from joint `j` to those that hang from it; a ball, or a sole, where there are none."""
        name = self.skeleton.names[j]
        ends = [offsets[i] for i, parent in enumerate(self.skeleton.parents) if parent == j]
        friction = {"friction": "1 0.005 0.0005", "condim": "4"}
        if "Toe" in name or ("Foot" in name and ends):
            half, place = [0.045, 0.035, 0.021], [0.0, -0.03, -0.021]
            if ends:  # from the heel to the toe end, flat on the ground at rest
                half, place = [0.045, 0.085, 0.03], [0.0, 0.5 * ends[0][1] + 0.02, -0.117 + 0.03]
            kind = {"type": "box", "size": numbers(half), "pos": numbers(place)}
            ElementTree.SubElement(body, "geom", kind | friction, name=f"{self.joint(j)}/0", mass=str(mass))
            return
        ends = [end for end in ends if np.linalg.norm(end) > 0.03] or [np.zeros(3)]
        for i, end in enumerate(ends):
            kind = {"type": "capsule", "fromto": numbers([0, 0, 0, *end]), "size": str(radius)}
            if not end.any():
                kind = {"type": "sphere", "size": str(radius)} | ({"pos": "0 0 0.06"} if name == "Head" else {})
            ElementTree.SubElement(
                body, "geom", kind | friction, name=f"{self.joint(j)}/{i}", mass=str(mass / len(ends))
            )

    def begin(self, model: Any, data: Any) -> None:
        """See `Actor`: the body begins in the clip's first pose, with its velocity."""
        self._first = [int(model.joint(self.joint(j)).qposadr[0]) for j in range(len(self.skeleton))]
        self._dof = [int(model.joint(self.joint(j)).dofadr[0]) for j in range(len(self.skeleton))]
        limbs = np.array([limb(name) for name in self.skeleton.names])
        self._most, self._stiffness = limbs[1:, 2:3], limbs[1:, 3:4]
        now, later = self._targets(0.0), self._targets(0.02)
        data.qpos[self._first[0] : self._first[0] + 3] = self.root[0]
        data.qvel[self._dof[0] : self._dof[0] + 3] = self.velocity[0]
        speeds = (now.inv() * later).as_rotvec() / 0.02
        for j in range(len(self.skeleton)):
            shift = 0 if j else 3
            data.qpos[self._first[j] + shift : self._first[j] + shift + 4] = now[j].as_quat(scalar_first=True)
            data.qvel[self._dof[j] + shift : self._dof[j] + shift + 3] = speeds[j]

    def act(self, model: Any, data: Any) -> None:
        """See `Actor`: the torques of this step."""
        if self.limp:
            return
        targets = self._targets(data.time)
        places = np.array([[first + k + (0 if j else 3) for k in range(4)] for j, first in enumerate(self._first)])
        now = Rotation.from_quat(data.qpos[places], scalar_first=True)
        missing = (now.inv() * targets).as_rotvec()
        torque = np.clip(self._stiffness * missing[1:], -self._most, self._most)
        for j, dof in enumerate(self._dof[1:]):
            data.qfrc_applied[dof : dof + 3] = torque[j]
        if self.assist:
            self._hold(data, now[0], missing[0])

    def _hold(self, data: Any, turned: Rotation, missing: np.ndarray) -> None:
        first, dof = self._first[0], self._dof[0]
        want = np.array([np.interp(data.time, self.times, self.root[:, k]) for k in range(3)])
        speed = np.array([np.interp(data.time, self.times, self.velocity[:, k]) for k in range(3)])
        force = _ASSIST_N_PER_M * (want - data.qpos[first : first + 3]) + _ASSIST_DAMPING * (
            speed - data.qvel[dof : dof + 3]
        )
        torque = _ASSIST_NM_PER_RAD * missing - _ASSIST_TURN_DAMPING * data.qvel[dof + 3 : dof + 6]
        data.qfrc_applied[dof : dof + 3] = _limited(force, self.assist)
        data.qfrc_applied[dof + 3 : dof + 6] = _limited(torque, _ASSIST_ARM_M * self.assist)

    def _targets(self, time: float) -> Rotation:
        at = min(time, self.times[-1])
        return Rotation.concatenate([slerp(at) for slerp in self._slerps])


def stays_upright(humanoid: Humanoid, hips: Float[np.ndarray, "frames 3"], time: Float[np.ndarray, " frames"]) -> bool:
    """Whether the hips never sink below 0.7 of their height in the clip."""
    want = np.interp(time, humanoid.times, humanoid.root[:, 2])
    return bool(np.all(hips[:, 2] > 0.7 * want))


def _limited(vector: np.ndarray, most: float) -> np.ndarray:
    return vector * min(1.0, most / max(float(np.linalg.norm(vector)), 1e-9))


__all__ = ["MASS_KG", "UP", "Clip", "Humanoid", "limb", "stays_upright"]
