"""BVH files (Biovision hierarchy): a tree of joints and a table of channels by frame. Read and written.

A joint's position channels *replace* its offset, as capture programs write them for every joint. Angles are degrees;
rotations act in the order of the channels, each about the axes that the ones before it turned.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.skeleton import Skeleton
from o2t_jax.types import Array

MOST_BYTES = 2**28
MOST_JOINTS = 1000
END = " End"
"""Added to a joint's name, the name of the end site that hangs from it."""
_AXES = "XYZ"
_CM = 100.0


@dataclasses.dataclass(frozen=True)
class Bvh:
    """A file's content. Lengths are in the file's unit, which the format does not name.

    `names`, `parents`, `offsets` [N, 3] of joints and end sites; `channels`, of each (none of an end site); `values`
    [T, C], all channels by frame; `rate`, frames/s.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "nodes 3"]
    channels: tuple[tuple[str, ...], ...]
    values: Float[np.ndarray, "frames channels"]
    rate: float

    def pose(self) -> tuple[Float[np.ndarray, "frames nodes 3"], Float[np.ndarray, "frames nodes 3 3"]]:
        """Each node's place relative to its parent, in the file's unit, and its rotation relative to it."""
        frames = len(self.values)
        local = np.broadcast_to(self.offsets, (frames, *self.offsets.shape)).copy()
        turned = np.broadcast_to(np.eye(3), (frames, len(self.names), 3, 3)).copy()
        column = 0
        for node, channels in enumerate(self.channels):
            mine = self.values[:, column : column + len(channels)]
            column += len(channels)
            order = ""
            angles = []
            for name, value in zip(channels, mine.T, strict=True):
                if name.endswith("position"):
                    local[:, node, _AXES.index(name[0])] = value
                else:
                    order += name[0]
                    angles.append(value)
            for axis, angle in zip(order, angles, strict=True):
                turned[:, node] = turned[:, node] @ Rotation.from_euler(axis, angle[:, None], degrees=True).as_matrix()
        return local, turned

    def positions(self) -> Float[np.ndarray, "frames nodes 3"]:
        """Where the nodes are in the world, in the file's unit."""
        local, turned = self.pose()
        places = local.copy()
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                places[:, node] = places[:, parent] + np.einsum("tab,tb->ta", turned[:, parent], local[:, node])
                turned[:, node] = turned[:, parent] @ turned[:, node]
        return places


def read_bvh(path: Path) -> Bvh:
    """The file at `path`. Raises: UsageError where it is missing, too large, or no whole BVH file."""
    if not path.is_file():
        raise UsageError(f"{path} is no file: give a motion in BVH form")
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UsageError(f"{path} has {size / 2**20:.0f} MiB: a motion file of at most {MOST_BYTES // 2**20} is read")
    return parse_bvh(path.read_bytes().decode("utf-8", errors="replace"), str(path))


def parse_bvh(text: str, source: str) -> Bvh:
    """As `read_bvh`, from the file's text; `source` names it in errors. Memory goes with the text, not its header."""
    head, found, table = text.partition("MOTION")
    if not found or not head.lstrip("\ufeff \t\r\n").startswith("HIERARCHY"):
        raise UsageError(f"{source} is no BVH file: it must have the parts HIERARCHY and MOTION")
    names, parents, offsets, channels = _tree(iter(head.split()), source)
    lines = table.strip().split("\n", 2)
    try:
        frames = int(lines[0].split(":")[1])
        step = float(lines[1].split(":")[1])
    except (IndexError, ValueError):
        raise UsageError(f"{source}: 'Frames:' and 'Frame Time:' must follow MOTION; is the file whole?") from None
    if not 1e-4 <= step <= 10.0:
        raise UsageError(f"{source}: a frame time of {step:g} s is none: it must be from 0.0001 to 10")
    try:
        numbers = np.array(lines[2].split() if len(lines) > 2 else [], float)
    except ValueError as error:
        raise UsageError(f"{source}: the table of frames holds what is no number ({error})") from None
    width = sum(map(len, channels))
    if frames < 1 or len(numbers) != frames * width:
        raise UsageError(
            f"{source}: {frames} frames of {width} channels are {frames * width} numbers, but there are "
            f"{len(numbers)}: the file is cut off or of another skeleton"
        )
    values = numbers.reshape(frames, width)
    if not np.isfinite(values).all():
        frame = int(np.flatnonzero(~np.isfinite(values).all(-1))[0])
        raise UsageError(f"{source}: frame {frame} holds NaN or infinity: repair or cut the clip")
    return Bvh(tuple(names), tuple(parents), np.array(offsets), tuple(channels), values, 1.0 / step)


