"""When and from where a sample's five pictures are taken.

Left and right eye at t1, the same pair at t2 = t1 + k dt, the target at t1 + n dt from a third view.
DIS (n = 0): the target view is view 1. VIEW (n = 0) and FUTURE (n > k): the target camera is shifted against camera 1,
by the guide's ranges unless the config says otherwise. Camera 1 comes from the scene's `view_prior`, which knows the
distribution of initial conditions only: neither this sample's ball nor the law may aim a camera, or PARA5 would
reveal the answer.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import look_at, right_eye, world_to_camera
from o2t_jax.geometry.para import FUTURE, LEFT_1, LEFT_2, NUM_PICTURES, RIGHT_1, RIGHT_2, TARGET, VIEW

MAX_ELEVATION_DEG = 85.0


class ViewPrior(Protocol):
    """The part of a scene that aims camera 1 (for a plugged-in module: that of a stand-in scene)."""

    name: str
    t_max: float

    def view_prior(self, rng: np.random.Generator, shot_config: ShotConfig) -> tuple[np.ndarray, float, float]:
        """Camera 1: position [3] m, azimuth deg, elevation deg."""
        ...


@dataclass(frozen=True)
class ShotConfig:
    """Times and cameras of a sample; the field names are those of the flat config. Lengths m, times s, angles deg.

    `dt`: one step of n and k. `k_min`..`k_max`: steps from the first to the second pair. `n_max`: the longest
    prediction in steps from t1. `t1_max`: t1 is uniform in [0, t1_max]. `stereo_gap`: distance of the eyes;
    `convergence`: where their axes meet, None for parallel axes. `view_*` and `future_*`: half ranges of the target
    camera's shift in azimuth, elevation, and in x and y (metres along and across camera 1's heading).
    `focus`: None turns the target camera by the drawn angles alone (the guide); a distance makes it first look at the
    point that far along camera 1's axis, so that a wide shift keeps the scene in sight.
    `distance_min`, `distance_max`: horizontal distance of camera 1 from the scene, None leaves it to the scene.
    """

    dt: float
    k_min: int
    k_max: int
    n_max: int
    t1_max: float
    stereo_gap: float
    convergence: float | None
    view_azimuth: float
    view_elevation: float
    view_shift: float
    future_azimuth: float
    future_elevation: float
    future_shift: float
    focus: float | None
    distance_min: float | None
    distance_max: float | None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{field.name}={value} is not a finite number")
        for name in ("dt", "stereo_gap"):
            if getattr(self, name) <= 0.0:
                raise UsageError(f"{name}={getattr(self, name)} must be above 0: set --config.{name}")
        self._at_least("t1_max", 0.0)
        for name in ("convergence", "focus", "distance_min", "distance_max"):
            self._at_least(name, 0.1)
        for quantity in ("azimuth", "elevation", "shift"):
            self._at_least(f"view_{quantity}", 0.0)
            self._at_least(f"future_{quantity}", 0.0)
        if not 1 <= self.k_min <= self.k_max:
            raise UsageError(
                f"k_min={self.k_min}, k_max={self.k_max}: need 1 <= k_min <= k_max, at k = 0 no velocity can be seen"
            )
        if self.n_max <= self.k_max:
            raise UsageError(f"n_max={self.n_max} must exceed k_max={self.k_max}, or nothing is left to predict")
        near, far = self.distance_min, self.distance_max
        if (near is None) != (far is None) or (near is not None and far is not None and far < near):
            raise UsageError(
                f"distance_min={near}, distance_max={far}: set both, the first not above the second, or neither"
            )

    def _at_least(self, name: str, low: float) -> None:
        value = getattr(self, name)
        if value is not None and value < low:
            raise UsageError(f"{name}={value} must be at least {low:g}: set --config.{name}={low:g} or more")

    @property
    def horizon(self) -> float:
        """The latest time (s) that a target picture can need."""
        return self.t1_max + self.n_max * self.dt

    def check_against(self, prior: ViewPrior) -> None:
        """Raises UsageError when the longest prediction ends after the scene does."""
        if self.horizon > prior.t_max + 1e-9:
            fit = int((prior.t_max - self.t1_max + 1e-9) / self.dt)
            cure = f"lower n_max to {fit}" if fit > self.k_max else "lower dt or t1_max"
            raise UsageError(
                f"t1_max + n_max * dt = {self.horizon:.3g} s, but scene '{prior.name}' ends at {prior.t_max:.3g} s: "
                f"{cure}"
            )


class Shot(NamedTuple):
    """The plan of one sample: poses and times of its five pictures, in the world frame.

    `times` [5] s, `angles` [5, 2] (azimuth, elevation) deg, `positions` [5, 3] m, all float64.
    """

    times: np.ndarray
    angles: np.ndarray
    positions: np.ndarray
    k: int
    n: int
    mode: int

    def para(self) -> np.ndarray:
        """PARA [5, 6] of the pictures, in the world frame (s, m, m, m, deg, deg)."""
        return np.concatenate([self.times[:, None], self.positions, self.angles], axis=1)


def sample_shot(rng: np.random.Generator, prior: ViewPrior, config: ShotConfig, mode: int, k: int, n: int) -> Shot:
    """Draws t1 and the cameras of one sample; `k` and `n` are steps of dt from t1 to the second pair and the target."""
    t1 = rng.uniform(0.0, config.t1_max)
    t2 = t1 + k * config.dt
    position, azimuth, elevation = prior.view_prior(rng, config)
    position = np.asarray(position, np.float64)
    eye, eye_azimuth, eye_elevation = right_eye(
        position, np.float64(azimuth), np.float64(elevation), config.stereo_gap, config.convergence
    )
    target = _target_camera(rng, mode, config, position, float(azimuth), float(elevation))

    times = np.empty(NUM_PICTURES)
    times[[LEFT_1, RIGHT_1]], times[[LEFT_2, RIGHT_2]], times[TARGET] = t1, t2, t1 + n * config.dt
    positions = np.stack([position, eye, position, eye, target[0]])
    left, right = (azimuth, elevation), (eye_azimuth, eye_elevation)
    angles = np.array([left, right, left, right, target[1:]], np.float64)
    return Shot(times, angles, positions, k, n, mode)


def _target_camera(
    rng: np.random.Generator, mode: int, config: ShotConfig, position: np.ndarray, azimuth: float, elevation: float
) -> tuple[np.ndarray, float, float]:
    """Position [3], azimuth, elevation of the third view: camera 1's, shifted in VIEW and FUTURE."""
    if mode == VIEW:
        ranges = (config.view_azimuth, config.view_elevation, config.view_shift)
    elif mode == FUTURE:
        ranges = (config.future_azimuth, config.future_elevation, config.future_shift)
    else:
        return position, azimuth, elevation
    turn, raise_, ahead, aside = rng.uniform(-1.0, 1.0, size=4) * np.array([*ranges[:2], ranges[2], ranges[2]])
    heading = np.radians(azimuth)
    # Along camera 1's own axes, not the world's: turning the whole scene then turns every sample with it.
    forward = np.array([np.cos(heading), np.sin(heading), 0.0])
    left = np.array([-np.sin(heading), np.cos(heading), 0.0])
    moved = position + ahead * forward + aside * left
    if config.focus is not None:
        axis = world_to_camera(azimuth, elevation)[2]
        aimed = look_at(moved, position + config.focus * axis)
        azimuth, elevation = float(aimed[0]), float(aimed[1])
    return moved, azimuth + turn, float(np.clip(elevation + raise_, -MAX_ELEVATION_DEG, MAX_ELEVATION_DEG))
