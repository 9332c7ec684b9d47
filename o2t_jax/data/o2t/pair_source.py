"""Samples of five pictures, two eyes at two moments and a target: drawn, rendered, accepted or rejected.

A shot whose pictures do not show a whole moving ball is rejected and the next one is drawn from the sample's own stream
of random numbers. The mode stays the same: hard modes would become rare otherwise.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from o2t_jax.data.o2t.acceptance import CUT, STILL, AcceptanceRule, rejection, render_plan
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.sample import Arrays, Sample, Streams, check_attempts, drawn_by, stack
from o2t_jax.data.o2t.shots import ShotConfig, ViewPrior, sample_shot
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import LEFT_1, MODES, TARGET
from o2t_jax.types import Renderer

# After this many rejects in a row k and n are drawn again. Keeping them for a while makes the realised n follow the
# curriculum although long predictions are rejected more often; giving up on them keeps strong worlds affordable,
# where no ball at all is still in sight at the largest n.
ATTEMPTS_PER_STEPS = 6

# Times of a held-out sample's reference pictures, in s after t1: long after the flight, and far enough apart that a
# ball which still bounces is not seen twice in one place.
REFERENCE_DELAYS = (7.0, 11.0, 17.0)

CURES = {
    CUT: "lower the shift ranges (view_*, future_*), n_max or dt, or set require_whole=False",
    STILL: "raise k_min, dt or render_size, or lower min_pixels, motion_threshold or n_max",
}


class PairSource:
    """Draws, renders and accepts samples: a `Sampler` (`o2t_jax.data.o2t.sample`).

    Args: `renderer` makes the pictures, `prior` aims camera 1 (a scene), `image_size` = (H, W); `process_index` as in
    `Streams`. Raises: UsageError where sizes, times or seeds cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        prior: ViewPrior,
        views: ShotConfig,
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
        check_attempts(max_attempts)
        visibility.check_size(height, width)
        self.renderer, self.prior, self.views, self.visibility = renderer, prior, views, visibility
        self.streams, self.max_attempts = Streams(seed, process_index), max_attempts
        self.image_size = (int(height), int(width))

    @property
    def n_max(self) -> int:
        """The largest n that a mix may ask for."""
        return self.views.n_max

    def __call__(self, split: str, index: int, mix: ModeMix) -> Sample:
        """The first shot of the sample's random stream whose pictures are accepted.

        Raises: UsageError after `max_attempts` rejected shots.
        """
        views, rng = self.views, self.streams.rng(split, index)
        mode = mix.draw_mode(rng)
        k = n = 0
        reasons: Counter[str] = Counter()
        pictures = np.zeros((1, *self.image_size, 3), np.uint8)
        for attempt in range(self.max_attempts):
            if attempt % ATTEMPTS_PER_STEPS == 0:
                k, n = mix.draw_steps(rng, mode, views.k_min, views.k_max, views.n_max)
            setup_seed = int(rng.integers(2**31))
            shot = sample_shot(rng, self.prior, views, mode, k, n)
            plan = render_plan(shot)
            pictures = self._render(setup_seed, plan.times, plan.angles, plan.positions)
            reason = rejection(pictures, plan, self.visibility)
            if not reason:
                return Sample(shot, setup_seed, pictures[list(plan.sample)], attempt, self.image_size)
            reasons[reason] += 1
        cause, count = max(reasons.items(), key=lambda item: item[1])
        raise UsageError(
            f"{drawn_by(self.renderer, self.prior.name)}: {self.max_attempts} shots in a row were rejected for sample "
            f"{index} ({MODES[mode]}, k={k}, n={n}), {count} of them because {cause}: {CURES[cause]}{_saved(pictures)}"
        )

    def references(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [3, H, W, 3] each: the target's camera and camera 1, long after the flight."""
        shot, count = sample.shot, len(REFERENCE_DELAYS)
        cameras = np.repeat([TARGET, LEFT_1], count)
        times = shot.times[LEFT_1] + np.tile(REFERENCE_DELAYS, 2)
        pictures = self._render(sample.setup_seed, times, shot.angles[cameras], shot.positions[cameras])
        return pictures[:count], pictures[count:]

    def sequence(self, split: str, index: int, mix: ModeMix) -> Arrays:
        """One sample's inputs with its target at each step n from 0 to n_max, arrays [n_max + 1, ...].

        The later pictures are not tested: the ball may leave them.
        """
        sample = self(split, index, mix)
        shot, steps = sample.shot, range(self.views.n_max + 1)
        times = shot.times[LEFT_1] + self.views.dt * np.array(steps)
        targets = [TARGET] * len(steps)
        rendered = self._render(sample.setup_seed, times, shot.angles[targets], shot.positions[targets])
        elements = []
        for n, time, picture in zip(steps, times, rendered, strict=True):
            moved = shot._replace(n=n, times=np.append(shot.times[:TARGET], time))
            pictures = np.concatenate([sample.pictures[:TARGET], picture[None]])
            elements.append(sample._replace(shot=moved, pictures=pictures).arrays())
        return stack(elements)

    def _render(self, setup_seed: int, times: np.ndarray, angles: np.ndarray, positions: np.ndarray) -> np.ndarray:
        pictures = np.asarray(self.renderer.render(setup_seed, times, angles, positions, self.image_size))
        expected = (len(times), *self.image_size, 3)
        if pictures.shape != expected or pictures.dtype != np.uint8:
            raise UsageError(
                f"the renderer returned {pictures.dtype}{list(pictures.shape)}, expected uint8{list(expected)}: "
                "it must honour image_size and return RGB bytes"
            )
        return pictures


def _saved(pictures: np.ndarray) -> str:
    """Saves pictures [T, H, W, 3] side by side for the user to look at; returns the words that say where."""
    path = Path(tempfile.gettempdir()) / f"o2t-rejected-{os.getpid()}.png"
    try:
        written = cv2.imwrite(str(path), np.concatenate(list(pictures), axis=1)[..., ::-1])
    except (OSError, cv2.error):
        written = False
    return f"; the last one's pictures are in {path}" if written else ""


__all__ = ["ATTEMPTS_PER_STEPS", "CURES", "PairSource"]
