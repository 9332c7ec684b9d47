"""Samples cut from whole flights: small windows that follow a ball through the large pictures of static cameras.

The counterpart of `PairSource` for long flights, and for renderers whose pictures are expensive: one survey (a rig of
cameras at a grid of times) serves many samples. The index of a sample gives its setup and its own random numbers, the
setup gives the pictures. `window` is the place of a window in the full picture of its camera; intrinsics are those of
the full picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from o2t_jax.caching import SharedCache
from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.sample import Sample, Streams, check_attempts, drawn_by
from o2t_jax.data.o2t.shots import Shot
from o2t_jax.data.o2t.survey import (
    FivePictures,
    Flight,
    Survey,
    draw_views,
    take_survey,
    window,
    window_corner,
)
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import LEFT_1, MODES, TARGET
from o2t_jax.render.scenes import rig_of
from o2t_jax.types import Renderer


class FlightWindows(NamedTuple):
    """All windows of all flights of some setups, N in all, in the world frame; for a bundle adjustment.

    `pictures`, `backgrounds` uint8 [N, S, S, 3]; `window` float32 [N, 2] (u0, v0) px; `para` float64 [N, 6]; `flight`
    [N], 0, 1, 2 ... over all setups; `camera`, `moment` [N] within the setup's survey; `setup_seed` [N]; `position`
    [N, 3] m and `radius` [N] m are rough, from the pictures.
    """

    pictures: np.ndarray
    backgrounds: np.ndarray
    window: np.ndarray
    para: np.ndarray
    flight: np.ndarray
    camera: np.ndarray
    moment: np.ndarray
    setup_seed: np.ndarray
    position: np.ndarray
    radius: np.ndarray


class FlightSource:
    """Draws samples from the flights of a scene with a rig: a `Sampler` (`o2t_jax.data.o2t.sample`).

    Args: `renderer` makes the pictures; `scene` places the rig (for a plug-in module: the room); `image_size` = (S, S),
    the windows' size; `process_index` as in `Streams`. Raises: UsageError for a scene without a rig and where sizes,
    times or seeds cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        scene: object,
        config: FlightConfig,
        seed: int,
        *,
        image_size: tuple[int, int],
        max_attempts: int,
        process_index: int = 0,
    ) -> None:
        self.scene = rig_of(scene)
        height, width = image_size
        if height != width or not 8 <= width <= config.camera_size - 2 * config.window_jitter:
            raise UsageError(
                f"render_size={height}x{width}: windows are square, from 8 px to camera_size - 2 window_jitter = "
                f"{config.camera_size - 2 * config.window_jitter} px"
            )
        config.check_against(self.scene)
        check_attempts(max_attempts)
        self.renderer, self.config = renderer, config
        self.streams, self.max_attempts = Streams(seed, process_index), max_attempts
        self.image_size = (int(height), int(width))
        self._surveys: SharedCache[Survey] = SharedCache(config.survey_cache)

    @property
    def n_max(self) -> int:
        """The largest n that a mix may ask for."""
        return self.config.n_max

    def __call__(self, split: str, index: int, mix: ModeMix) -> Sample:
        """A sample from its setup's flights, tried in random order, then from those of substitute setups.

        Raises: UsageError after `max_attempts` setups.
        """
        rng = self.streams.rng(split, index)
        mode = mix.draw_mode(rng)
        for attempt in range(self.max_attempts):
            survey = self.survey(split, self.setup_of(index), attempt)
            for choice in rng.permutation(len(survey.flights)):
                flight = survey.flights[choice]
                views = draw_views(rng, survey, flight, mode, mix, self.config)
                if views is not None:
                    return self._cut_out(rng, survey, flight, views, attempt)
        raise UsageError(
            f"{drawn_by(self.renderer, self.scene.name)}: {self.max_attempts} setups in a row have no flight for "
            f"sample {index} ({MODES[mode]}): raise camera_size, render_size (a ball must fit into a window), "
            "survey_times or k_max, or lower min_span or survey_stride"
        )

    def references(self, sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        """The backgrounds of target and picture 1, three times each."""
        assert sample.backgrounds is not None
        target, left = (np.repeat(sample.backgrounds[picture, None], 3, axis=0) for picture in (TARGET, LEFT_1))
        return target, left

    def setup_of(self, index: int) -> int:
        """The number of the setup that sample `index` is drawn from; consecutive samples alternate between a few."""
        together = self.config.setups_at_once
        setup = index // (self.config.samples_per_setup * together) * together + index % together
        return setup % self.config.num_setups if self.config.num_setups else setup

    def survey(self, split: str, setup: int, attempt: int = 0) -> Survey:
        """The flights found in setup number `setup`; `attempt` > 0 gives its substitutes where it has too few."""
        # The fifth number, never 0, keeps this stream apart from those of samples, which have four.
        key = (*self.streams.key(split, setup), attempt + 1)

        def make() -> Survey:
            return take_survey(self.renderer, self.scene, np.random.default_rng(key), self.config, self.image_size[0])

        return self._surveys.get(key, make)

    def windows(self, split: str, setups: Iterable[int]) -> FlightWindows:
        """Every camera x moment of every flight of these setups. Raises: UsageError where there is no flight at all."""
        size, rows, flights = self.image_size[0], [], 0
        for setup in setups:
            survey = self.survey(split, setup)
            for flight in survey.flights:
                place = dict(zip(flight.moments, flight.positions, strict=True))
                for (camera, moment), (patch, centre) in sorted(flight.patches.items(), key=lambda item: item[0]):
                    corner = window_corner(patch, centre, size, (0, 0))
                    picture, background = window(patch, corner, size)
                    para, position = survey.para(camera, moment), place[moment]
                    where = (flights, camera, moment, survey.setup_seed)
                    rows.append(
                        (picture, background, np.array(corner, np.float32), para, *where, position, flight.radius)
                    )
                flights += 1
        if not rows:
            raise UsageError("these setups have no contact-free flight: give more setups")
        return FlightWindows(*(np.stack(column) for column in zip(*rows, strict=True)))

    def _cut_out(
        self, rng: np.random.Generator, survey: Survey, flight: Flight, views: FivePictures, rejects: int
    ) -> Sample:
        """The five windows, each shifted at random; the same picture keeps its window, so DIS asks for picture 1."""
        jitter, size = self.config.window_jitter, self.image_size[0]
        places = list(zip(views.cameras, views.moments, strict=True))
        corners: dict[tuple[int, int], tuple[int, int]] = {}
        for place in places:
            shift = rng.integers(-jitter, jitter + 1, 2)
            if place not in corners:
                corners[place] = window_corner(*flight.patches[place], size, shift)
        cuts = [window(flight.patches[place][0], corners[place], size) for place in places]
        para = np.stack([survey.para(*place) for place in places])
        return Sample(
            Shot(para[:, 0], para[:, 4:], para[:, 1:4], views.k, views.n, views.mode),
            survey.setup_seed,
            np.stack([picture for picture, _ in cuts]),
            rejects,
            (self.config.camera_size, self.config.camera_size),
            window=np.array([corners[place] for place in places], np.float32),
            backgrounds=np.stack([background for _, background in cuts]),
        )


__all__ = ["FlightSource", "FlightWindows"]
