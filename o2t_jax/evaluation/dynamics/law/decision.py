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
from o2t_jax.evaluation.dynamics.law.equations import Equation
from o2t_jax.evaluation.dynamics.law.form import Form
from o2t_jax.evaluation.dynamics.law.misfit import Misfit, misfit
from o2t_jax.evaluation.dynamics.law.shooting import Fit, Observed
from o2t_jax.evaluation.dynamics.law.terms import library, widened
from o2t_jax.physics.environment import Layout

MARGIN = 10.0
DOUBT = 9.0
LEVEL = 1e-3
CANNOT_TELL = "cannot tell"
NONE = "none of these"
Terms = frozenset[str]


@dataclasses.dataclass(frozen=True)
class Decision:
    """`answer`: "named", "cannot tell" or "none of these"; `equation` of the best form, `terms` (of the library; empty
    where a whole equation is best) and its `fit`; `rivals`: terms -> how much their BIC is above the best's; `misfit`
    of the best; `tried`, forms refitted."""

    answer: str
    equation: Equation
    terms: tuple[str, ...]
    fit: Fit
    rivals: dict[tuple[str, ...], float]
    misfit: Misfit
    tried: int


def bic(found: Fit) -> float:
    """chi2 and its penalty: for a parameter of all the log of all observations, of one sequence the log of its own."""
    count, per = found.residuals.size, found.residuals[0].size
    own = found.own.shape[1] - found.residuals.shape[-1] if found.varies else 0
    value = found.chi2 + found.free.sum() * np.log(count) + len(found.own) * own * np.log(per)
    return float(value) if np.isfinite(value) else np.inf


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
        return bic(self.fit(terms))

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

    def best_of(self, form: Form) -> Terms:
        """The form of the least BIC: the candidates, then neighbours of the best until none is better."""
        self.try_all([frozenset(terms) for terms in form.candidates], None)
        best = min(self.fits, key=self.bic)
        while True:
            self.try_all(self.neighbours(best), best)
            better = min(self.fits, key=self.bic)
            if self.bic(better) >= self.bic(best):
                return best
            best = better

    def rivals(self, best: Terms) -> dict[tuple[str, ...], float]:
        """Forms that the data do not rule out beside `best`, and how much their BIC is above its."""
        found = {}
        for terms, fitted in self.fits.items():
            above = self.bic(terms) - self.bic(best)
            larger = terms > best
            doubtful = len(terms) == len(best) + 1 and self.fits[best].chi2 - fitted.chi2 >= DOUBT
            if terms != best and (doubtful if larger else above < MARGIN):
                found[self.ordered(terms)] = above
        return found


def decide(
    data: Observed,
    layout: Layout,
    form: Form,
    *,
    noise: float | np.ndarray | None = None,
    varying: Sequence[str] = (),
    whole: Equation | None = None,
) -> Decision:
    """Refits the candidates of `form` and their neighbours to `data`, and says what the data support.

    Args: `noise`, the standard deviation of observations, a number or [D]; None: that which the best form leaves;
    `varying`, names of library parameters of which each sequence has its own value (such as "v"); `whole`, an equation
    that is no sum of terms and competes with them (such as `worlds.DOUBLE_PENDULUM`).
    """
    search = _Search(data, layout, form, noise, varying)
    known, everything = noise is not None, frozenset(search.order)
    if not known:  # one noise for all forms, or their chi2 cannot be compared
        widest = [search.fit(everything)] + ([shooting.fit(whole, data)] if whole else [])
        search.noise = min((found.noise for found in widest), key=lambda one: float(np.sum(np.log(one))))
        search.fits.clear()
    actions = data.actions.shape[-1]
    if whole is not None:
        found = shooting.fit(whole, data, noise=search.noise)
        if bic(found) + MARGIN < search.fit(everything).chi2:  # no choice of terms fits better than all of them
            test = misfit(widened(whole, layout, actions), data, found, known)
            answer = NONE if test.p < LEVEL else "named"
            return Decision(answer, whole, (), found, {}, test, len(search.fits) + 1)
    best = search.best_of(form)
    rivals = search.rivals(best)
    if whole is not None and bic(found) < search.bic(best) + MARGIN:
        rivals[(whole.name,)] = bic(found) - search.bic(best)
    test = misfit(widened(search.equation, layout, actions), data, search.fits[best], known)
    answer = NONE if test.p < LEVEL else CANNOT_TELL if rivals else "named"
    return Decision(answer, search.equation, search.ordered(best), search.fits[best], rivals, test, len(search.fits))


__all__ = ["CANNOT_TELL", "DOUBT", "LEVEL", "MARGIN", "NONE", "Decision", "bic", "decide"]
