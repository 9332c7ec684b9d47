"""Trees of joints, and the one skeleton of 21 joints that all motions are brought to.

World frame of motions, as in HumanML3D: right-handed, metres, y up, ground at y = 0; a person whose heading is 0 looks
along +z and has the left side at +x. (The rest of the library has z up: `types`.) A joint's rotation is relative to
its parent and turns all that hangs from it; at the identity the person stands with the arms stretched out sideways.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError

_TREE = "the first joint is the root (parent -1), and each other joint comes after its parent"


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A tree of J joints: names, each joint's parent (-1 of the root), and its place relative to it at rest, m.

    Raises: UsageError where the three do not fit together.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "joints 3"] = dataclasses.field(compare=False)

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(self.parents) != count or np.shape(self.offsets) != (count, 3):
            raise UsageError(
                f"a skeleton of {count} names has {len(self.parents)} parents and offsets of shape "
                f"{np.shape(self.offsets)}: give one of each by joint"
            )
        if self.parents[:1] != (-1,) or any(not 0 <= parent < i for i, parent in enumerate(self.parents) if i):
            raise UsageError(f"the skeleton's parents {self.parents} are no tree: {_TREE}")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The number of a joint. Raises: UsageError for an unknown one."""
        if name not in self.names:
            raise UsageError(f"the skeleton has no joint {name!r}: it has {', '.join(self.names)}")
        return self.names.index(name)

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The joints below the root by depth: those of a level depend on the level before only."""
        depth = [0]
        for parent in self.parents[1:]:
            depth.append(depth[parent] + 1)
        return tuple(tuple(i for i, d in enumerate(depth) if d == level) for level in range(1, max(depth) + 1))


# name, parent, offset m (left, up, forward). Round numbers of an adult of about 1.55 m.
_JOINTS = (
    ("Hips", None, (0.0, 0.0, 0.0)),
    ("Spine", "Hips", (0.0, 0.16, 0.0)),
    ("Chest", "Spine", (0.0, 0.09, 0.0)),
    ("Neck", "Chest", (0.0, 0.16, 0.0)),
    ("Head", "Neck", (0.0, 0.10, 0.02)),
    ("LeftShoulder", "Chest", (0.05, 0.13, 0.0)),
    ("LeftArm", "LeftShoulder", (0.07, 0.0, 0.0)),
    ("LeftForeArm", "LeftArm", (0.24, 0.0, 0.0)),
    ("LeftHand", "LeftForeArm", (0.22, 0.0, 0.0)),
    ("RightShoulder", "Chest", (-0.05, 0.13, 0.0)),
    ("RightArm", "RightShoulder", (-0.07, 0.0, 0.0)),
    ("RightForeArm", "RightArm", (-0.24, 0.0, 0.0)),
    ("RightHand", "RightForeArm", (-0.22, 0.0, 0.0)),
    ("LeftUpLeg", "Hips", (0.065, -0.022, 0.0)),
    ("LeftLeg", "LeftUpLeg", (0.0, -0.39, 0.0)),
    ("LeftFoot", "LeftLeg", (0.0, -0.41, 0.0)),
    ("LeftToe", "LeftFoot", (0.0, -0.075, 0.09)),
    ("RightUpLeg", "Hips", (-0.065, -0.022, 0.0)),
    ("RightLeg", "RightUpLeg", (0.0, -0.39, 0.0)),
    ("RightFoot", "RightLeg", (0.0, -0.41, 0.0)),
    ("RightToe", "RightFoot", (0.0, -0.075, 0.09)),
)
_NAMES = tuple(name for name, _, _ in _JOINTS)

OURS = Skeleton(
    _NAMES,
    tuple(-1 if parent is None else _NAMES.index(parent) for _, parent, _ in _JOINTS),
    np.array([offset for _, _, offset in _JOINTS]),
)

LEFT_ANKLE, LEFT_TOE = OURS.index("LeftFoot"), OURS.index("LeftToe")
RIGHT_ANKLE, RIGHT_TOE = OURS.index("RightFoot"), OURS.index("RightToe")
FEET = (LEFT_ANKLE, LEFT_TOE, RIGHT_ANKLE, RIGHT_TOE)
"""The joints that touch the ground, in the order of the layout's contact channels."""

SOLES = (0.117, 0.042, 0.117, 0.042)
"""Heights of `FEET` above the ground, m, where the foot stands flat: the joints lie inside the foot."""

STANDING = SOLES[0] + 0.41 + 0.39 + 0.022
"""Height of the hips, m, of a person who stands with stretched legs."""


@dataclasses.dataclass(frozen=True)
class Feet:
    """The joints that touch the ground, and their heights m on flat feet. `OUR_FEET` is that of `OURS`."""

    joints: tuple[int, ...] = FEET
    soles: tuple[float, ...] = SOLES


OUR_FEET = Feet()

# Winter, Biomechanics and Motor Control of Human Movement (4th ed., 2009), table 4.1: segment's share of the body's
# mass, and its centre as a share of the way from its upper to its lower joint. Head, neck and trunk: 0.081, 0.497.
_LIMBS = (
    ("Arm", "ForeArm", 0.028, 0.436),
    ("ForeArm", "Hand", 0.022, 0.6),  # with the hand
    ("UpLeg", "Leg", 0.100, 0.433),
    ("Leg", "Foot", 0.0465, 0.433),
    ("Foot", "Toe", 0.0145, 0.5),
)


def _mass_shares() -> Float[np.ndarray, " joints"]:
    shares = np.zeros(len(OURS))
    for side in ("Left", "Right"):
        for upper, lower, mass, way in _LIMBS:
            shares[OURS.index(side + upper)] += mass * (1.0 - way)
            shares[OURS.index(side + lower)] += mass * way
    shares[OURS.index("Hips")] += 0.497 / 2
    shares[OURS.index("Neck")] += 0.497 / 2
    shares[OURS.index("Head")] += 0.081
    return shares


MASS_SHARES = _mass_shares()
"""[21], sum 1: the centre of mass is the joints' places weighted by it (a segment's centre lies between its joints)."""

__all__ = [
    "FEET",
    "LEFT_ANKLE",
    "LEFT_TOE",
    "MASS_SHARES",
    "OURS",
    "OUR_FEET",
    "RIGHT_ANKLE",
    "RIGHT_TOE",
    "SOLES",
    "STANDING",
    "Feet",
    "Skeleton",
]
