"""What the evaluation asks of others: a network that finds the ball in pictures, and pictures of flights.

The evaluation knows neither models nor data. Whoever has them passes objects of these types: the network is
`systems.o2t_sights.O2TSights`, the pictures are `data.o2t.flight_source.FlightWindows` or `close_ups.CloseUps`, the
renderer is a `types.Renderer`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np


class BallRays(NamedTuple):
    """The ball as the network sees it in pictures with the leading axes [...].

    `direction` float [..., 3], unit vectors towards its centre; `sin_radius` float [...], the sine of its angular
    radius; `seen` bool [...], whether the network sees it at all (the other two mean nothing where it does not).
    """

    direction: np.ndarray
    sin_radius: np.ndarray
    seen: np.ndarray


class Sightings(NamedTuple):
    """Where a network saw the ball in N pictures: its centre `pixels` [N, 2] (u, v) in the full picture; `seen` [N]."""

    pixels: np.ndarray
    seen: np.ndarray


class SightsBalls(Protocol):
    """A trained network that finds the ball in pictures."""

    def sight(self, pictures: np.ndarray, para: np.ndarray, corner: np.ndarray | None = None) -> BallRays:
        """The ball in each of P pictures of B samples; directions in the frame of `para`. Compiled once for each shape.

        Args: `pictures` uint8 [B, P, H, W, 3]; their cameras `para` [B, P, 6]; `corner` [B, P, 2], top left pixels
        (u0, v0) of windows of larger pictures, None for whole pictures.
        """
        ...

    def sight_close(self, pictures: np.ndarray, factor: int) -> BallRays:
        """The ball that fills much of each picture; directions in the camera's own axes (x right, y down, z ahead).

        Args: `pictures` uint8 [N, H, W, 3]; `factor`, a power of two: how much smaller the network is to see them.
        """
        ...


class FlightPictures(Protocol):
    """N pictures of balls in free flight, one ball each, in the world's frame.

    `para` float64 [N, 6] of their cameras; `flight` int [N], the number of the flight; `camera`, `moment` int [N],
    numbers within it; `position` [N, 3] m, where the ball is roughly.
    """

    @property
    def para(self) -> np.ndarray: ...

    @property
    def flight(self) -> np.ndarray: ...

    @property
    def camera(self) -> np.ndarray: ...

    @property
    def moment(self) -> np.ndarray: ...

    @property
    def position(self) -> np.ndarray: ...


class SurveyWindows(FlightPictures, Protocol):
    """The windows round the balls that a survey cut out of its large pictures.

    `pictures` uint8 [N, S, S, 3]; `window` float [N, 2], their top left pixels (u0, v0); `setup_seed` int [N] of the
    setup that the flight belongs to; `radius` [N] m of the ball, roughly.
    """

    @property
    def pictures(self) -> np.ndarray: ...

    @property
    def window(self) -> np.ndarray: ...

    @property
    def setup_seed(self) -> np.ndarray: ...

    @property
    def radius(self) -> np.ndarray: ...


__all__ = ["BallRays", "FlightPictures", "Sightings", "SightsBalls", "SurveyWindows"]
