"""Which form the data support: one that is named, "cannot tell", or "none of these".

Candidates come from the form of a vector field (`form.py`); each is refitted to noisy data by shooting, and forms
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

from o2t_jax.errors import UsageError
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
FEW, FEWEST = 6000, 20  # observed numbers, and sequences at least, on which all forms are tried
FAR = 60.0
ROUGHLY = 1e-5  # of chi2: enough to compare forms
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
    """Refits to one set of data, each form once."""

    def __init__(
        self, data: Observed, layout: Layout, form: Form, noise: float | np.ndarray | None, varying: Sequence[str]
    ) -> None:
        self.data, self.form, self.varying = data, form, tuple(varying)
        self.equation = library(layout, data.actions.shape[-1])
        self.order = tuple(dict.fromkeys(term for term in self.equation.terms if term))
        self.noise = noise
        self.fits: dict[Terms, Fit] = {}

    def fit(self, terms: Terms, near: Fit | None = None, own: np.ndarray | None = None) -> Fit:
        """From the regression's coefficients (and `own` [S, F] where it is given), or from a fit known to be close."""
        if terms not in self.fits:
            start = self.form.regression.fit(self.ordered(terms))[0] if near is None else near.theta
            own = own if near is None else near.own
            self.fits[terms] = shooting.fit(
                self.equation, self.data, np.where(np.isfinite(start), start, 0.0), noise=self.noise,
                free=self.equation.free(self.ordered(terms)),
                varying=[self.equation.index(name) for name in self.varying],
                stages=shooting.STAGES if near is None else (1.0,), tolerance=ROUGHLY, restarts=0,
                own=own if own is not None and len(own) == len(self.data.states) else None,
            )  # fmt: skip
        return self.fits[terms]

    def bic(self, terms: Terms) -> float:
        return bic(self.fit(terms))

    def ordered(self, terms: Terms) -> tuple[str, ...]:
        return tuple(term for term in self.order if term in terms)

    def larger(self, terms: Terms) -> list[Terms]:
        return [terms | {term} for term in self.order if term not in terms]

    def neighbours(self, terms: Terms) -> list[Terms]:
        swaps = [terms - {old} | {new} for old in terms for new in self.order if new not in terms]
        return [terms - {term} for term in terms] + [some for some in swaps if "u" not in terms - some]

    def try_around(self, best: Terms) -> Terms:
        """The best of `best`, its neighbours and those of whatever is better."""
        while True:
            self.look_around(best)
            better = min(self.fits, key=self.bic)
            if self.bic(better) >= self.bic(best):
                return best
            best = better

    def look_around(self, terms: Terms) -> None:
        """Fits the form to the end, and its neighbours."""
        self.polish(terms)
        for some in self.larger(terms):
            self.fit(some, self.fits[terms])
        for some in self.neighbours(terms):
            self.fit(some, own=self.fits[terms].own)

    def polish(self, terms: Terms) -> None:
        """Fits the form to the end, so that its sequences are in their right minima; a fit is never made worse."""
        again = self.refitted(terms, self.noise)
        if again.chi2 < self.fits[terms].chi2:
            self.fits[terms] = again

    def best_of(self, form: Form) -> Terms:
        """The best of the candidates and their neighbours."""
        for terms in form.candidates:
            self.fit(frozenset(terms))
        return self.try_around(min(self.fits, key=self.bic))

    def refitted(self, terms: Terms, noise: float | np.ndarray | None = None) -> Fit:
        """The form's fit to the end, with this noise or its own estimate."""
        near = self.fits[terms]
        return shooting.fit(
            self.equation, self.data, near.theta, free=self.equation.free(self.ordered(terms)), noise=noise,
            varying=near.varying, stages=(1.0,), own=near.own,
        )  # fmt: skip

    def quieter(self, fits: Sequence[Fit]) -> bool:
        """Takes the least noise that one of the fits leaves; whether that is below the one so far, by 3 % or more."""
        tame = [np.asarray(one.noise) for one in fits if np.all(np.isfinite(one.noise)) and np.all(one.noise > 0)]
        if not tame:
            raise UsageError("no form follows the data over their sequences: cut them into shorter windows")
        least = min(tame, key=lambda one: float(np.sum(np.log(one))))
        if self.noise is not None and not np.mean(np.log(least / self.noise)) < -0.03:
            return False
        self.noise, self.fits = least, {}
        return True

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


def _on_all(few: _Search, everything: _Search, best: Terms) -> Terms:
    """The best form on all data, of `best`, what is larger by a term, and what was less than `FAR` behind on few."""
    while True:
        everything.fit(best, few.fit(best))
        everything.polish(best)
        for terms, fitted in few.fits.items():
            if few.bic(terms) - few.bic(best) < FAR:
                everything.fit(terms, fitted._replace(own=everything.fits[best].own))
        for terms in everything.larger(best):
            everything.fit(terms, everything.fits[best])
        better = min(everything.fits, key=everything.bic)
        if everything.bic(better) >= everything.bic(best):
            return best
        best = better  # each is better than the last one on all data, so this ends
        few.fit(best, everything.fits[best])
        few.look_around(best)


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
    known, sample = noise is not None, data.some(max(FEWEST, FEW // data.states[0].size))
    few = _Search(sample, layout, form, noise, varying)
    complete = frozenset(few.order)
    if not known:  # one noise for all forms, or their chi2 cannot be compared
        widest = [few.fit(frozenset(terms)) for terms in (complete, *form.candidates)]
        few.quieter(widest + ([shooting.fit(whole, sample)] if whole else []))
    actions = data.actions.shape[-1]
    if whole is not None:
        found = shooting.fit(whole, sample, noise=few.noise)
        if bic(found) + MARGIN < few.fit(complete).chi2:  # no choice of terms fits better than all of them
            found = shooting.fit(whole, data, found.theta, noise=few.noise)
            test = misfit(widened(whole, layout, actions), data, found, known)
            answer = NONE if test.p < LEVEL else "named"
            return Decision(answer, whole, (), found, {}, test, len(few.fits) + 1)
    best = few.best_of(form)
    while not known and few.quieter([few.refitted(best)]):
        best = few.best_of(form)
    search = few
    if len(data.states) > len(sample.states):
        search = _Search(data, layout, form, few.noise, varying)
        best = _on_all(few, search, best)
    rivals = search.rivals(best)
    final = search.refitted(best, few.noise)
    if whole is not None and bic(found) < few.bic(best) + MARGIN:
        rivals[(whole.name,)] = bic(found) - few.bic(best)
    test = misfit(widened(search.equation, layout, actions), data, final, known)
    answer = NONE if test.p < LEVEL else CANNOT_TELL if rivals else "named"
    return Decision(answer, search.equation, search.ordered(best), final, rivals, test, len(few.fits))


__all__ = ["CANNOT_TELL", "DOUBT", "LEVEL", "MARGIN", "NONE", "Decision", "bic", "decide"]
