"""Samples cut from whole flights: small windows that follow a ball through the large pictures of static cameras.

The counterpart of `PairSource` for long flights, and for renderers whose pictures are dear: one survey (a rig of
cameras at a grid of times) serves many samples. A sample is a pure function of (seed, split, index, process, stage):
the index gives the setup and the sample's own random numbers, the setup gives the pictures. `window` tells where in
the full picture of its camera a window lies; intrinsics are those of the full picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from o2t_jax.caching import SharedCache
from o2t_jax.data.o2t.curriculum import Curriculum, ModeMix
from o2t_jax.data.o2t.flight_config import FlightConfig
from o2t_jax.data.o2t.sample_source import SPLITS, Element, SampleSource, Spec, Truth, outline_centroid, to_first_camera
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
from o2t_jax.geometry.camera import intrinsics_for, relative_para, world_to_camera
from o2t_jax.geometry.para import LEFT_1, MODES, NUM_PICTURES, TARGET
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


class _Kept(NamedTuple):
    survey: Survey
    flight: Flight
    views: FivePictures
    corners: list[tuple[int, int]]
    rejects: int


class FlightSource(SampleSource[_Kept]):
    """Draws samples from the flights of a scene with a rig. Thread-safe as long as the renderer is.

    Args: `renderer` makes the pictures; `scene` places the rig (for a plug-in module: the room); `image_size` = (S, S),
    the windows' size. `process_index` gives every process of a distributed run its own training setups; the test split
    is the same for all. Raises: UsageError for a scene without a rig and where sizes, times or seeds cannot work.
    """

    def __init__(
        self,
        renderer: Renderer,
        scene: object,
        config: FlightConfig,
        curriculum: Curriculum,
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
        super().__init__(
            renderer,
            curriculum,
            seed,
            image_size=image_size,
            n_max=config.n_max,
            max_attempts=max_attempts,
            process_index=process_index,
        )
        self.config = config
        self._surveys: SharedCache[Survey] = SharedCache(config.survey_cache)

    @classmethod
    def spec_for(cls, image_size: tuple[int, int]) -> Spec:
        """As `SampleSource.spec_for`, with the background of each picture and where its window lies."""
        spec = super().spec_for(image_size)
        return {**spec, "backgrounds": spec["pictures"], "window": ((NUM_PICTURES, 2), np.dtype(np.float32))}

    def setup_of(self, index: int) -> int:
        """The number of the setup that sample `index` is drawn from; neighbours alternate between a few."""
        together = self.config.setups_at_once
        setup = index // (self.config.samples_per_setup * together) * together + index % together
        return setup % self.config.num_setups if self.config.num_setups else setup

    def survey(self, split: str, setup: int, attempt: int = 0) -> Survey:
        """What the rig saw of setup number `setup`; `attempt` > 0 are its substitutes where flights are lacking."""
        process = self._process(split)
        # The fifth number, never 0, keeps this stream apart from those of samples, which have four.
        key = (self.seed, SPLITS[split], setup, process, attempt + 1)

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

    def _keep(self, split: str, index: int, stage: ModeMix | None) -> _Kept:
        """The sample of this index: its setup's flights in random order, then those of substitutes."""
        stage, rng = self._stream(split, index, stage)
        mode = stage.draw_mode(rng)
        for attempt in range(self.max_attempts):
            survey = self.survey(split, self.setup_of(index), attempt)
            for choice in rng.permutation(len(survey.flights)):
                flight = survey.flights[choice]
                views = draw_views(rng, survey, flight, mode, stage, self.config)
                if views is not None:
                    return _Kept(survey, flight, views, self._corners(rng, flight, views), attempt)
        raise UsageError(
            f"{self._named(self.scene.name)}: {self.max_attempts} setups in a row have no flight for sample {index} "
            f"({MODES[mode]}): raise camera_size, render_size (a ball must fit into a window), survey_times or k_max, "
            "or lower min_span or survey_stride"
        )

    def _corners(self, rng: np.random.Generator, flight: Flight, views: FivePictures) -> list[tuple[int, int]]:
        """Each picture's window; the same picture gets the same window, so that DIS asks for picture 1 itself."""
        jitter, chosen = self.config.window_jitter, {}
        for place in zip(views.cameras, views.moments, strict=True):
            shift = rng.integers(-jitter, jitter + 1, 2)
            if place not in chosen:
                chosen[place] = window_corner(*flight.patches[place], self.image_size[0], shift)
        return [chosen[place] for place in zip(views.cameras, views.moments, strict=True)]

    def _element(self, kept: _Kept) -> Element:
        views = kept.views
        places = list(zip(views.cameras, views.moments, strict=True))
        cuts = [
            window(kept.flight.patches[place][0], corner, self.image_size[0])
            for place, corner in zip(places, kept.corners, strict=True)
        ]
        return {
            "pictures": np.stack([picture for picture, _ in cuts]),
            "backgrounds": np.stack([background for _, background in cuts]),
            "window": np.array(kept.corners, np.float32),
            # In float64 first: positions in the world may be large beside the shifts that matter.
            "para": relative_para(np.stack([kept.survey.para(*place) for place in places])).astype(np.float32),
            "k": np.array(views.k, np.int32),
            "n": np.array(views.n, np.int32),
            "mode": np.array(views.mode, np.int32),
            "rejects": np.array(kept.rejects, np.int32),
        }

    def _references(self, kept: _Kept, element: Element) -> Element:
        """The backgrounds of target and picture 1, three times each."""
        del kept
        chosen = {"reference": TARGET, "left_reference": LEFT_1}
        return {name: np.repeat(element["backgrounds"][picture, None], 3, axis=0) for name, picture in chosen.items()}

    def _truth(self, kept: _Kept) -> Truth:
        para = np.stack([kept.survey.para(c, m) for c, m in zip(kept.views.cameras, kept.views.moments, strict=True)])
        shot = Shot(para[:, 0], para[:, 4:], para[:, 1:4], kept.views.k, kept.views.n, kept.views.mode, (0.0, 0.0))
        position, visible, radius = self.renderer.truth(kept.survey.setup_seed, shot.times)  # type: ignore[attr-defined]
        position, radius = np.asarray(position, np.float64), np.asarray(radius, np.float64)
        rotation = world_to_camera(shot.angles[:, 0], shot.angles[:, 1])[:, None]
        intrinsics = intrinsics_for(self.config.camera_size, self.config.camera_size)
        centroid = outline_centroid(position, radius, shot.positions[:, None], rotation, intrinsics)
        centroid = centroid - np.array(kept.corners, np.float64)[:, None]
        return Truth(to_first_camera(position, shot), np.asarray(visible, bool), radius, centroid)


__all__ = ["FlightSource", "FlightWindows"]
