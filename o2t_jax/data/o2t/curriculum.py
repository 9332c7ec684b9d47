"""The curriculum: the probabilities of the three modes and the range of n, by training step.

The guide's table (modes are those of `o2t_jax.geometry.para`):

| phase | guide's start | scaled start | DIS / VIEW / FUTURE | n of FUTURE |
|---|---|---|---|---|
| 1 | step 0 | 0 | 100 / 0 / 0 | - |
| 2 | 1,000 | 2% of the run | 50 / 50 / 0 | - |
| 3 | 10,000 | 8% | 20 / 50 / 30 | 1 to 2 |
| 4 | 50,000 | 25% | 10 / 10 / 80 | Gaussian, clipped: mean 3 -> 15, deviation 1 -> 8 over the phase |

Mean and deviation of the last phase are the guide's for n_max = 20 and scale with the config's n_max.
It governs both which samples are rendered and which are drawn (`o2t_jax.data.buffer`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from o2t_jax.config import unknown_choice
from o2t_jax.errors import UsageError
from o2t_jax.geometry.para import FUTURE, MODES

GUIDE_STARTS = (0, 1_000, 10_000, 50_000)
SCALED_STARTS = (0.0, 0.02, 0.08, 0.25)
_GUIDE_N_MAX = 20
_GAUSSIAN_MEAN = (3.0, 15.0)
_GAUSSIAN_DEVIATION = (1.0, 8.0)


@dataclass(frozen=True)
class ModeMix:
    """The curriculum at one step: how modes and n are drawn. Immutable, comparable, picklable.

    `probabilities` of (DIS, VIEW, FUTURE) sum to 1. A FUTURE sample's n lies in [n_low, n_high]: uniform, or with
    `gaussian` = (mean, deviation) in steps drawn from that normal, rounded and clipped.
    """

    probabilities: tuple[float, float, float]
    n_low: int = 1
    n_high: int = 1
    gaussian: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        p = self.probabilities
        if len(p) != len(MODES) or not all(0.0 <= x <= 1.0 for x in p) or abs(sum(p) - 1.0) > 1e-6:
            raise UsageError(f"probabilities {p} of {'/'.join(MODES)} must be three numbers of 0..1 that sum to 1")
        if not 1 <= self.n_low <= self.n_high:
            raise UsageError(f"the range of n is {self.n_low}..{self.n_high}; it needs 1 <= low <= high")

    @classmethod
    def only(cls, mode: int, n: int | None = None) -> ModeMix:
        """A mix of one mode alone, for a held-out set; FUTURE needs `n`."""
        if mode == FUTURE and n is None:
            raise UsageError("a mix of FUTURE alone needs n: give the number of steps to predict")
        probabilities = tuple(float(m == mode) for m in range(len(MODES)))
        return cls(probabilities, n or 1, n or 1)  # type: ignore[arg-type]

    def draw_mode(self, rng: np.random.Generator) -> int:
        """One of DIS, VIEW, FUTURE."""
        cumulative = np.cumsum(self.probabilities)
        return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))

    def draw_steps(self, rng: np.random.Generator, mode: int, k_min: int, k_max: int, n_max: int) -> tuple[int, int]:
        """(k, n) of one sample: n = 0 except in FUTURE, where k < n <= n_max (n > k: else nothing is predicted).

        A uniform range gives k in [k_min, k_max] below n_high, then n in [max(n_low, k + 1), n_high]. Where the
        range ends at or below k_min (the guide's n of 1 to 2 beside a k of 4 to 8), it counts from k instead:
        n is 1 to `n_high - n_low + 1` steps after the second pair of pictures.
        """
        if mode != FUTURE:
            return int(rng.integers(k_min, k_max + 1)), 0
        if self.n_high <= k_min:
            k = int(rng.integers(k_min, k_max + 1))
            return k, min(k + int(rng.integers(1, self.n_high - self.n_low + 2)), n_max)
        k = int(rng.integers(k_min, min(k_max, self.n_high - 1) + 1))
        if self.gaussian is None:
            return k, min(int(rng.integers(max(self.n_low, k + 1), self.n_high + 1)), n_max)
        mean, deviation = self.gaussian
        n = int(np.rint(rng.normal(mean, deviation)))
        return k, min(max(n, self.n_low, k + 1), self.n_high, n_max)


@dataclass(frozen=True)
class Phase:
    """One row of the table: from step `start` on. `gaussian`: ((mean, deviation) at its start, at the run's end)."""

    start: int
    probabilities: tuple[float, float, float]
    n_low: int = 1
    n_high: int = 1
    gaussian: tuple[tuple[float, float], tuple[float, float]] | None = None

    def label(self) -> str:
        mix = "/".join(f"{100 * p:.0f}" for p in self.probabilities)
        if not self.probabilities[FUTURE]:
            return mix
        kind = " Gaussian" if self.gaussian else ""
        return f"{mix}, n {self.n_low}-{self.n_high}{kind}"


@dataclass(frozen=True)
class Curriculum:
    """The whole schedule of a run of `train_steps` steps. `at(step)` is a pure function of the step."""

    phases: tuple[Phase, ...]
    train_steps: int

    def __post_init__(self) -> None:
        if self.train_steps < 1:
            raise UsageError(f"train_steps={self.train_steps} must be at least 1")
        starts = [phase.start for phase in self.phases]
        if not starts or starts[0] != 0 or starts != sorted(starts):
            raise UsageError(f"the curriculum's phases start at steps {starts}; they must start at 0 and not decrease")

    @classmethod
    def guide(cls, train_steps: int, n_max: int) -> Curriculum:
        """The guide's phases at the guide's steps."""
        return cls(_guide_phases(GUIDE_STARTS, n_max), train_steps)

    @classmethod
    def scaled(cls, train_steps: int, n_max: int) -> Curriculum:
        """The guide's phases at 0, 2, 8 and 25% of `train_steps` (rounded up)."""
        starts = tuple(math.ceil(share * train_steps) for share in SCALED_STARTS)
        return cls(_guide_phases(starts, n_max), train_steps)

    @classmethod
    def no_view(cls, train_steps: int, n_max: int) -> Curriculum:
        """As `scaled`, with DIS in the place of VIEW: an ablation."""
        curriculum = cls.scaled(train_steps, n_max)
        phases = [
            dataclasses.replace(phase, probabilities=(dis + view, 0.0, future))
            for phase in curriculum.phases
            for dis, view, future in [phase.probabilities]
        ]
        return dataclasses.replace(curriculum, phases=tuple(phases))

    @classmethod
    def named(cls, name: str, train_steps: int, n_max: int) -> Curriculum:
        """`name` is a config's `curriculum` field: 'guide', 'scaled' or 'no_view'. Raises UsageError otherwise."""
        builders = {"guide": cls.guide, "scaled": cls.scaled, "no_view": cls.no_view}
        if name not in builders:
            raise unknown_choice("curriculum", name, builders)
        return builders[name](train_steps, n_max)

    @property
    def n_max(self) -> int:
        """The largest n that any phase can draw."""
        return max(phase.n_high for phase in self.phases)

    def phase_index(self, step: int) -> int:
        """Which phase (from 0) holds at `step`: the last one that has started."""
        return max(i for i, phase in enumerate(self.phases) if phase.start <= max(step, 0))

    def at(self, step: int) -> ModeMix:
        """The mix at `step`; past the run's end it stays that of the last step."""
        phase = self.phases[self.phase_index(step)]
        gaussian = None
        if phase.gaussian is not None:
            span = max(self.train_steps - 1 - phase.start, 1)
            done = min(max(step - phase.start, 0) / span, 1.0)
            (mean_0, deviation_0), (mean_1, deviation_1) = phase.gaussian
            gaussian = (mean_0 + done * (mean_1 - mean_0), deviation_0 + done * (deviation_1 - deviation_0))
        return ModeMix(phase.probabilities, phase.n_low, phase.n_high, gaussian)

    def expected_fractions(self, first: int, last: int) -> np.ndarray:
        """Mean mode probabilities [3] over the steps [first, last): what realised fractions are compared with."""
        return np.mean([self.at(s).probabilities for s in range(first, last)], axis=0)

    def describe(self) -> str:
        """One line a phase: its steps, DIS/VIEW/FUTURE in percent, n."""
        ends = [phase.start for phase in self.phases[1:]] + [max(self.train_steps, self.phases[-1].start)]
        lines = []
        for i, (phase, end) in enumerate(zip(self.phases, ends, strict=True), start=1):
            reached = self._reached(i - 1)
            lines.append(
                f"phase {i}: steps {phase.start}-{min(end, self.train_steps)}: {phase.label()}"
                if reached
                else f"phase {i}: not reached: {phase.label()}"
            )
        return "\n".join(lines)

    def warning(self) -> str:
        """One line that names the phases which this run never reaches; empty when it reaches all."""
        missed = [f"{i + 1} ({phase.label()})" for i, phase in enumerate(self.phases) if not self._reached(i)]
        if not missed:
            return ""
        word = "phase" if len(missed) == 1 else "phases"
        return (
            f"train_steps={self.train_steps}: the curriculum never reaches its {word} {' and '.join(missed)}; "
            "raise train_steps or choose curriculum=scaled"
        )

    def _reached(self, i: int) -> bool:
        end = self.phases[i + 1].start if i + 1 < len(self.phases) else self.train_steps
        return self.phases[i].start < min(end, self.train_steps)


def _guide_phases(starts: tuple[int, ...], n_max: int) -> tuple[Phase, ...]:
    if n_max < 1:
        raise UsageError(f"n_max={n_max} must be at least 1")
    scale = n_max / _GUIDE_N_MAX
    begin, end = ((scale * m, scale * d) for m, d in zip(_GAUSSIAN_MEAN, _GAUSSIAN_DEVIATION, strict=True))
    return (
        Phase(starts[0], (1.0, 0.0, 0.0)),
        Phase(starts[1], (0.5, 0.5, 0.0)),
        Phase(starts[2], (0.2, 0.5, 0.3), 1, min(2, n_max)),
        Phase(starts[3], (0.1, 0.1, 0.8), 1, n_max, (begin, end)),
    )
