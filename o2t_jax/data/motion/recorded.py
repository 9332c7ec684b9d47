"""A folder or a .tar.xz of BVH clips with names set_action_style_number.bvh, as clips of `OURS` at 20 frames/s.

Two ways to split: by clip (a hash of its name decides), and by cell: every clip of some pairs of class and style is
held out, so that a style must be carried over to an action that it was never seen with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from o2t_jax.data.motion.bvh import MOST_BYTES, parse_bvh
from o2t_jax.data.motion.retarget import retarget
from o2t_jax.errors import UsageError
from o2t_jax.parsing import UNPACKING_ERRORS, read_at_most
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.layout import canonical, encode, parts
from o2t_jax.physics.motion.skeleton import OURS

CLASS_OF: Mapping[str, str] = {
    "walk": "walk",
    "walk-back": "walk",
    "walk-left": "walk",
    "walk-right": "walk",
    "run": "run",
    "dash": "dash",
    "walk-turn-left": "turn",
    "walk-turn-right": "turn",
    "wave-both-hands": "wave",
    "wave-left-hand": "wave",
    "wave-right-hand": "wave",
    "raise-up-both-hands": "raise",
    "raise-up-left-hand": "raise",
    "raise-up-right-hand": "raise",
    "bow": "bow",
    "bye": "bye",
    "byebye": "bye",
}
"""Action -> class; clips of other actions are left out. Another mapping can be given, such as {a: a} of each."""
CLASSES = ("walk", "run", "dash", "turn", "wave", "raise", "bow", "bye")
MOVING = ("walk", "run", "dash", "turn")
FRAMES = 64
LEAST_FRAMES = 8
MOST_CLIPS = 100_000
_TOGETHER = 2**31  # bytes of all clips
_HELD = {"test": (0.0, 0.2), "validation": (0.2, 0.3), "train": (0.3, 1.0)}  # shares of the hashes
_BLOCK = 256  # frames that one call of the compiled encoder takes

Split = Literal["clip", "cell"]


@dataclasses.dataclass(frozen=True)
class Clip:
    """One recorded motion of T frames: `root` [T, 3] m, `rotations` [T, 21, 3, 3], `positions` [T, 21, 3] m, at `rate`.

    The first frame is above the origin and looks along +z where `rate` is ours; heights are the file's.
    """

    name: str
    action: str
    style: str
    root: Float[np.ndarray, "frames 3"]
    rotations: Float[np.ndarray, "frames joints 3 3"]
    positions: Float[np.ndarray, "frames joints 3"]
    rate: float


def share_of(name: str) -> float:
    """A number in [0, 1) from a name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def bvh_files(source: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each BVH file of a folder or a tar archive, in order of names.

    Raises: UsageError where there is none, the archive is damaged, or it holds more than can be wanted.
    """
    if source.is_dir():
        found = sorted(source.rglob("*.bvh"))
        if not found:
            raise UsageError(f"{source} holds no .bvh file")
        for path in found:
            if path.stat().st_size > MOST_BYTES:
                raise UsageError(f"{path} has more than {MOST_BYTES // 2**20} MiB: is it one clip?")
            yield path.stem, path.read_bytes().decode("utf-8", errors="replace")
        return
    if not source.is_file():
        raise UsageError(f"{source} is no folder and no archive: give the motions' folder or .tar.xz")
    texts: dict[str, str] = {}
    size = 0
    try:
        with tarfile.open(source) as archive:
            for member in archive:  # nothing is unpacked to disk, so a member's path cannot lead anywhere
                if not member.isfile() or not member.name.lower().endswith(".bvh"):
                    continue
                size += member.size
                if member.size > MOST_BYTES or size > _TOGETHER or len(texts) >= MOST_CLIPS:
                    raise UsageError(f"{source}: {member.name} is too large, or there are too many clips to read")
                file = archive.extractfile(member)
                assert file is not None
                texts[PurePosixPath(member.name).stem] = read_at_most(file, MOST_BYTES, member.name).decode(
                    "utf-8", errors="replace"
                )
    except UsageError:
        raise
    except MemoryError:  # tarfile takes what a header of a header asks for
        raise UsageError(f"{source} is no whole archive (a header asks for all memory)") from None
    except (tarfile.TarError, *UNPACKING_ERRORS) as error:
        raise UsageError(f"{source} is no whole archive ({error or 'it ends early'})") from None
    if not texts:
        raise UsageError(f"{source} holds no .bvh file")
    yield from sorted(texts.items())


def words_of(name: str) -> tuple[str, str] | None:
    """Action and style of a clip's name 'set_action_style_number'; None for another form."""
    parts = name.split("_")
    return (parts[1], parts[2]) if len(parts) == 4 else None


def read_clips(source: Path, actions: Sequence[str] | None = None, rate: float | None = RATE) -> list[Clip]:
    """The clips of these actions (all by default), in order of names; `rate` None keeps each file's own.

    Raises: UsageError for what `bvh_files`, `parse_bvh` and `retarget` refuse, naming the clip.
    """
    clips = []
    for name, text in bvh_files(source):
        words = words_of(name)
        if words is None:
            raise UsageError(f"{source}: {name}.bvh is not called set_action_style_number.bvh")
        if actions is None or words[0] in actions:
            file = parse_bvh(text, f"{name}.bvh")
            pose = retarget(file.names, file.positions(), file.rate, f"{name}.bvh", rate)
            clips.append(Clip(name, *words, pose.root, pose.rotations, pose.positions, pose.rate))
    if not clips:
        raise UsageError(f"{source} has no clip of {', '.join(actions or ['any action'])}")
    return clips


class RecordedMotions:
    """Recorded clips by split, as `gaits.MotionSource` has them: `batch`, `splits`, `classes`, `styles`, `frames`.

    Args: `source`, folder or archive; `frames`, of a row; `class_of`, action -> class; `split_by`, "clip" or "cell":
    the test split is a fifth of the clips, or of the pairs of class and style. Raises: UsageError, see `read_clips`.
    """

    def __init__(
        self,
        source: Path,
        frames: int = FRAMES,
        class_of: Mapping[str, str] = CLASS_OF,
        split_by: Split = "clip",
    ) -> None:
        if frames < LEAST_FRAMES:
            raise UsageError(f"frames={frames}: a clip of motion has at least {LEAST_FRAMES} frames")
        if split_by not in ("clip", "cell"):
            raise UsageError(f"split_by={split_by!r} must be clip or cell")
        self.frames = frames
        self.split_by = split_by
        named = list(dict.fromkeys(class_of.values()))
        kept = read_clips(source, tuple(class_of))
        self.clips = [_canonical(clip) for clip in kept if len(clip.root) >= LEAST_FRAMES]
        present = {class_of[clip.action] for clip in self.clips}
        self.classes = tuple(name for name in named if name in present)
        self.styles = tuple(sorted({clip.style for clip in self.clips}))
        self.labels = np.array([self.classes.index(class_of[clip.action]) for clip in self.clips], np.int32)
        self.of_split = {name: self._numbers(name) for name in ("train", "validation", "test")}
        self._features = [_encoded(clip) for clip in self.clips]

    def _numbers(self, split: str) -> np.ndarray:
        low, high = _HELD[split]
        numbers = []
        for number, clip in enumerate(self.clips):
            cell = share_of(f"{self.classes[self.labels[number]]} {clip.style}")
            held = self.split_by == "cell" and cell < _HELD["test"][1]
            share = share_of(clip.name)
            if self.split_by == "cell" and not held:  # validation and training by clip, of the seen cells
                share = _HELD["test"][1] + share * (1.0 - _HELD["test"][1])
            inside = low <= share < high
            if (split == "test") if held else inside:
                numbers.append(number)
        return np.array(numbers, int)

    @property
    def splits(self) -> Mapping[str, int]:
        """Clips of each split; no clip is in two."""
        return {name: len(numbers) for name, numbers in self.of_split.items()}

    def batch(self, split: str, indices: Sequence[int] | np.ndarray, starts: Any = 0) -> dict[str, np.ndarray]:
        """Clips `indices` [B] of a split from frames `starts` ([B] or one) on, padded to `frames` with the last one.

        Returns: `features` [B, T, 251], `positions` [B, T, 21, 3] m, `root`, `rotations`; `mask` [B, T], 1 where the
        clip has a frame; `label`, `style`, `length` int32 [B]. Raises: UsageError for an unknown split, an index or a
        start beyond its end.
        """
        if split not in self.of_split:
            raise UsageError(f"split {split!r} is unknown: choose one of {', '.join(self.of_split)}")
        mine = self.of_split[split]
        rows: dict[str, list[Any]] = {}
        for index, start in zip(indices, np.broadcast_to(starts, np.shape(indices)), strict=True):
            if not 0 <= index < len(mine):
                raise UsageError(f"clip {index} of split {split}: it has {len(mine)}")
            number = int(mine[index])
            clip = self.clips[number]
            if not 0 <= start < len(clip.root):
                raise UsageError(f"start {start} of {clip.name}: it has {len(clip.root)} frames")
            frames = np.minimum(start + np.arange(self.frames), len(clip.root) - 1)
            row = {
                "features": self._features[number][frames],
                "positions": clip.positions[frames],
                "root": clip.root[frames],
                "rotations": clip.rotations[frames],
                "mask": (start + np.arange(self.frames) < len(clip.root)).astype(np.float32),
                "label": self.labels[number],
                "style": np.int32(self.styles.index(clip.style)),
                "length": np.int32(len(clip.root)),
            }
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
        return {name: np.stack(values) for name, values in rows.items()}


@jax.jit
def _encode(root: jax.Array, rotations: jax.Array) -> jax.Array:
    return encode(OURS, root, rotations)


_canonical_all = jax.jit(canonical)


def _blocks(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Root and rotations, the last frame repeated to whole blocks: one compiled program for clips of all lengths."""
    extra = -len(clip.root) % _BLOCK
    return tuple(np.concatenate([x, np.repeat(x[-1:], extra, 0)]) for x in (clip.root, clip.rotations))  # pyright: ignore[reportReturnType]


def _canonical(clip: Clip) -> Clip:
    root, rotations = (np.asarray(x)[: len(clip.root)] for x in _canonical_all(*_blocks(clip)))
    back = clip.positions - clip.positions[:1, :1] * (1.0, 0.0, 1.0)
    first = clip.rotations[0, 0]
    turn = rotations[0, 0] @ first.T
    return dataclasses.replace(clip, root=root, rotations=rotations, positions=(back @ turn.T).astype(np.float32))


def _encoded(clip: Clip) -> np.ndarray:
    """Features [T, 251]; the last row repeats the steps of the one before, as `encode` has it."""
    features = np.array(_encode(*_blocks(clip)))[: len(clip.root)]
    for name in ("turn", "step", "velocities"):
        features[-1, parts(len(OURS))[name]] = features[-2, parts(len(OURS))[name]]
    return features


__all__ = [
    "CLASSES",
    "CLASS_OF",
    "FRAMES",
    "MOVING",
    "Clip",
    "RecordedMotions",
    "bvh_files",
    "read_clips",
    "share_of",
    "words_of",
]
