"""Samples of five pictures, two eyes at two moments and a target: drawn, rendered, accepted or rejected.

A shot whose pictures do not show a whole moving ball is rejected and the next one is drawn from the sample's own stream
of random numbers; the mode stays, or else hard modes would become rare.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from o2t_jax.data.o2t.acceptance import CUT, AcceptanceRule, rejection, render_plan
from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.sample_source import Element, SampleSource, Truth, outline_centroid, stack, to_first_camera
from o2t_jax.data.o2t.shots import Shot, ShotConfig, ViewPrior, draw_steps, sample_shot
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, relative_para, world_to_camera
from o2t_jax.geometry.para import LEFT_1, MODES, TARGET
from o2t_jax.types import Renderer

# After this many rejects in a row k and n are drawn again. Keeping them for a while makes the realised n follow the
# curriculum although long predictions are rejected more often; giving up on them keeps strong worlds affordable,
# where no ball at all is still in sight at the largest n.
ATTEMPTS_PER_STEPS = 6

# When a held-out sample's cameras look again, in s after t1: long after the flight, and far enough apart that a ball
# which still bounces somewhere is not seen in one place twice.
REFERENCE_DELAYS = (7.0, 11.0, 17.0)


class _Kept(NamedTuple):
    shot: Shot
    setup_seed: int
    pictures: np.ndarray
    rejects: int


class PairSource(SampleSource[_Kept]):
    """Draws, renders and accepts samples: `pictures`, `para` (relative to camera 1), `k`, `n`, `mode`.

    Args: as `SampleSource`; `prior` aims camera 1 (a scene). Raises: UsageError where sizes or times cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        prior: ViewPrior,
        views: ShotConfig,
        curriculum: Curriculum,
        seed: int,
        *,
        image_size: tuple[int, int],
        visibility: AcceptanceRule,
        max_attempts: int,
        process_index: int = 0,
    ) -> None:
        height, width = image_size
        if height < 1 or width < 1:
            raise UsageError(f"render_size={height}x{width} must be positive")
        views.check_against(prior)
        super().__init__(
            renderer,
            curriculum,
            seed,
            image_size=image_size,
            n_max=views.n_max,
            max_attempts=max_attempts,
            process_index=process_index,
        )
        self.prior, self.views = prior, views
        self.visibility = visibility
        self.visibility.check_size(*self.image_size)

    def _keep(self, split: str, index: int, stage: ModeMix | None) -> _Kept:
        """The first shot of the sample's random stream that the pictures let pass."""
        stage, rng = self._stream(split, index, stage)
        mode = stage.draw_mode(rng)
        steps = (0, 0)
        reasons: Counter[str] = Counter()
        pictures = np.zeros((1, *self.image_size, 3), np.uint8)
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
        raise UsageError(self._exhausted(index, mode, steps, reasons) + _shown(pictures))

    def sequence(self, split: str, index: int, stage: ModeMix | None = None) -> Element:
        """One sample's inputs with its target at each step n from 0 to n_max, arrays [n_max + 1, ...].

        Nothing is asked of the later pictures: the ball may leave them.
        """
        kept = self._keep(split, index, stage)
        shot, steps = kept.shot, range(self.views.n_max + 1)
        times = shot.times[LEFT_1] + self.views.dt * np.array(steps)
        targets = [TARGET] * len(steps)
        seen = self._render(kept.setup_seed, times, shot.angles[targets], shot.positions[targets])
        elements = []
        for n, time, picture in zip(steps, times, seen, strict=True):
            moved = shot._replace(n=n, times=np.append(shot.times[:TARGET], time))
            pictures = np.concatenate([kept.pictures[:TARGET], picture[None]])
            elements.append(self._element(kept._replace(shot=moved, pictures=pictures)))
        batch = stack(elements)
        del batch["rejects"]
        return batch

    def _render(self, setup_seed: int, times: np.ndarray, angles: np.ndarray, positions: np.ndarray) -> np.ndarray:
        pictures = np.asarray(self.renderer.render(setup_seed, times, angles, positions, self.image_size))
        expected = (len(times), *self.image_size, 3)
        if pictures.shape != expected or pictures.dtype != np.uint8:
            raise UsageError(
                f"the renderer returned {pictures.dtype}{list(pictures.shape)}, expected uint8{list(expected)}: "
                "it must honour image_size and return RGB bytes"
            )
        return pictures

    def _references(self, kept: _Kept, element: Element) -> Element:
        del element
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
            f"{self._named(self.prior.name)}: {self.max_attempts} shots in a row were rejected for sample {index} "
            f"({MODES[mode]}, k={steps[0]}, n={steps[1]}), {count} of them because {cause}: {cure}"
        )


def _shown(pictures: np.ndarray) -> str:
    """Leaves pictures [T, H, W, 3] side by side, to be looked at; returns the words that tell where."""
    path = Path(tempfile.gettempdir()) / f"o2t-rejected-{os.getpid()}.png"
    try:
        written = cv2.imwrite(str(path), np.concatenate(list(pictures), axis=1)[..., ::-1])
    except (OSError, cv2.error):
        written = False
    return f"; the last one's pictures are in {path}" if written else ""


__all__ = ["PairSource"]
