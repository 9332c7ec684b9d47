"""One O2T sample as a pure function of (seed, split, index, stage): five pictures, their PARA, k, n and mode.

The random numbers of a sample come from `default_rng((seed, split, index, process))` and nowhere else, so the order,
the thread and the number of times it is asked for do not matter. A shot whose pictures do not show a whole moving ball
is rejected and the next one is drawn from the same stream; the mode stays, or else hard modes would become rare.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from o2t_jax.data.curriculum import Curriculum, Stage
from o2t_jax.data.views import Shot, ViewConfig, ViewPrior, draw_steps, sample_shot
from o2t_jax.data.visibility import CUT, VisibilityRule, rejection, render_plan
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import MIN_DEPTH_M, Intrinsics, intrinsics_for, relative_para, world_to_camera
from o2t_jax.types import LEFT_1, MODES, NUM_PICTURES, PARA_FIELDS, TARGET, Renderer

SPLITS = {"train": 0, "test": 1}
MAX_SEED = 2**32 - 1
# After this many rejects in a row k and n are drawn again. Keeping them for a while makes the realised n follow the
# curriculum although long predictions are rejected more often; giving up on them keeps strong worlds affordable,
# where no ball at all is still in sight at the largest n.
ATTEMPTS_PER_STEPS = 6

# When a held-out sample's cameras look again, in s after t1: long after the flight, and far enough apart that a ball
# which still bounces somewhere is not seen in one place twice.
REFERENCE_DELAYS = (7.0, 11.0, 17.0)

Element = dict[str, np.ndarray]


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


class _Kept(NamedTuple):
    shot: Shot
    setup_seed: int
    pictures: np.ndarray
    rejects: int


class RenderSource:
    """Draws, renders and accepts samples. Thread-safe as long as the renderer is.

    Args: `renderer` makes the pictures, `prior` aims camera 1 (a scene), `image_size` = (H, W). `process_index`
    gives every process of a distributed run its own training samples; the test split is the same for all.
    Raises: UsageError where sizes, times or seeds cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        prior: ViewPrior,
        views: ViewConfig,
        curriculum: Curriculum,
        seed: int,
        *,
        image_size: tuple[int, int],
        visibility: VisibilityRule | None = None,
        max_attempts: int = 200,
        process_index: int = 0,
    ) -> None:
        height, width = image_size
        if height < 1 or width < 1:
            raise UsageError(f"render_size={height}x{width} must be positive")
        if not 0 <= seed <= MAX_SEED:
            raise UsageError(f"seed={seed} must be in 0..{MAX_SEED}")
        if max_attempts < 1:
            raise UsageError(f"max_attempts={max_attempts} must be at least 1")
        views.check_against(prior)
        if curriculum.n_max > views.n_max:
            raise UsageError(f"the curriculum draws n up to {curriculum.n_max}, above n_max={views.n_max}: raise n_max")
        self.renderer, self.prior, self.views, self.curriculum = renderer, prior, views, curriculum
        self.seed, self.process_index, self.max_attempts = seed, process_index, max_attempts
        self.image_size = (int(height), int(width))
        self.visibility = visibility or VisibilityRule()
        self.visibility.check_size(*self.image_size)

    def element(self, split: str, index: int, stage: Stage | None = None) -> Element:
        """One sample; `stage` None is that of the run's last step.

        Returns: `pictures` uint8 [5, H, W, 3], `para` float32 [5, 6] relative to camera 1, and int32 scalars `k`, `n`,
        `mode`, `rejects` (shots drawn in vain). Raises: UsageError after `max_attempts` rejects in a row.
        """
        return self._element(self._keep(split, index, stage))

    def train_element(self, index: int, step: int) -> Element:
        """Training sample `index` as the curriculum wants it at `step`: what the replay ring asks for."""
        return self.element("train", index, self.curriculum.stage(step))

    def truth(self, split: str, index: int, stage: Stage | None = None) -> Truth | None:
        """The states behind `element(split, index, stage)`; None for a renderer that keeps them secret (plug-ins)."""
        if not hasattr(self.renderer, "truth"):
            return None
        return self._truth(self._keep(split, index, stage))

    def for_process(self, process_index: int) -> RenderSource:
        """The same source with the training stream of another process of a distributed run."""
        other = copy.copy(self)
        other.process_index = process_index
        return other

    def held_out(
        self, stages: Sequence[Stage], per_stage: int, split: str = "test", references: bool = False
    ) -> tuple[Element, Truth | None, np.ndarray]:
        """A fixed set: samples 0, 1, 2 ... of the split, `per_stage` of each stage, stacked along a first axis.

        Returns: (batch, truth or None, rejects int32 [N]). Each sample is searched for once for both. With
        `references` the batch also has `reference` and `left_reference`, uint8 [N, 3, H, W, 3]: what the target's
        camera and camera 1 see `REFERENCE_DELAYS` after t1, to find the background from.
        """
        kept = [self._keep(split, i * per_stage + j, stage) for i, stage in enumerate(stages) for j in range(per_stage)]
        elements = [self._element(sample) for sample in kept]
        if references:
            for element, sample in zip(elements, kept, strict=True):
                element.update(self._references(sample))
        batch = stack(elements)
        rejects = batch.pop("rejects")
        truth = None
        if hasattr(self.renderer, "truth"):
            truth = Truth(*(np.stack(field) for field in zip(*(self._truth(sample) for sample in kept), strict=True)))
        return batch, truth, rejects

    def spec(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shape and dtype of each array of an element, without the `rejects` that only statistics count."""
        height, width = self.image_size
        scalar = ((), np.dtype(np.int32))
        return {
            "pictures": ((NUM_PICTURES, height, width, 3), np.dtype(np.uint8)),
            "para": ((NUM_PICTURES, len(PARA_FIELDS)), np.dtype(np.float32)),
            "k": scalar,
            "n": scalar,
            "mode": scalar,
        }

    def _keep(self, split: str, index: int, stage: Stage | None) -> _Kept:
        """The first shot of the sample's random stream that the pictures let pass."""
        if split not in SPLITS:
            raise UsageError(f"split '{split}' is unknown: choose one of {', '.join(SPLITS)}")
        if index < 0:
            raise UsageError(f"sample index {index} is negative")
        stage = stage or self.curriculum.last_stage()
        process = self.process_index if split == "train" else 0
        rng = np.random.default_rng((self.seed, SPLITS[split], index, process))
        mode = stage.draw_mode(rng)
        steps = (0, 0)
        reasons: Counter[str] = Counter()
        for attempt in range(self.max_attempts):
            if attempt % ATTEMPTS_PER_STEPS == 0:
                steps = draw_steps(rng, mode, stage, self.views)
            setup_seed = int(rng.integers(2**31))
            shot = sample_shot(rng, self.prior, mode, stage, self.views, steps)
            plan = render_plan(shot)
            pictures = self._render(setup_seed, plan.times, plan.angles, plan.positions)
            reason = rejection(pictures, plan, self.visibility)
            if not reason:
                return _Kept(shot, setup_seed, pictures[list(plan.sample)], attempt)
            reasons[reason] += 1
        raise UsageError(self._exhausted(index, mode, steps, reasons))

    def _render(self, setup_seed: int, times: np.ndarray, angles: np.ndarray, positions: np.ndarray) -> np.ndarray:
        pictures = np.asarray(self.renderer.render(setup_seed, times, angles, positions, self.image_size))
        expected = (len(times), *self.image_size, 3)
        if pictures.shape != expected or pictures.dtype != np.uint8:
            raise UsageError(
                f"the renderer returned {pictures.dtype}{list(pictures.shape)}, expected uint8{list(expected)}: "
                "it must honour image_size and return RGB bytes"
            )
        return pictures

    def _references(self, kept: _Kept) -> Element:
        shot, count = kept.shot, len(REFERENCE_DELAYS)
        cameras = np.repeat([TARGET, LEFT_1], count)
        times = shot.times[LEFT_1] + np.tile(REFERENCE_DELAYS, 2)
        pictures = self._render(kept.setup_seed, times, shot.angles[cameras], shot.positions[cameras])
        return {"reference": pictures[:count], "left_reference": pictures[count:]}

    def _element(self, kept: _Kept) -> Element:
        shot = kept.shot
        return {
            "pictures": kept.pictures,
            # In float64 first: positions in the world may be large beside the shifts that matter.
            "para": relative_para(shot.para()).astype(np.float32),
            "k": np.array(shot.k, np.int32),
            "n": np.array(shot.n, np.int32),
            "mode": np.array(shot.mode, np.int32),
            "rejects": np.array(kept.rejects, np.int32),
        }

    def _truth(self, kept: _Kept) -> Truth:
        shot = kept.shot
        position, visible, radius = self.renderer.truth(kept.setup_seed, shot.times)  # type: ignore[attr-defined]
        position, radius = np.asarray(position, np.float64), np.asarray(radius, np.float64)
        rotation = world_to_camera(shot.angles[:, 0], shot.angles[:, 1])[:, None]
        intrinsics = intrinsics_for(*self.image_size)
        centroid = outline_centroid(position, radius, shot.positions[:, None], rotation, intrinsics)
        return Truth(to_first_camera(position, shot), np.asarray(visible, bool), radius, centroid)

    def _exhausted(self, index: int, mode: int, steps: tuple[int, int], reasons: Mapping[str, int]) -> str:
        cause, count = max(reasons.items(), key=lambda item: item[1])
        if cause == CUT:
            cure = "lower the shift ranges (view_*, future_*), n_max or dt, or set require_whole=False"
        else:
            cure = "raise k_min, dt or render_size, or lower min_pixels, motion_threshold or n_max"
        return (
            f"scene '{self.prior.name}': {self.max_attempts} shots in a row were rejected for sample {index} "
            f"({MODES[mode]}, k={steps[0]}, n={steps[1]}), {count} of them because {cause}: {cure}"
        )


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


__all__ = ["SPLITS", "Element", "RenderSource", "Truth", "outline_centroid", "stack", "to_first_camera"]
