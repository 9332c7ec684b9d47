"""One collision of two discs as a whole: both slide, meet at one instant, and slide on.

Free are the instant, both places and velocities there, the mass ratio q = m2 / m1, the restitution e, the tangential
impulse, and the friction with the table. With n from disc 1 to disc 2 at the instant and u = (v1 - v2) . n, per m1:

    J = (1 + e) u q / (1 + q),   v1' = v1 - J n - P t,   v2' = v2 + (J n + P t) / q

so momentum is kept whole, along the line of centres and across it (P is what rubbing discs exchange). One deceleration
a holds for all stretches but for deviations with a prior: on each, the acceleration along and across the path differs
by `uneven` a, one standard deviation. They stand for what is not Coulomb friction on a level table seen by an ideal
camera: friction that changes with speed, spin or place, a slope, a lens.

Intervals are those of the profile likelihood: q, e and friction each in turn held, all else fitted again. A linearised
covariance, or a bootstrap of linear steps, fails where a disc stands nearly still after the collision, the usual case
of equal discs that meet head-on: its path then changes with the square of its velocity. Noise is that of the residuals,
whose correlation (a tracker's errors are alike from frame to frame) counts as `memory`. How far a value moves with
shorter stretches is added in quadrature (`pooled.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from o2t_jax.evaluation.discs.sliding import FEWEST, Stretch, displacement, minimise

INSTANT, FIRST, SECOND, VELOCITY_1, VELOCITY_2 = 0, slice(1, 3), slice(3, 5), slice(5, 7), slice(7, 9)
RATIO, RESTITUTION, TANGENT, FRICTION = 9, 10, 11, 12  # RATIO is of ln q
DEVIATIONS = 13  # from here on, two for each stretch that slides: along and across, in standard deviations
UNEVEN = 0.15
SHORTER = (0.8, 0.64)  # shares of the stretches; how long one holds is a choice that noise has a part in


@dataclasses.dataclass(frozen=True)
class Encounter:
    """A fitted collision in units of `length` and `time`, with its contact near time 0.

    Attributes: `stretches` of both discs; `deviation`, that of a stretch's acceleration for one standard deviation;
    `values` [P] in the order of the names above; `chi2` there, of `spare` degrees of freedom; `choice` [P], how far
    values move where the stretches are cut to `SHORTER` (root mean square).
    """

    stretches: tuple[Stretch, ...]
    length: float
    time: float
    deviation: float
    values: np.ndarray
    chi2: float
    spare: float
    choice: np.ndarray

    @property
    def scale(self) -> float:
        """How much larger the errors are than the noise of the stretches says: 1 where all fit together."""
        return float(np.sqrt(max(1.0, self.chi2 / self.spare)))

    @property
    def normal(self) -> np.ndarray:
        """[2], from disc 1 to disc 2 at contact."""
        across = self.values[SECOND] - self.values[FIRST]
        return across / np.hypot(*across)

    def after(self) -> tuple[np.ndarray, np.ndarray]:
        """Both velocities [2] after the contact."""
        first, second = _after(self.values[None])
        return first[0], second[0]

    def paths(self, times: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Places [n, 2] of the fit in each stretch at its `times` [n]."""
        places = _predicted(self.stretches, self.deviation, self.values[None], times)[0]
        return np.split(places, np.cumsum([len(when) for when in times])[:-1])

    def profile(self, which: int) -> Callable[[float], float]:
        """x -> least chi2 with parameter `which` held at x, over scale^2. Calls near one another are the quickest."""
        residuals = _residuals(self.stretches, self.deviation)
        free = np.delete(np.arange(len(self.values)), which)
        known = {float(self.values[which]): (self.values, self.chi2)}

        def least(x: float) -> float:
            if x in known:
                return known[x][1] / self.scale**2
            start = known[min(known, key=lambda other: abs(other - x))][0]

            def reduced(some: np.ndarray) -> np.ndarray:
                whole = np.full((len(some), len(self.values)), x)
                whole[:, free] = some
                return residuals(whole)

            found, left = minimise(reduced, start[free])
            known[x] = np.insert(found, which, x), float(np.sum(left**2))
            return known[x][1] / self.scale**2

        return least


def fit_encounter(stretches: Sequence[Stretch], length: float, time: float, uneven: float = UNEVEN) -> Encounter:
    """The likeliest collision; `stretches`: disc 0 before and after, disc 1 too, in units of `length` and `time`."""
    start = _start(stretches)
    deviation = uneven * abs(float(start[FRICTION]))
    values, left = minimise(_residuals(stretches, deviation), start)
    samples = sum(2 * len(stretch.times) / stretch.memory for stretch in stretches)
    spare = max(1.0, samples - DEVIATIONS)  # each deviation comes with a prior
    moved = []
    for share in SHORTER:
        cut = [_cut(stretch, share) for stretch in stretches]
        moved.append(minimise(_residuals(cut, deviation), values)[0] - values)
    choice = np.sqrt(np.mean(np.square(moved), axis=0))
    return Encounter(tuple(stretches), length, time, deviation, values, float(np.sum(left**2)), spare, choice)


