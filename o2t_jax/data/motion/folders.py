"""A user's KIT-ML or HumanML3D folder, as its authors' scripts make it: new_joint_vecs/, texts/, train.txt and so on.

`new_joint_vecs/NAME.npy` is [T, 12 J - 1] (`physics.motion.layout`), 20 frames/s of HumanML3D and 12.5 of KIT-ML by
default; `texts/NAME.txt` has a caption a line, `caption#tagged words#from#to` with times in s, 0 and 0 for the whole
clip; `train.txt`, `val.txt`, `test.txt` name the clips. Read as they are: features are not normalised.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float

from o2t_jax.data.motion.retarget import Pose, retarget
from o2t_jax.errors import UsageError
from o2t_jax.parsing import MOST_UNPACKED, npy_of, plain_name
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.layout import decode, joint_count

SPLITS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}
MOST_FRAMES = 100_000
_MOST_TEXT = 2**20

# The order of joints in the two data sets' features.
HUMANML3D = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
)
KIT_ML = (
    *("root", "BP", "BT", "BLN", "BUN", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow"),
    *("left_wrist", "right_hip", "right_knee", "right_ankle", "right_mid_foot", "right_toe", "left_hip", "left_knee"),
    *("left_ankle", "left_mid_foot", "left_toe"),
)
JOINTS = {len(HUMANML3D): HUMANML3D, len(KIT_ML): KIT_ML}


@dataclasses.dataclass(frozen=True)
class Caption:
    """A sentence and the span of the clip it tells of, s; (0, 0) is all of it."""

    text: str
    span: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class MotionFolder:
    """The folder at `path`. Raises: UsageError where a part of it is missing."""

    path: Path

    def __post_init__(self) -> None:
        for part in ("new_joint_vecs", "texts"):
            if not (self.path / part).is_dir():
                raise UsageError(f"{self.path} has no folder {part}: give that of a prepared HumanML3D or KIT-ML")

    def names(self, split: str) -> list[str]:
        """The clips of a split that are there. Raises: UsageError for an unknown split, a missing list, or no clip."""
        if split not in SPLITS:
            raise UsageError(f"split {split!r} is unknown: choose one of {', '.join(SPLITS)}")
        file = self.path / SPLITS[split]
        if not file.is_file():
            raise UsageError(f"{file} is missing: it names the clips of the split {split}, one a line")
        named = [line.strip() for line in file.read_text(errors="replace").splitlines() if line.strip()]
        bad = next((name for name in named if not plain_name(f"{name}.npy")), None)
        if bad is not None:
            raise UsageError(f"{file} names {bad[:60]!r}, which is no clip's name")
        found = [name for name in named if (self.path / "new_joint_vecs" / f"{name}.npy").is_file()]
        if not found:
            raise UsageError(f"{file} names {len(named)} clips, and none is in {self.path / 'new_joint_vecs'}")
        return found

    def features(self, name: str) -> Float[np.ndarray, "frames numbers"]:
        """A clip's features, float32. Raises: UsageError for a damaged file, another layout, or NaN."""
        path = self.path / "new_joint_vecs" / f"{name}.npy"
        try:
            if path.stat().st_size > MOST_UNPACKED:
                raise ValueError(f"more than {MOST_UNPACKED >> 20} MiB: is it one clip?")
            found = npy_of(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} is no whole .npy file ({error})") from None
        if found.ndim != 2 or not 1 <= len(found) <= MOST_FRAMES or found.dtype.kind != "f":
            raise UsageError(f"{path} is {found.dtype}{list(found.shape)}: features are float [frames, 12 J - 1]")
        joint_count(found.shape[1])
        features = np.array(found, np.float32)
        if not np.isfinite(features).all():
            frame = int(np.flatnonzero(~np.isfinite(features).all(1))[0])
            raise UsageError(f"{path}: frame {frame} holds NaN or infinity: leave the clip out of the lists")
        return features

    def captions(self, name: str) -> list[Caption]:
        """A clip's sentences. Raises: UsageError where its file is missing or has none."""
        path = self.path / "texts" / f"{name}.txt"
        if not path.is_file() or path.stat().st_size > _MOST_TEXT:
            raise UsageError(f"{path} is missing, or too large to be captions")
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            text, *rest = line.split("#")
            if text.strip():
                found.append(Caption(text.strip(), _span(rest, path)))
        if not found:
            raise UsageError(f"{path} has no caption: a line is caption#words#from#to")
        return found

    def pose(self, name: str, rate: float = RATE, new_rate: float | None = RATE) -> Pose:
        """A clip as a motion of `OURS`, from the places in its features (their rotations follow another convention)."""
        features = self.features(name)
        joints = joint_count(features.shape[1])
        if joints not in JOINTS:
            raise UsageError(f"{name} has {joints} joints: names are known for {', '.join(map(str, JOINTS))}")
        return retarget(JOINTS[joints], np.asarray(decode(features), float), rate, name, new_rate)


def _span(rest: list[str], path: Path) -> tuple[float, float]:
    if len(rest) < 3:
        return 0.0, 0.0
    try:
        first, last = float(rest[1]), float(rest[2])
    except ValueError:
        raise UsageError(
            f"{path}: {'#'.join(rest[1:3])[:40]!r} are no times: a line is caption#words#from#to"
        ) from None
    return (first, last) if np.isfinite([first, last]).all() else (0.0, 0.0)  # HumanML3D writes nan for 0


__all__ = ["HUMANML3D", "KIT_ML", "Caption", "MotionFolder"]
