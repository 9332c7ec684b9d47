"""What all sources of O2T samples share: a sample is a pure function of (seed, split, index, process, stage).

The random numbers of a sample come from `default_rng((seed, split, index, process))` and nowhere else, so the order,
the thread and the number of times it is asked for do not matter. A source says how it finds what it keeps for an index
(`_keep`) and what a sample (`_element`) and its truth (`_truth`) are of that.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar

import numpy as np

from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.shots import Shot
from o2t_jax.data.ring import MAX_SEED
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import MIN_DEPTH_M, Intrinsics
from o2t_jax.geometry.para import NUM_PICTURES, PARA_FIELDS
from o2t_jax.types import Renderer

SPLITS = {"train": 0, "test": 1}

Element = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], np.dtype]]
Kept = TypeVar("Kept")


class Truth(NamedTuple):
    """What really was in a sample's five pictures; for evaluation, never for training.

    `position` [5, K, 3] m in the frame of the sample's PARA (origin on the ground below camera 1, which looks along
    +x), `visible` [5, K] bool (the world still has the ball), `radius` [K] m, `centroid` [5, K, 2] px (u, v) of the
    ball's outline, NaN behind the camera.
    """

    position: np.ndarray
    visible: np.ndarray
    radius: np.ndarray
    centroid: np.ndarray


class SampleSource(Generic[Kept]):
    """Samples by (split, index). Thread-safe as long as the renderer is.

    Args: `renderer` makes the pictures, `image_size` = (H, W); the curriculum's n may reach `n_max`. `process_index`
    gives every process of a distributed run its own training samples; the test split is the same for all.
    Raises: UsageError where times or seeds cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        curriculum: Curriculum,
        seed: int,
        *,
        image_size: tuple[int, int],
        n_max: int,
        max_attempts: int,
        process_index: int,
    ) -> None:
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed={seed} must be in 0..{MAX_SEED}")
        if max_attempts < 1:
            raise UsageError(f"max_attempts={max_attempts} must be at least 1: set --config.max_attempts=1 or more")
        if curriculum.n_max > n_max:
            raise UsageError(f"the curriculum draws n up to {curriculum.n_max}, above n_max={n_max}: raise n_max")
        self.renderer, self.curriculum = renderer, curriculum
        self.seed, self.process_index, self.max_attempts = seed, process_index, max_attempts
        self.image_size = (int(image_size[0]), int(image_size[1]))

    def _named(self, scene: str) -> str:
        """What draws the pictures, for messages: a module of the user's (then `scene` only aims), or the scene."""
        module = getattr(self.renderer, "module", None)
        return f"scene {scene!r}" if module is None else f"module {module!r}"

    def element(self, split: str, index: int, stage: ModeMix | None = None) -> Element:
        """One sample; `stage` None is that of the run's last step.

        Returns: arrays as in `spec`, and the int32 scalar `rejects`: what was drawn in vain before it. Raises:
        UsageError after `max_attempts` of those.
        """
        return self._element(self._keep(split, index, stage))

    def train_element(self, index: int, step: int) -> Element:
        """Training sample `index` as the curriculum wants it at `step`: what the replay ring asks for."""
        return self.element("train", index, self.curriculum.stage(step))

    def truth(self, split: str, index: int, stage: ModeMix | None = None) -> Truth | None:
        """The states behind `element(split, index, stage)`; None for a renderer that keeps them secret (plug-ins)."""
        return self._truth(self._keep(split, index, stage)) if self._tells_truth else None

    def for_process(self, process_index: int) -> Self:
        """The same source with the training stream of another process of a distributed run."""
        other = copy.copy(self)
        other.process_index = process_index
        return other

    def held_out(
        self, stages: Sequence[ModeMix], per_stage: int, split: str = "test", references: bool = False
    ) -> tuple[Element, Truth | None, np.ndarray]:
        """A fixed set: samples 0, 1, 2 ... of the split, `per_stage` of each stage, stacked along a first axis.

        Returns: (batch, truth or None, rejects int32 [N]). Each sample is searched for once for both. With
        `references` the batch also has `reference` and `left_reference`, uint8 [N, 3, H, W, 3]: what the target's
        camera and camera 1 see without the ball, or at times far apart, to find the background from.
        """
        kept = [self._keep(split, i * per_stage + j, stage) for i, stage in enumerate(stages) for j in range(per_stage)]
        elements = [self._element(sample) for sample in kept]
        if references:
            for element, sample in zip(elements, kept, strict=True):
                element.update(self._references(sample, element))
        batch = stack(elements)
        rejects = batch.pop("rejects")
        truth = None
        if self._tells_truth:
            truth = Truth(*(np.stack(field) for field in zip(*(self._truth(sample) for sample in kept), strict=True)))
        return batch, truth, rejects

    def spec(self) -> Spec:
        """Shape and dtype of each array of an element, without the `rejects` that only statistics count."""
        return self.spec_for(self.image_size)

    @classmethod
    def spec_for(cls, image_size: tuple[int, int]) -> Spec:
        """The `spec` of a source of such pictures."""
        scalar = ((), np.dtype(np.int32))
        return {
            "pictures": ((NUM_PICTURES, *image_size, 3), np.dtype(np.uint8)),
            "para": ((NUM_PICTURES, len(PARA_FIELDS)), np.dtype(np.float32)),
            "k": scalar,
            "n": scalar,
            "mode": scalar,
        }

    @property
    def _tells_truth(self) -> bool:
        return hasattr(self.renderer, "truth")

    def _stream(self, split: str, index: int, stage: ModeMix | None) -> tuple[ModeMix, np.random.Generator]:
        """A sample's stage and random numbers."""
        process = self._process(split)
        if index < 0:
            raise UsageError(f"sample index {index} is negative")
        return stage or self.curriculum.last_stage(), np.random.default_rng((self.seed, SPLITS[split], index, process))

    def _process(self, split: str) -> int:
        """The process whose samples these are: the test split is everybody's."""
        if split not in SPLITS:
            raise UsageError(f"split '{split}' is unknown: choose one of {', '.join(SPLITS)}")
        return self.process_index if split == "train" else 0

    def _keep(self, split: str, index: int, stage: ModeMix | None) -> Kept:
        raise NotImplementedError

    def _element(self, kept: Kept) -> Element:
        raise NotImplementedError

    def _truth(self, kept: Kept) -> Truth:
        raise NotImplementedError

    def _references(self, kept: Kept, element: Element) -> Element:
        raise NotImplementedError


def stack(elements: Sequence[Mapping[str, Any]]) -> Element:
    """Stacks elements of equal keys and shapes along a new first axis."""
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
    "Element",
    "SampleSource",
    "Spec",
    "Truth",
    "outline_centroid",
    "stack",
    "to_first_camera",
]