def _cut(stretch: Stretch, share: float) -> Stretch:
    """Its samples nearest to the contact."""
    count = max(FEWEST, int(share * len(stretch.times)))
    return stretch._replace(times=stretch.times[:count], places=stretch.places[:count])


def _start(stretches: Sequence[Stretch]) -> np.ndarray:
    """From the motions of the stretches by themselves."""
    by = {(s.disc, s.side): s.motion for s in stretches}
    places = [0.5 * (by[disc, -1][:2] + by[disc, 1][:2]) for disc in (0, 1)]
    across = places[1] - places[0]
    n = across / np.hypot(*across)
    t = np.array([-n[1], n[0]])
    change = [by[disc, 1][2:4] - by[disc, -1][2:4] for disc in (0, 1)]
    ratio = np.hypot(*change[0]) / np.hypot(*change[1])
    before = (by[0, -1][2:4] - by[1, -1][2:4]) @ n
    apart = (by[1, 1][2:4] - by[0, 1][2:4]) @ n
    restitution = np.clip(apart / before, 0.0, 1.2) if before > 0 else 0.5
    # A disc that hardly moves tells no deceleration.
    sliding = [s for s in stretches if s.slides]
    way = np.array([np.hypot(*s.motion[2:4]) * np.ptp(s.times) for s in sliding])
    friction = float(np.average([s.motion[4] for s in sliding], weights=way**2 + 1e-12))
    contact = [np.log(ratio), restitution, -float(change[0] @ t), friction]
    velocities = [by[0, -1][2:4], by[1, -1][2:4]]
    return np.concatenate([np.zeros(1), *places, *velocities, np.array(contact), np.zeros(2 * len(sliding))])


def _after(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Velocities [B, 2] of both discs after the contact."""
    across = values[:, SECOND] - values[:, FIRST]
    n = across / (np.linalg.norm(across, axis=1, keepdims=True) + 1e-12)
    t = np.stack([-n[:, 1], n[:, 0]], axis=1)
    v1, v2 = values[:, VELOCITY_1], values[:, VELOCITY_2]
    ratio = np.exp(np.clip(values[:, RATIO], -20, 20))
    approach = np.sum((v1 - v2) * n, axis=1)
    size = (1 + values[:, RESTITUTION]) * approach * ratio / (1 + ratio)
    impulse = size[:, None] * n + values[:, TANGENT, None] * t
    return v1 - impulse, v2 + impulse / ratio[:, None]


def _predicted(
    stretches: Sequence[Stretch], deviation: float, values: np.ndarray, times: Sequence[np.ndarray]
) -> np.ndarray:
    """Places [B, N, 2] at the `times` [n] of each stretch, one after the other, by rows of parameters [B, P]."""
    after = _after(values)
    places, velocities, along, across = [], [], [], []
    free, none = DEVIATIONS, np.zeros(len(values))
    for stretch in stretches:
        before = values[:, VELOCITY_2 if stretch.disc else VELOCITY_1]
        places.append(values[:, SECOND if stretch.disc else FIRST])
        velocities.append(before if stretch.side < 0 else after[stretch.disc])
        along.append(values[:, FRICTION] + deviation * values[:, free] if stretch.slides else none)
        across.append(deviation * values[:, free + 1] if stretch.slides else none)
        free += 2 * stretch.slides
    # One call for all samples, each with the motion of its stretch: calls are what costs here.
    of = np.repeat(np.arange(len(stretches)), [len(when) for when in times])
    place, velocity, a, b = (np.stack(one, axis=1)[:, of] for one in (places, velocities, along, across))
    elapsed = np.concatenate(times) - values[:, INSTANT, None]
    return place + displacement(velocity, a, b, elapsed[..., None])[:, :, 0]


def _residuals(stretches: Sequence[Stretch], deviation: float) -> Callable[[np.ndarray], np.ndarray]:
    """Rows of parameters [B, P] -> residuals [B, N] of unit variance at long times, and the deviations.

    All that is asked changes slowly along a stretch, so correlated errors count as fewer independent ones: their
    standard deviation is multiplied by the root of the memory.
    """
    times = [stretch.times for stretch in stretches]
    seen = np.concatenate([stretch.places for stretch in stretches])
    noise = np.concatenate([np.full((len(s.times), 1), s.noise * np.sqrt(s.memory)) for s in stretches])

    def left(values: np.ndarray) -> np.ndarray:
        misses = (_predicted(stretches, deviation, values, times) - seen) / noise
        return np.concatenate([values[:, DEVIATIONS:], misses.reshape(len(values), -1)], axis=1)

    return left


__all__ = ["DEVIATIONS", "FRICTION", "RATIO", "RESTITUTION", "TANGENT", "UNEVEN", "Encounter", "fit_encounter"]
