"""When a point on a parabola p + v t + a t^2 / 2 first comes to a line or a circle from outside."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from o2t_jax.types import Array

HALVINGS = 24  # of a frame of up to 16 s, to 1e-6 s


def fall_to_line(gap: Array, rate: Array, bend: Array) -> Array:
    """First s >= 0 at which h = gap + rate t + bend t^2 / 2 is 0 or below and falls; infinite if there is none.

    Where `gap` is below 0, by rounding, that is as soon as it falls.
    """
    root = rate * rate - 2.0 * gap * bend
    speed = jnp.sqrt(jnp.maximum(root, 0.0))
    gap = jnp.maximum(gap, 0.0)
    # Of both forms of the root the one that adds numbers of one sign.
    coming = 2.0 * gap / jnp.where(rate < 0.0, speed - rate, 1.0)
    coming = jnp.where((root >= 0.0) | (gap == 0.0), coming, jnp.inf)
    returning = (rate + speed) / jnp.where(bend < 0.0, -bend, 1.0)
    returning = jnp.where(bend < 0.0, returning, jnp.inf)
    return jnp.where(rate < 0.0, coming, returning)


def fall_to_circle(apart: Array, closing: Array, pull: Array, reach: Array, window: Array) -> Array:
    """First s in [0, window] at which |apart + closing t + pull t^2 / 2| is `reach` or less and falls; else infinite.

    Args: vectors [2, ...]; `reach` and `window` broadcast to [...]. `pull` is not 0.

    f, the squared distance less reach^2, is a quartic. The roots of f'' part the window into three in each of which f'
    is monotone, and those of f', found by halving, into four in each of which f is; there its root is found by halving.
    """
    p2 = apart[0] ** 2 + apart[1] ** 2 - reach**2
    pv = apart[0] * closing[0] + apart[1] * closing[1]
    pa = apart[0] * pull[0] + apart[1] * pull[1]
    v2 = closing[0] ** 2 + closing[1] ** 2
    va = closing[0] * pull[0] + closing[1] * pull[1]
    a2 = pull[0] ** 2 + pull[1] ** 2

    def f(t: Array) -> Array:
        return p2 + t * (2.0 * pv + t * (v2 + pa + t * (va + t * 0.25 * a2)))

    def slope(t: Array) -> Array:
        return 2.0 * pv + t * (2.0 * (v2 + pa) + t * (3.0 * va + t * a2))

    # f'' / 2 = v2 + pa + 3 va t + 1.5 a2 t^2
    root = jnp.sqrt(jnp.maximum(va * va - (2.0 / 3.0) * a2 * (v2 + pa), 0.0))
    scale = jnp.where(a2 > 0.0, a2, 1.0)
    first, last = jnp.clip((-va - root) / scale, 0.0, window), jnp.clip((-va + root) / scale, 0.0, window)
    begin, end = jnp.zeros_like(first), jnp.broadcast_to(window, first.shape)
    knots = jnp.stack([begin, first, last, end])
    rising = slope(knots[1:]) > slope(knots[:-1])
    turns = _halved(lambda t: (slope(t) >= 0.0) == rising, knots[:-1], knots[1:])
    knots = jnp.concatenate([begin[None], turns, end[None]])
    low, high = knots[:-1], knots[1:]
    meets = (f(high) <= 0.0) & (slope(0.5 * (low + high)) < 0.0)
    times = jnp.where(meets, _halved(lambda t: f(t) <= 0.0, low, high), jnp.inf)
    return jnp.min(times, axis=0)


def _halved(reached: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where `reached` turns true between `low` and `high`; `low` or `high` where it is true or false throughout."""

    def body(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        there = reached(middle)
        return jnp.where(there, low, middle), jnp.where(there, middle, high)

    return jax.lax.fori_loop(0, HALVINGS, body, (low, high))[1]


__all__ = ["HALVINGS", "fall_to_circle", "fall_to_line"]
