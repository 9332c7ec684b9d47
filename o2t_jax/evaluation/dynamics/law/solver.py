"""The solver behind shooting: residuals of sequences, their normal equations, Levenberg-Marquardt on all at once.

What belongs to one sequence (its initial state, parameters that vary from sequence to sequence) is eliminated by a
Schur complement, so a step costs the same per sequence however many there are. Sources: Nocedal & Wright, Numerical
Optimization, 2nd ed., 10.3; Golub & Pereyra 1973 for the elimination.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from o2t_jax.evaluation.dynamics.law.equations import Equation, trajectory

ITERATIONS = 25
TOLERANCE = 1e-8
_TINY = 1e-12


def merged(theta: Any, own: Any, free_own: Any, varying: tuple[int, ...], size: int) -> jax.Array:
    """One sequence's parameters [P]: its own values at `varying`, where these terms act (`free_own` [V])."""
    for slot, index in enumerate(varying):
        theta = theta.at[index].set(jnp.where(free_own[slot], own[size + slot], theta[index]))
    return theta


def normal_equations(equation: Equation, varying: tuple[int, ...], inner: int) -> Any:
    """Function of one sequence: residuals, and the blocks of its normal equations."""

    def residual(theta: Any, own: Any, free_own: Any, states: Any, actions: Any, dt: Any, weight: Any) -> Any:
        size = states.shape[-1]
        values = merged(theta, own, free_own, varying, size)
        path = trajectory(equation.rates, own[:size], actions, values, dt, inner)
        return ((states - path) * weight).reshape(-1)

    def blocks(theta: Any, own: Any, free: Any, free_own: Any, *data: Any) -> Any:
        count = theta.shape[0]

        def both(joint: Any) -> Any:
            value = residual(joint[:count], joint[count:], free_own, *data)
            return value, value

        jacobian, value = jax.jacfwd(both, has_aux=True)(jnp.concatenate([theta, own]))
        keep = jnp.concatenate([free, jnp.ones(own.shape[0] - len(varying)), free_own])
        jacobian = -jacobian * keep
        shared, single = jacobian[:, :count], jacobian[:, count:]
        return value, (shared.T @ shared, shared.T @ single, single.T @ single, shared.T @ value, single.T @ value)

    return residual, blocks


def ready(matrix: Any) -> Any:
    """Ones on the diagonal of rows that are zero, so that fixed parameters stay."""
    diagonal = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    return matrix + jnp.where(diagonal <= _TINY, 1.0, 0.0)[..., None] * jnp.eye(matrix.shape[-1])


def eliminated(blocks: Any) -> tuple[jax.Array, jax.Array]:
    """Score [S, P] and information [S, P, P] of the shared parameters, the sequences' own ones eliminated."""
    shared, cross, single, score, own_score = blocks
    solved = jnp.linalg.solve(ready(single), jnp.concatenate([cross.swapaxes(-1, -2), own_score[..., None]], -1))
    information = shared - cross @ solved[..., :-1]
    return score - (cross @ solved[..., -1:])[..., 0], information


