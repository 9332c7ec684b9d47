"""Which law a stretch of a track shows: named, "cannot tell" with the candidates, or "none of these".

The criterion is half of BIC, with sightings counted as independent ones by the correlation of the best law's residuals:
an estimate of the logarithm of the evidence. A law is named where it leads each law that does not contain it by `LEAD`,
and none that contains it leads it by `LEAD`. Of one family (pendulums that differ in friction) the likeliest is named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from o2t_jax.evaluation.recordings import LAWS
from o2t_jax.evaluation.recordings.fitting import FLOOR, FREE, Fit, Pins, fit
from o2t_jax.evaluation.recordings.law import Points, Times
from o2t_jax.evaluation.recordings.plane import View

LEAD = 5.0  # in the logarithm of the evidence
CANNOT, NONE = "cannot tell", "none of these"
STRUCTURE = 2.5  # rms over the track's own jitter, from which residuals that are alike in neighbours are structure
ALIKE = 0.5  # correlation of neighbouring residuals
COARSE = 0.01  # of the path's extent: residuals below it are errors of the film, above it of the law
FAR, FINE = 10.0, 0.004  # times the jitter, from which a smaller share of the path is structure too
COARSEST = 0.1  # and above this they are so in any case


@dataclasses.dataclass(frozen=True, eq=False)
class Naming:
    """`verdict`, a law's name, `CANNOT` or `NONE`; `fits` by law, the best first, and their `behind` the best in log
    evidence; `candidates`, laws that are not ruled out; `reason`."""

    verdict: str
    fits: dict[str, Fit]
    behind: dict[str, float]
    candidates: tuple[str, ...]
    reason: str

    @property
    def named(self) -> bool:
        """Whether the verdict is a law."""
        return self.verdict not in (CANNOT, NONE)

    @property
    def best(self) -> Fit:
        """The fit of the named law, or of the likeliest."""
        return self.fits[self.verdict if self.verdict in self.fits else next(iter(self.fits))]

    @property
    def others(self) -> list[tuple[Fit, float]]:
        """Beside a named law: the other candidates, with how many times as likely as it they are."""
        names = [name for name in self.candidates if name != self.verdict and self.named]
        return [(self.fits[name], float(np.exp(self.behind[self.verdict] - self.behind[name]))) for name in names]


def name_law(
    times: Times,
    points: Points,
    sigma: Float[np.ndarray, " T"],
    jitter: float,
    view: View | None = None,
    pins: Pins = FREE,
    laws: Sequence[str] | None = None,
    sees: str = "place",
) -> Naming | None:
    """Fits all `laws` (of the registry; all by default) to the sightings on which the best one holds.

    Args: as `fitting.fit`; `sees`, what the sightings are of (`Law.sees`); `jitter` px of a
    sighting, measured without a law. Returns None where none fits at all.
    """
    chosen = [LAWS.get(name) for name in (laws or LAWS)]
    chosen = [law for law in chosen if law.sees == sees]
    found = [each for law in chosen if (each := fit(law, times, points, sigma, None, view, pins)) is not None]
    if not found:
        return None
    # The law that describes most sightings best says which are used; all laws are then compared on the same ones.
    first = min(found, key=lambda each: _criterion(each, each.kept, each.memory, True))
    kept = first.kept
    begun = {each.law.name: each.values for each in found}
    # From where the first search ended, if it began at the same sighting; a form that was lost there is tried anew.
    again = [fit(law, times, points, sigma, kept, view, pins, begun.get(law.name)) for law in chosen]
    fits = [each for each in again if each is not None]
    fits = fits or [first]
    memory = min(fits, key=lambda each: each.rms).memory
    score = {each.law.name: _criterion(each, kept, memory) for each in fits}
    fits.sort(key=lambda each: score[each.law.name])
    least = score[fits[0].law.name]
    behind = {each.law.name: score[each.law.name] - least for each in fits}
    by_name = {each.law.name: each for each in fits}
    near = [each.law for each in fits if behind[each.law.name] < LEAD]
    # A special case stands for what contains it, unless it is ruled out itself.
    plain = [law.name for law in near if not any(other.name in law.contains for other in near)]
    reason = structure(by_name[plain[0]], points, jitter)
    if reason:
        return Naming(NONE, by_name, behind, (), reason)
    if len(plain) > 1:
        reason = f"{' and '.join(plain)} are within {LEAD:g} in log evidence"
        family = by_name[plain[0]].law.family
        if family and all(by_name[name].law.family == family for name in plain):
            reason += f": it is a {family}, how it is damped cannot be told"
            return Naming(plain[0], by_name, behind, tuple(plain), reason)
        return Naming(CANNOT, by_name, behind, tuple(plain), reason)
    others = [name for name in behind if name != plain[0] and plain[0] not in by_name[name].law.contains]
    lead = min((behind[name] - behind[plain[0]] for name in others), default=np.inf)
    reason = f"leads by {lead:.1f} in log evidence" if np.isfinite(lead) else "no other form fits"
    if wider := [law.name for law in near if law.name != plain[0]]:
        reason += f"; {' and '.join(wider)} cannot be ruled out, and intervals allow for it"
    return Naming(plain[0], by_name, behind, tuple(law.name for law in near), reason)


def structure(found: Fit, points: Points, jitter: float) -> str:
    """Why the residuals of a fit are not chance; empty where they may be."""
    left = found.residuals[found.kept]
    extent = float(np.linalg.norm(np.ptp(points[found.kept], axis=0)))
    alike = float(np.sum(left[1:] * left[:-1]) / max(np.sum(left**2), 1e-300))
    share = found.rms / max(extent, 1e-9)
    if share > COARSEST:
        return f"the best form, {found.law.name}, leaves {100 * share:.0f} % of the path's extent"
    least = FINE if found.rms > FAR * jitter else COARSE
    if found.rms > STRUCTURE * jitter and alike > ALIKE and share > least:
        return (
            f"residuals of the best form, {found.law.name}, keep structure: rms {found.rms:.2g} px where sightings "
            f"jitter by {jitter:.2g} px, neighbours correlated by {alike:.2f}"
        )
    return ""


def _criterion(found: Fit, kept: np.ndarray, memory: float, all_rows: bool = False) -> float:
    """Half of BIC, with what priors say against the values.

    With `all_rows`, sightings that are not kept count as if they were off by five times the spread.
    """
    axes = found.residuals.shape[1]
    count = axes * int(kept.sum()) / memory
    mean = max(FLOOR, found.misfit) ** 2
    lost = axes * int((~kept).sum()) / memory if all_rows else 0
    misfit = (count + lost) * np.log(mean) + lost * 25 / 2 + found.penalty
    return 0.5 * (misfit + len(found.values) * np.log(max(count, 2.0)))


__all__ = ["CANNOT", "LEAD", "NONE", "Naming", "name_law", "structure"]