def _tree(words: Iterator[str], source: str) -> tuple[list[str], list[int], list[list[float]], list[tuple[str, ...]]]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    above: list[int] = []
    next(words)
    try:
        for word in words:
            if word in ("ROOT", "JOINT", "End"):
                name = next(words)
                if word == "ROOT" and names:
                    raise UsageError(f"{source} has two roots: files of one person are read")
                if len(names) >= MOST_JOINTS:
                    raise UsageError(f"{source} has more than {MOST_JOINTS} joints: is it a person?")
                parents.append(above[-1] if above else -1)
                names.append(names[above[-1]] + END if word == "End" else name)
                offsets.append([0.0] * 3)
                channels.append(())
                if next(words) != "{":
                    raise ValueError("'{' expected")
                above.append(len(names) - 1)
            elif word == "OFFSET":
                offsets[above[-1]] = [float(next(words)) for _ in range(3)]
            elif word == "CHANNELS":
                count = int(next(words))
                if not 0 <= count <= 6:
                    raise ValueError(f"{count} channels of a joint")
                mine = tuple(next(words) for _ in range(count))
                if any(name[:1] not in _AXES or name[1:] not in ("position", "rotation") for name in mine):
                    raise ValueError(f"channels {' '.join(mine)}")
                channels[above[-1]] = mine
            elif word == "}":
                above.pop()
            else:
                raise ValueError(f"{word[:20]!r} is unknown")
    except (StopIteration, RuntimeError, IndexError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{source}: the HIERARCHY is damaged ({error or 'it ends early'})") from None
    if above or not names or not np.isfinite(offsets).all():
        raise UsageError(f"{source}: the HIERARCHY is damaged (its braces or offsets)")
    return names, parents, offsets, channels


def bvh_text(
    skeleton: Skeleton,
    root: Float[Array, "frames 3"],
    rotations: Float[Array, "frames joints 3 3"],
    rate: float = RATE,
) -> str:
    """A BVH file's text, in cm: the root has six channels, the others Z, X, Y rotations."""
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(skeleton.parents):
        children.setdefault(parent, []).append(joint)
    lines, order = ["HIERARCHY"], []

    def write(joint: int, depth: int) -> None:
        order.append(joint)
        pad, offset = "\t" * depth, _CM * skeleton.offsets[joint]
        lines.append(f"{pad}{'JOINT' if depth else 'ROOT'} {skeleton.names[joint]}")
        lines.append(pad + "{")
        lines.append(f"{pad}\tOFFSET " + " ".join(f"{value:.6f}" for value in offset))
        places = "" if depth else "Xposition Yposition Zposition "
        lines.append(f"{pad}\tCHANNELS {3 if depth else 6} {places}Zrotation Xrotation Yrotation")
        for child in children.get(joint, []):
            write(child, depth + 1)
        if joint not in children:
            lines.extend([f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0 0 0", f"{pad}\t}}"])
        lines.append(pad + "}")

    write(0, 0)
    turned = np.asarray(rotations, float)[:, order]
    angles = Rotation.from_matrix(turned.reshape(-1, 3, 3)).as_euler("ZXY", degrees=True)
    table = np.concatenate([_CM * np.asarray(root, float), angles.reshape(len(turned), -1)], -1)
    lines += ["MOTION", f"Frames: {len(table)}", f"Frame Time: {1.0 / rate:.7f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table]
    return "\n".join(lines) + "\n"


__all__ = ["END", "MOST_BYTES", "Bvh", "bvh_text", "parse_bvh", "read_bvh"]