@functools.partial(jax.jit, static_argnames=("equation", "varying", "inner", "iterations"))
def minimise(
    theta: Any, own: Any, free: Any, states: Any, actions: Any, dt: Any, weight: Any, tolerance: Any = TOLERANCE, *,
    equation: Equation, varying: tuple[int, ...], inner: int, iterations: int,
) -> Any:  # fmt: skip
    """Levenberg-Marquardt; returns theta, own, chi2 and the last relative drop. `weight` [T + 1, D], 1 / noise or 0.

    It ends where chi2 drops by less than `tolerance` of itself.
    """
    free_own = free[jnp.array(varying, int)]
    shared_free = free.at[jnp.array(varying, int)].set(0.0)
    residual, blocks = normal_equations(equation, varying, inner)
    data = (states, actions, dt, weight)
    axes = (0, 0, None, None)
    of_all = jax.vmap(residual, (None, 0, None, *axes))
    blocks_of_all = jax.vmap(blocks, (None, 0, None, None, *axes))

    def body(now: Any) -> Any:
        theta, own, chi2, damp, _, step = now
        shared, cross, single, score, own_score = blocks_of_all(theta, own, shared_free, free_own, *data)[1]
        single = ready(single)
        single = single + damp * jnp.eye(single.shape[-1]) * jnp.diagonal(single, axis1=-2, axis2=-1)[:, None, :]
        solved = jnp.linalg.solve(single, jnp.concatenate([cross.swapaxes(-1, -2), own_score[..., None]], -1))
        total = jnp.sum(shared, 0)
        matrix = ready(total + damp * jnp.diag(jnp.diagonal(total)) - jnp.sum(cross @ solved[..., :-1], 0))
        move = jnp.linalg.solve(matrix, jnp.sum(score - (cross @ solved[..., -1:])[..., 0], 0))
        own_move = solved[..., -1] - solved[..., :-1] @ move
        tried, own_tried = theta + move, own + own_move
        reached = jnp.sum(of_all(tried, own_tried, free_own, *data) ** 2)
        better = reached < chi2  # False for NaN
        drop = jnp.where(better, (chi2 - reached) / jnp.maximum(chi2, _TINY), 1.0)
        keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        damp = jnp.where(better, jnp.maximum(damp * 0.1, 1e-9), damp * 8.0)
        return keep(tried, theta), keep(own_tried, own), keep(reached, chi2), damp, drop, step + 1

    def going(now: Any) -> Any:
        _, _, _, damp, drop, step = now
        return (step < iterations) & (drop > tolerance) & (damp < 1e8)

    chi2 = jnp.sum(of_all(theta, own, free_own, *data) ** 2)
    chi2 = jnp.where(jnp.isfinite(chi2), chi2, jnp.inf)
    first = (theta, own, chi2, jnp.asarray(1e-3, chi2.dtype), jnp.ones_like(chi2), jnp.zeros((), int))
    theta, own, chi2, damp, drop, _ = jax.lax.while_loop(going, body, first)
    # Where no step helps down to vanishing ones, the optimum is reached to rounding.
    return theta, own, chi2, jnp.where(damp >= 1e8, 0.0, drop)


@functools.partial(jax.jit, static_argnames=("equation", "varying", "inner"))
def at_point(
    theta: Any, own: Any, free: Any, states: Any, actions: Any, dt: Any, weight: Any, *, equation: Equation,
    varying: tuple[int, ...], inner: int,
) -> Any:  # fmt: skip
    """Residuals, scores and information [S, ...] at a point."""
    free_own = free[jnp.array(varying, int)]
    shared_free = free.at[jnp.array(varying, int)].set(0.0)
    _, blocks = normal_equations(equation, varying, inner)
    value, parts = jax.vmap(blocks, (None, 0, None, None, 0, 0, None, None))(
        theta, own, shared_free, free_own, states, actions, dt, weight
    )
    return (value, *eliminated(parts))


@functools.partial(jax.jit, static_argnames=("equation", "varying", "inner", "iterations"))
def minimise_each(
    theta: Any, own: Any, free: Any, states: Any, actions: Any, dt: Any, weight: Any, **static: Any
) -> tuple[jax.Array, jax.Array]:
    """As `minimise`, every sequence by itself with a damping of its own and theta held: own [S, F] and chi2 [S]."""

    def alone(one: Any, seen: Any, acted: Any) -> Any:
        return minimise(theta, one[None], free, seen[None], acted[None], dt, weight, **static)

    _, own, chi2, _ = jax.vmap(alone)(own, states, actions)
    return own[:, 0], chi2


__all__ = [
    "ITERATIONS",
    "TOLERANCE",
    "at_point",
    "eliminated",
    "merged",
    "minimise",
    "minimise_each",
    "normal_equations",
    "ready",
]
