"""Which form the data support: one that is named, "cannot tell", or "none of these".

Candidates come from the form of a vector field (`form.py`); each is refitted to the noisy data by shooting, and forms
that differ by one term from the best are tried until none is better. A form is named where
- every form without one of its terms is worse by `MARGIN` in BIC (10: very strong, Kass & Raftery 1995),
- no form with one term more would lower chi2 by `DOUBT` or more (9: three standard deviations),
- the residuals have no structure left (`misfit.py`, level 0.001).
Where only the last fails, the answer is "none of these"; where another does, "cannot tell", with the rivals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from o2t_jax.evaluation.dynamics.law import shooting
from o2t_jax.evaluation.dynamics.law.form import Form
from o2t_jax.evaluation.dynamics.law.misfit import Misfit, misfit
from o2t_jax.evaluation.dynamics.law.shooting import Fit, Observed
from o2t_jax.evaluation.dynamics.law.terms import library
from o2t_jax.physics.environment import Layout

MARGIN = 10.0
DOUBT = 9.0
LEVEL = 1e-3
CANNOT_TELL = "cannot tell"
NONE = "none of these"
Terms = frozenset[str]


@dataclasses.dataclass(frozen=True)
class Decision:
    """`answer`: "named", "cannot tell" or "none of these"; `terms`, of the best form, and its `fit`; `rivals`: terms ->
    how much their BIC is above the best's; `misfit` of the best; `tried`, forms refitted."""

    answer: str
    terms: tuple[str, ...]
    fit: Fit
    rivals: dict[tuple[str, ...], float]
    misfit: Misfit
    tried: int


class _Search:
    """Refits, each form once."""

    def __init__(
        self, data: Observed, layout: Layout, form: Form, noise: float | np.ndarray | None, varying: Sequence[str]
    ) -> None:
        self.data, self.form, self.varying = data, form, tuple(varying)
        self.equation = library(layout, data.actions.shape[-1])
        self.order = tuple(dict.fromkeys(term for term in self.equation.terms if term))
        self.noise = noise
        self.fits: dict[Terms, Fit] = {}

    def fit(self, terms: Terms, start: np.ndarray | None = None) -> Fit:
        if terms not in self.fits:
            free = self.equation.free(self.ordered(terms))
            start = self.form.regression.fit(self.ordered(terms))[0] if start is None else start
            varying = [self.equation.index(name) for name in self.varying]
            start = np.where(np.isfinite(start), start, 0.0)
            self.fits[terms] = shooting.fit(
                self.equation, self.data, start, free=free, varying=varying, noise=self.noise
            )
        return self.fits[terms]

    def bic(self, terms: Terms) -> float:
        """chi2 and its penalty: for a parameter of all the log of all observations, of one sequence of its own."""
        found = self.fit(terms)
        count, per = found.residuals.size, found.residuals[0].size
        own = len([name for name in self.varying if name in terms])
        value = found.chi2 + found.free.sum() * np.log(count) + len(found.own) * own * np.log(per)
        return float(value) if np.isfinite(value) else np.inf

    def ordered(self, terms: Terms) -> tuple[str, ...]:
        return tuple(term for term in self.order if term in terms)

    def neighbours(self, terms: Terms) -> list[Terms]:
        found = [terms - {term} for term in terms] + [terms | {term} for term in self.order if term not in terms]
        swaps = [terms - {old} | {new} for old in terms for new in self.order if new not in terms]
        return found + [some for some in swaps if "u" not in terms - some]

    def try_all(self, forms: Sequence[Terms], best: Terms | None) -> None:
        for terms in forms:
            grows = best is not None and terms > best
            self.fit(terms, self.fits[best].theta if grows and best is not None else None)


def decide(
    data: Observed, layout: Layout, form: Form, *, noise: float | np.ndarray | None = None, varying: Sequence[str] = ()
) -> Decision:
    """Refits the candidates of `form` and their neighbours to `data`, and says what the data support.

    Args: `noise`, the standard deviation of observations, a number or [D]; None: that which the best form leaves;
    `varying`, names of library parameters of which each sequence has its own value (such as "v").
    """
    search = _Search(data, layout, form, noise, varying)
    known = noise is not None
    search.try_all([frozenset(terms) for terms in form.candidates[:1]], None)
    if not known:  # one noise for all forms, or their chi2 cannot be compared
        whole = search.fit(frozenset(search.order))
        search.noise = whole.noise
        search.fits.clear()
    search.try_all([frozenset(terms) for terms in form.candidates], None)
    best = min(search.fits, key=search.bic)
    while True:
        search.try_all(search.neighbours(best), best)
        better = min(search.fits, key=search.bic)
        if search.bic(better) >= search.bic(best):
            break
        best = better
    rivals = {}
    for terms, found in search.fits.items():
        above = search.bic(terms) - search.bic(best)
        if terms > best:
            if search.fits[best].chi2 - found.chi2 >= DOUBT and len(terms) == len(best) + 1:
                rivals[search.ordered(terms)] = above
        elif terms != best and above < MARGIN:
            rivals[search.ordered(terms)] = above
    wide = library(layout, data.actions.shape[-1], outside=True)
    test = misfit(wide, data, search.fits[best], known)
    answer = NONE if test.p < LEVEL else CANNOT_TELL if rivals else "named"
    return Decision(answer, search.ordered(best), search.fits[best], rivals, test, len(search.fits))


__all__ = ["CANNOT_TELL", "DOUBT", "LEVEL", "MARGIN", "NONE", "Decision", "decide"]
