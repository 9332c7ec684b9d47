"""What a survey of whole flights takes and keeps: the fields of the flat config, checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from o2t_jax.errors import UsageError

_MAX_SIDE_PX = 8192


@dataclass(frozen=True)
class FlightConfig:
    """Names are those of the flat config; lengths m, times s.

    Pictures: `camera_size` px a side; `dt`: one step of n and k; a survey takes `survey_times` moments, `survey_stride`
    steps apart, the first of them U(0, `survey_start`) s after a scene's start.
    Samples: k in `k_min`..`k_max` and n up to `n_max` steps, as far as the moments' grid allows; `samples_per_setup`
    samples are drawn from each setup's pictures, `setups_at_once` setups alternate (so that several threads render),
    and `num_setups` setups are used for ever in turn (0: always new ones). `window_jitter` px: half range of a ball's
    random place off the window's centre; `clean_windows`: nothing else may move in a window. `survey_cache`: surveys
    kept in memory.
    Detections: `motion_threshold` bytes, the least difference to the background; `ball_pixels`, a ball's least area.
    Flights: at least `min_times` moments and `min_span` s without a contact; `clearance` m: the least height of the
    ball's bottom, `min_height` m: what it must reach at some moment. `min_turn`, `max_turn` deg: angle between the
    horizontal directions from the ball to a stereo pair.
    """

    camera_size: int
    dt: float
    survey_times: int
    survey_stride: int
    survey_start: float
    k_min: int
    k_max: int
    n_max: int
    num_setups: int
    samples_per_setup: int
    setups_at_once: int
    survey_cache: int
    window_jitter: int
    clean_windows: bool
    motion_threshold: int
    ball_pixels: int
    min_times: int
    min_span: float
    clearance: float
    min_height: float
    min_turn: float
    max_turn: float

    def __post_init__(self) -> None:
        self._check_ranges()
        if not self.k_min <= self.k_max < self.n_max:
            raise UsageError(
                f"k_min={self.k_min}, k_max={self.k_max}, n_max={self.n_max}: need k_min <= k_max < n_max, or nothing "
                "is left to predict"
            )
        first = -(-self.k_min // self.survey_stride) * self.survey_stride
        if first > self.k_max or first + self.survey_stride > self.n_max:
            raise UsageError(
                f"survey_stride={self.survey_stride}: no two moments lie k_min..k_max = {self.k_min}..{self.k_max} "
                f"steps apart with a third within n_max = {self.n_max}: lower survey_stride, or raise k_max and n_max"
            )
        if self.max_turn <= self.min_turn:
            raise UsageError(f"min_turn={self.min_turn}, max_turn={self.max_turn} deg: the second must be larger")
        if (self.survey_times - 1) * self.survey_spacing < self.min_span - 1e-9:
            raise UsageError(
                f"survey_times={self.survey_times} moments {self.survey_spacing:g} s apart end before min_span="
                f"{self.min_span:g} s: raise survey_times or survey_stride, or lower min_span"
            )

    def _check_ranges(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "camera_size": (16, _MAX_SIDE_PX),
            "dt": (1e-6, math.inf),
            "survey_times": (4, math.inf),
            "survey_stride": (1, math.inf),
            "survey_start": (0.0, math.inf),
            "k_min": (1, math.inf),
            "num_setups": (0, math.inf),
            "samples_per_setup": (1, math.inf),
            "setups_at_once": (1, math.inf),
            "survey_cache": (1, math.inf),
            "window_jitter": (0, math.inf),
            "motion_threshold": (1, 254),
            "ball_pixels": (12, math.inf),
            # Any three heights lie on a parabola: from four on a contact between them shows.
            "min_times": (4, self.survey_times),
            "min_span": (0.0, math.inf),
            "clearance": (0.0, math.inf),
            "min_height": (0.0, math.inf),
            "min_turn": (1.0, 179.0),
            "max_turn": (1.0, 179.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                bound = f"in {low:g}..{high:g}" if math.isfinite(high) else f"at least {low:g} and finite"
                raise UsageError(f"{name}={value} must be {bound}")

    @property
    def survey_spacing(self) -> float:
        """Time (s) from one moment of a survey to the next."""
        return self.survey_stride * self.dt

    @property
    def horizon(self) -> float:
        """The latest time (s) that a survey can need."""
        return self.survey_start + (self.survey_times - 1) * self.survey_spacing

    def check_against(self, scene: Any) -> None:
        """Raises UsageError when a survey ends after the scene does."""
        if self.horizon > scene.t_max + 1e-9:
            fit = int((scene.t_max - self.survey_start + 1e-9) / self.survey_spacing) + 1
            raise UsageError(
                f"survey_start + (survey_times - 1) * survey_stride * dt = {self.horizon:.3g} s, but scene "
                f"'{scene.name}' ends at {scene.t_max:.3g} s: lower survey_times to {fit}, or survey_stride or dt"
            )

    def smaller(self, **changes: Any) -> FlightConfig:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


__all__ = ["FlightConfig"]
