"""One O2T sample, and what both samplers share: streams of random numbers, the arrays, the true states.

A sampler is a pure function `sampler(split, index, mix) -> Sample`. Its random numbers come from
`default_rng((seed, split, index, process))` and nowhere else, so the order, the thread and the number of calls do not
matter. `mix` gives the probabilities of the modes and the range of n; a curriculum gives one for each training step.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.shots import Shot
from o2t_jax.data.ring import MAX_SEED
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import MIN_DEPTH_M, Intrinsics, intrinsics_for, relative_para, world_to_camera
from o2t_jax.geometry.para import NUM_PICTURES, PARA_FIELDS
from o2t_jax.types import Renderer

SPLITS = {"train": 0, "test": 1}

Arrays = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], np.dtype]]


class Sample(NamedTuple):
    """Five pictures and how they were taken.

    `shot`: poses and times in the world frame. `pictures` uint8 [5, H, W, 3]. `rejects`: draws that were rejected
    before this one. `camera_size` (H, W) px: size of the cameras' full pictures, which the intrinsics belong to. Where
    pictures are windows of those, `window` float32 [5, 2] is the top left pixel (u0, v0) of each and `backgrounds`
    uint8 [5, H, W, 3] what the same camera sees there without the ball.
    """

    shot: Shot
    setup_seed: int
    pictures: np.ndarray
    rejects: int
    camera_size: tuple[int, int]
    window: np.ndarray | None = None
    backgrounds: np.ndarray | None = None

    def arrays(self) -> Arrays:
        """What a model is trained on, as `spec_for` says; `para` is relative to camera 1."""
        shot = self.shot
        arrays = {
            "pictures": self.pictures,
            # In float64 first: positions in the world may be large beside the shifts that matter.
            "para": relative_para(shot.para()).astype(np.float32),
            "k": np.array(shot.k, np.int32),
            "n": np.array(shot.n, np.int32),
            "mode": np.array(shot.mode, np.int32),
        }
        if self.window is not None and self.backgrounds is not None:
            arrays.update(window=self.window, backgrounds=self.backgrounds)
        return arrays


class Truth(NamedTuple):
    """The true states in a sample's five pictures; for evaluation, never for training.

    `position` [5, K, 3] m in the frame of the sample's PARA (origin on the ground below camera 1, which looks along
    +x), `visible` [5, K] bool (the world still has the ball), `radius` [K] m, `centroid` [5, K, 2] px (u, v) of the
    ball's outline in the sample's pictures, NaN behind the camera.
    """

    position: np.ndarray
    visible: np.ndarray
    radius: np.ndarray
    centroid: np.ndarray


class Sampler(Protocol):
    """What training and evaluation ask of `PairSource` and `FlightSource`. Thread-safe as long as the renderer is."""

    renderer: Renderer
    streams: Streams

    @property
    def n_max(self) -> int:
        """The largest n that a mix may ask for."""
        ...

    def __call__(self, split: str, index: int, mix: ModeMix) -> Sample:
        """Sample `index` of the split. Raises: UsageError after too many rejected draws."""
        ...

    def references(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [3, H, W, 3] each: what the target's camera and camera 1 see without the ball, or at times far apart.

        The background is found from them.
        """
        ...


@dataclass(frozen=True)
class Streams:
    """Keys of random number streams. `process_index` gives each process of a distributed run its own training samples.

    The test split is the same for all processes.
    """

    seed: int
    process_index: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"seed={self.seed} must be in 0..{MAX_SEED}")

    def key(self, split: str, index: int) -> tuple[int, ...]:
        """The four numbers that seed stream `index` of a split."""
        if split not in SPLITS:
            raise UsageError(f"split '{split}' is unknown: choose one of {', '.join(SPLITS)}")
        if index < 0:
            raise UsageError(f"sample index {index} is negative")
        return self.seed, SPLITS[split], index, self.process_index if split == "train" else 0

    def rng(self, split: str, index: int) -> np.random.Generator:
        """The random numbers of sample `index`."""
        return np.random.default_rng(self.key(split, index))


AnySampler = TypeVar("AnySampler", bound=Sampler)


def for_process(sampler: AnySampler, process_index: int) -> AnySampler:
    """The same sampler with the training stream of another process of a distributed run."""
    other = copy.copy(sampler)
    other.streams = dataclasses.replace(sampler.streams, process_index=process_index)
    return other


def check_attempts(max_attempts: int) -> None:
    """Raises UsageError where not even one draw is allowed."""
    if max_attempts < 1:
        raise UsageError(f"max_attempts={max_attempts} must be at least 1: set --config.max_attempts=1 or more")


def drawn_by(renderer: Renderer, scene: str) -> str:
    """What makes the pictures, for messages: a plugged-in module (then `scene` only aims the cameras), or the scene."""
    module = getattr(renderer, "module", None)
    return f"scene {scene!r}" if module is None else f"module {module!r}"


