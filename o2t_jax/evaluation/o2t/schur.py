"""Gauss-Newton steps where each of S tracks has unknowns of its own beside the law's, which are eliminated first.

Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., A6.3 (Schur complement).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Eliminated(NamedTuple):
    """The normal equations of L unknowns of the law after elimination of the states: `normal` [L, L]; `pull` [S, L],
    each track's part in the right-hand side. `residual`, `by_law` and the pseudo-`inverse` of `by_state`, as given."""

    normal: np.ndarray
    pull: np.ndarray
    residual: np.ndarray
    by_law: np.ndarray
    inverse: np.ndarray

    def state_step(self, law_step: np.ndarray) -> np.ndarray:
        """Steps [S, 6] of the states where the law makes `law_step` [L]."""
        return np.einsum("sir,sr->si", self.inverse, self.residual - self.by_law @ law_step)


def eliminate_states(residual: np.ndarray, by_state: np.ndarray, by_law: np.ndarray) -> Eliminated:
    """Of whitened `residual` [S, R] and derivatives [S, R, 6], [S, R, L] of the prediction."""
    inverse = np.linalg.pinv(by_state)
    rest = residual - np.einsum("sri,si->sr", by_state, np.einsum("sir,sr->si", inverse, residual))
    law_rest = by_law - by_state @ (inverse @ by_law)
    normal = np.einsum("srp,srq->pq", law_rest, law_rest)
    return Eliminated(normal, np.einsum("srp,sr->sp", law_rest, rest), residual, by_law, inverse)


def gauss_newton(
    residual: np.ndarray, by_state: np.ndarray, by_law: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One Gauss-Newton step: of the states [S, 6] and of the law [L]; then `Eliminated.normal` and `.pull`."""
    found = eliminate_states(residual, by_state, by_law)
    law_step = np.linalg.solve(found.normal, found.pull.sum(axis=0))
    return found.state_step(law_step), law_step, found.normal, found.pull
