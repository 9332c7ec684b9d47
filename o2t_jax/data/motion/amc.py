"""ASF/AMC files (Acclaim): a skeleton of bones in one file, its motion in another. Read only.

A bone has a direction and a length in the rest pose, the axes its rotations act about, and some of rx, ry, rz. Angles
of `axis` and of a frame act about x first, then y, then z, as the files say by "XYZ".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from o2t_jax.data.motion.bvh import MOST_BYTES, MOST_JOINTS
from o2t_jax.errors import UsageError

AMC_RATE = 120.0  # frames/s of the Carnegie Mellon recordings: the format has no clock
_DOFS = ("rx", "ry", "rz")
ROOT_ORDER = ("tx", "ty", "tz", "rx", "ry", "rz")


@dataclasses.dataclass
class _Bone:
    name: str = ""
    direction: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axis: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))
    dofs: tuple[str, ...] = ()
    parent: str = "root"


@dataclasses.dataclass(frozen=True)
class Points:
    """Named points in the world, in the file's unit: where each bone begins, and where the last ones end."""

    names: tuple[str, ...]
    positions: Float[np.ndarray, "frames points 3"]


def read_amc(asf: Path, amc: Path) -> Points:
    """The motion `amc` of the skeleton `asf`. Raises: UsageError where a file is missing, damaged or of another one."""
    bones, order = _skeleton(_text(asf), str(asf))
    frames = _frames(_text(amc), str(amc))
    root = _table(frames, "root", len(order), str(amc))
    angles = np.stack([root[:, order.index(name)] for name in _DOFS], -1)
    places = {"root": np.stack([root[:, order.index(name)] for name in ("tx", "ty", "tz")], -1)}
    turned = {"root": _matrices(angles)}
    begins = {"root": places["root"]}
    for bone in bones:
        local = np.broadcast_to(np.eye(3), (len(frames), 3, 3))
        if bone.dofs:
            given = _table(frames, bone.name, len(bone.dofs), str(amc))
            full = np.zeros((len(frames), 3))
            for column, dof in enumerate(bone.dofs):
                full[:, _DOFS.index(dof)] = given[:, column]
            local = bone.axis @ _matrices(full) @ bone.axis.T
        begins[bone.name] = places[bone.parent]
        turned[bone.name] = turned[bone.parent] @ local
        places[bone.name] = places[bone.parent] + turned[bone.name] @ (bone.length * bone.direction)
    parents = {bone.parent for bone in bones}
    ends = {bone.name + "end": places[bone.name] for bone in bones if bone.name not in parents}
    points = begins | ends
    return Points(tuple(points), np.stack(list(points.values()), 1))


def _matrices(degrees: np.ndarray) -> np.ndarray:
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def _text(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"{path} is no file: an AMC motion needs its ASF skeleton beside it")
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"{path} has more than {MOST_BYTES // 2**20} MiB: is it a motion?")
    return path.read_bytes().decode("utf-8", errors="replace")


def _lines(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words


def _skeleton(text: str, source: str) -> tuple[list[_Bone], tuple[str, ...]]:
    """Bones, each after its parent, and the order of the root's six numbers."""
    bones: dict[str, _Bone] = {}
    order, part, now = ROOT_ORDER, "", _Bone()
    chain: list[str] = []
    try:
        for words in _lines(text):
            key = words[0].lower()
            if key.startswith(":"):
                part = key
            elif part == ":root" and key == "order":
                order = tuple(word.lower() for word in words[1:])
            elif part == ":bonedata":
                if key == "begin":
                    now = _Bone()
                elif key == "name":
                    now.name = words[1]
                elif key == "direction":
                    now.direction = _three(words)
                elif key == "length":
                    now.length = float(words[1])
                    if not np.isfinite(now.length):
                        raise ValueError(f"a length of {words[1]}")
                elif key == "axis":
                    if len(words) > 4 and words[4].upper() != "XYZ":
                        raise UsageError(f"{source}: bone {now.name} has the axis order {words[4]}: XYZ is read")
                    now.axis = _matrices(_three(words))
                elif key == "dof":
                    now.dofs = tuple(word.lower() for word in words[1:])
                    if not set(now.dofs) <= set(_DOFS):
                        raise UsageError(f"{source}: bone {now.name} has the freedoms {words[1:]}: rx, ry, rz are read")
                elif key == "end":
                    bones[now.name] = now
                    if len(bones) > MOST_JOINTS:
                        raise UsageError(f"{source} has more than {MOST_JOINTS} bones: is it a person?")
            elif part == ":hierarchy" and key not in ("begin", "end"):
                for child in words[1:]:
                    bones[child].parent = words[0]
                    chain.append(child)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{source} is no whole ASF file ({error})") from None
    known = {"root"}
    for name in chain:
        if bones[name].parent not in known:
            raise UsageError(f"{source}: bone {name} comes before its parent {bones[name].parent}")
        known.add(name)
    if not chain or sorted(order) != sorted(ROOT_ORDER):
        raise UsageError(f"{source} is no whole ASF file (no hierarchy, or a root order that is not {ROOT_ORDER})")
    return [bones[name] for name in chain], order


def _three(words: list[str]) -> np.ndarray:
    """The numbers after a line's key."""
    numbers = np.array([float(word) for word in words[1:4]])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f"{' '.join(words[:4])} must have three numbers")
    return numbers


def _frames(text: str, source: str) -> list[dict[str, list[float]]]:
    frames: list[dict[str, list[float]]] = []
    try:
        for words in _lines(text):
            if words[0].startswith(":"):
                continue
            if len(words) == 1 and words[0].isdigit():
                frames.append({})
            else:
                frames[-1][words[0]] = [float(word) for word in words[1:]]
    except (IndexError, ValueError) as error:
        raise UsageError(f"{source} is no AMC file ({error})") from None
    if not frames:
        raise UsageError(f"{source} has no frames: is it an AMC file?")
    return frames


def _table(frames: list[dict[str, list[float]]], name: str, width: int, source: str) -> np.ndarray:
    rows = [frame.get(name, []) for frame in frames]
    wrong = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if wrong is not None:
        raise UsageError(
            f"{source}: frame {wrong} has {len(rows[wrong])} numbers of {name}, its skeleton wants {width}"
        )
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise UsageError(f"{source}: {name} holds NaN or infinity: repair or cut the clip")
    return table


__all__ = ["AMC_RATE", "Points", "read_amc"]