def spec_for(image_size: tuple[int, int], windows: bool) -> Spec:
    """Shape and dtype of each array of a sample with pictures of (H, W) px, which may be `windows` of larger ones."""
    scalar = ((), np.dtype(np.int32))
    pictures = ((NUM_PICTURES, *image_size, 3), np.dtype(np.uint8))
    para = ((NUM_PICTURES, len(PARA_FIELDS)), np.dtype(np.float32))
    spec: Spec = {"pictures": pictures, "para": para, "k": scalar, "n": scalar, "mode": scalar}
    if windows:
        spec.update(backgrounds=pictures, window=((NUM_PICTURES, 2), np.dtype(np.float32)))
    return spec


def truth_of(renderer: Renderer, sample: Sample) -> Truth | None:
    """The true states behind a sample; None for a renderer that keeps them secret (plug-ins)."""
    if not hasattr(renderer, "truth"):
        return None
    shot = sample.shot
    position, visible, radius = renderer.truth(sample.setup_seed, shot.times)  # type: ignore[attr-defined]
    position, radius = np.asarray(position, np.float64), np.asarray(radius, np.float64)
    rotation = world_to_camera(shot.angles[:, 0], shot.angles[:, 1])[:, None]
    intrinsics = intrinsics_for(*sample.camera_size)
    centroid = outline_centroid(position, radius, shot.positions[:, None], rotation, intrinsics)
    if sample.window is not None:
        centroid = centroid - sample.window.astype(np.float64)[:, None]
    return Truth(to_first_camera(position, shot), np.asarray(visible, bool), radius, centroid)


def held_out_samples(
    sampler: Sampler, asked: Sequence[tuple[ModeMix, Sequence[int]]], split: str = "test", references: bool = False
) -> tuple[Arrays, Truth | None, np.ndarray]:
    """A fixed set: for each (mix, indices) of `asked` those samples of the split, stacked along a first axis.

    Returns: (batch, truth or None, rejects int32 [N]). With `references` the batch also has the sampler's references,
    `reference` (target's camera) and `left_reference` (camera 1), uint8 [N, 3, H, W, 3].
    """
    samples = [sampler(split, index, mix) for mix, indices in asked for index in indices]
    batch = stack([sample.arrays() for sample in samples])
    if references:
        target, left = zip(*(sampler.references(sample) for sample in samples), strict=True)
        batch.update(reference=np.stack(target), left_reference=np.stack(left))
    truths = [truth for sample in samples if (truth := truth_of(sampler.renderer, sample)) is not None]
    truth = Truth(*(np.stack(field) for field in zip(*truths, strict=True))) if truths else None
    return batch, truth, np.array([sample.rejects for sample in samples], np.int32)


def stack(elements: Sequence[Mapping[str, Any]]) -> Arrays:
    """Stacks dicts of arrays of equal keys and shapes along a new first axis."""
    return {key: np.stack([element[key] for element in elements]) for key in elements[0]}


def to_first_camera(points: np.ndarray, shot: Shot) -> np.ndarray:
    """World points [..., 3] in the frame of `relative_para`: origin on the ground below camera 1, +x its heading."""
    turn = np.radians(shot.angles[0, 0])
    c, s = np.cos(turn), np.sin(turn)
    dx, dy = points[..., 0] - shot.positions[0, 0], points[..., 1] - shot.positions[0, 1]
    return np.stack([c * dx + s * dy, -s * dx + c * dy, points[..., 2]], axis=-1)


def outline_centroid(
    centre: np.ndarray, radius: np.ndarray, position: np.ndarray, rotation: np.ndarray, intrinsics: Intrinsics
) -> np.ndarray:
    """Centroid [..., 2] px (u, v) of a sphere's outline: an ellipse, further out than the centre's image.

    Args: `centre` [..., 3] m, `radius` [...] m, the camera's `position` [..., 3] m and `rotation` [..., 3, 3].
    The cone that touches the sphere cuts the image plane in an ellipse about f (X, Y) Z / (Z^2 - r^2), with X, Y, Z the
    centre in camera axes; NaN where the sphere reaches the camera's plane.
    """
    local = np.einsum("...ij,...j->...i", rotation, centre - position)
    depth = local[..., 2]
    ahead = depth > radius + MIN_DEPTH_M
    scale = np.where(ahead, depth, np.nan) / np.where(ahead, depth * depth - radius * radius, 1.0)
    u = intrinsics.focal * local[..., 0] * scale + intrinsics.cx
    v = intrinsics.focal * local[..., 1] * scale + intrinsics.cy
    return np.stack([u, v], axis=-1)


__all__ = [
    "SPLITS",
    "Arrays",
    "Sample",
    "Sampler",
    "Spec",
    "Streams",
    "Truth",
    "check_attempts",
    "drawn_by",
    "for_process",
    "held_out_samples",
    "outline_centroid",
    "spec_for",
    "stack",
    "to_first_camera",
    "truth_of",
]
