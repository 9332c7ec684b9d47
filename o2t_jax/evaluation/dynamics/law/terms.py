"""The library of terms from which a form is put together, and features outside it that a misfit is looked for in.

A term adds to the rate of every momentum. Three kinds of world have a library: one degree of freedom (x, v), bodies in
a plane (terms that know no direction, so a force is along q, v or the line between two bodies), and several
coordinates.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.dynamics.law.equations import Equation
from o2t_jax.physics.environment import Layout

Rows = Callable[[Any, Any, Any, Any], jax.Array]
SOFTENING = 1e-6  # m^2, added to squared distances, so that a fit that passes a centre stays finite
MOMENTUM_GAIN = "inverse_mass"


class Term(NamedTuple):
    """`rows(q [N], v [N], u [A], exponent)` [size, N] are multiplied by `size` coefficients and added.

    `text` for the form's name; `exponent`: whether the term has a free exponent p (a force as 1/r^p).
    """

    name: str
    text: str
    rows: Rows
    size: int = 1
    exponent: bool = False


def _single(actions: int) -> list[Term]:
    """Terms of x'' with one degree of freedom."""
    plain = [
        Term("1", "", lambda q, v, u, _: jnp.ones((1, 1))),
        Term("x", "x", lambda q, v, u, _: q[None]),
        Term("v", "x'", lambda q, v, u, _: v[None]),
        Term("sin x", "sin x", lambda q, v, u, _: jnp.sin(q)[None]),
        Term("x^2", "x^2", lambda q, v, u, _: q[None] ** 2),
        Term("x^3", "x^3", lambda q, v, u, _: q[None] ** 3),
        Term("v|v|", "x'|x'|", lambda q, v, u, _: (v * jnp.abs(v))[None]),
    ]
    return plain + ([Term("u", "u", lambda q, v, u, _: u[:, None], actions)] if actions else [])


def _single_outside(actions: int) -> list[Term]:
    """Smooth features of (x, v, u) that the library of one degree of freedom lacks."""
    shapes: dict[str, Callable[[Any, Any, Any], Any]] = {
        "cos x": lambda q, v, u: jnp.cos(q),
        "sin 2x": lambda q, v, u: jnp.sin(2 * q),
        "cos 2x": lambda q, v, u: jnp.cos(2 * q),
        "sin 3x": lambda q, v, u: jnp.sin(3 * q),
        "cos 3x": lambda q, v, u: jnp.cos(3 * q),
        "tanh 2x": lambda q, v, u: jnp.tanh(2 * q),
        "tanh 2v": lambda q, v, u: jnp.tanh(2 * v),
        "v^2": lambda q, v, u: v**2,
        "v^3": lambda q, v, u: v**3,
        "x v": lambda q, v, u: q * v,
        "x^2 v": lambda q, v, u: q**2 * v,
        "x v^2": lambda q, v, u: q * v**2,
        "v cos x": lambda q, v, u: v * jnp.cos(q),
    }
    if actions:
        shapes |= {"u x": lambda q, v, u: u[0] * q, "u v": lambda q, v, u: u[0] * v}
    return [Term(name, name, lambda q, v, u, _, f=f: f(q, v, u)[None]) for name, f in shapes.items()]


def _each(f: Callable[[jax.Array, jax.Array], jax.Array]) -> Rows:
    """One coefficient for all bodies: `f(position [B, 2], velocity [B, 2])` [B, 2]."""
    return lambda q, v, u, _: f(q.reshape(-1, 2), v.reshape(-1, 2)).reshape(1, -1)


def _length(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x**2, -1, keepdims=True) + SOFTENING)


def _central(q: Any, v: Any, u: Any, p: Any) -> jax.Array:
    place = q.reshape(-1, 2)
    return (place / _length(place) ** (p + 1.0)).reshape(1, -1)


def pair_rows(q: Any, power: Any) -> jax.Array:
    """Row j [B, 2 B]: a unit of body j acts on all others along the line to them, as 1 / r^power, away from it."""
    place = q.reshape(-1, 2)
    apart = place[None, :] - place[:, None]  # [source, on, 2]
    far = jnp.sum(apart**2, -1, keepdims=True) + jnp.where(jnp.eye(place.shape[0])[..., None] > 0, 1.0, SOFTENING)
    return (apart / far ** (0.5 * (power + 1.0))).reshape(place.shape[0], -1)


def _planar(bodies: int, actions: int) -> list[Term]:
    """Terms for bodies in a plane; an action pushes the first body."""
    terms = [
        Term("1", "g", lambda q, v, u, _: jnp.tile(jnp.eye(2), (1, bodies)), 2),
        Term("x", "q", _each(lambda q, v: q)),
        Term("v", "q'", _each(lambda q, v: v)),
        Term("v|v|", "q'|q'|", _each(lambda q, v: v * _length(v))),
        Term("x|x|^2", "q|q|^2", _each(lambda q, v: q * jnp.sum(q**2, -1, keepdims=True))),
        Term("1/r^p", "e/r^p", _central, 1, True),
    ]
    if bodies > 1:
        terms.append(Term("1/r_ij^p", "sum_j e_ij/r_ij^p", lambda q, v, u, p: pair_rows(q, p), bodies, True))
    if actions == 2:
        terms.append(Term("u", "u", lambda q, v, u, _: jnp.pad(u, (0, 2 * bodies - 2))[None]))
    return terms


def _planar_outside(bodies: int, actions: int) -> list[Term]:
    def turned(x: jax.Array) -> jax.Array:
        return jnp.stack([-x[..., 1], x[..., 0]], -1)

    shapes = {
        "turned v": _each(lambda q, v: turned(v)),
        "turned q": _each(lambda q, v: turned(q)),
        "turned q/r^3": _each(lambda q, v: turned(q) / _length(q) ** 3),
        "q/r": _each(lambda q, v: q / _length(q)),
        "q exp -r": _each(lambda q, v: q * jnp.exp(-_length(q))),
        "q sin 2r / r": _each(lambda q, v: q / _length(q) * jnp.sin(2 * _length(q))),
        "v|v|^2": _each(lambda q, v: v * jnp.sum(v**2, -1, keepdims=True)),
        "v/r": _each(lambda q, v: v / _length(q)),
        "stretch": _each(lambda q, v: q * jnp.array([1.0, -1.0])),
        "tanh v": _each(lambda q, v: jnp.tanh(v)),
    }
    if bodies > 1:
        shapes |= {
            "pairs r": lambda q, v, u, _: jnp.sum(pair_rows(q, -1.0), 0)[None],
            "pairs 1": lambda q, v, u, _: jnp.sum(pair_rows(q, 0.0), 0)[None],
            "pairs 1/r^4": lambda q, v, u, _: jnp.sum(pair_rows(q, 4.0), 0)[None],
        }
    return [Term(name, name, rows) for name, rows in shapes.items()]


def _several(count: int, actions: int) -> list[Term]:
    """Terms for several coordinates, a coefficient for each (and for each pair)."""

    def rows(f: Callable[[Any, Any], Any]) -> Rows:
        return lambda q, v, u, _: jnp.diag(f(q, v))

    def pairs(f: Callable[[Any], Any]) -> Rows:
        return lambda q, v, u, _: jnp.diag(jnp.sum(f(q[:, None] - q[None, :]), 1))

    terms = [
        Term("1", "", rows(lambda q, v: jnp.ones(count)), count),
        Term("x", "x_i", rows(lambda q, v: q), count),
        Term("v", "x_i'", rows(lambda q, v: v), count),
        Term("sin x", "sin x_i", rows(lambda q, v: jnp.sin(q)), count),
        Term("x_i - x_j", "(x_i - x_j)", pairs(lambda d: d), count),
        Term("sin(x_i - x_j)", "sin(x_i - x_j)", pairs(jnp.sin), count),
        Term("v|v|", "x_i'|x_i'|", rows(lambda q, v: v * jnp.abs(v)), count),
    ]
    return terms + [
        Term(f"u{a}", f"u{a}", lambda q, v, u, _, a=a: u[a] * jnp.eye(count), count) for a in range(actions)
    ]


def _several_outside(count: int, actions: int) -> list[Term]:
    shapes: dict[str, Callable[[Any, Any], Any]] = {
        "cos x": lambda q, v: jnp.cos(q),
        "sin 2x": lambda q, v: jnp.sin(2 * q),
        "x^3": lambda q, v: q**3,
        "v^3": lambda q, v: v**3,
        "v others": lambda q, v: jnp.sum(v) - v,
        "v^2 sin": lambda q, v: jnp.sum(v[None, :] ** 2 * jnp.sin(q[:, None] - q[None, :]), 1),
        "cos v": lambda q, v: jnp.sum(v[None, :] * jnp.cos(q[:, None] - q[None, :]), 1),
    }
    return [Term(name, name, lambda q, v, u, _, f=f: jnp.diag(f(q, v)), count) for name, f in shapes.items()]


def kind_of(layout: Layout) -> str:
    """ "single", "planar" (pairs of coordinates, none an angle) or "several"."""
    count = len(layout.positions)
    return "single" if count == 1 else "several" if layout.angles or count % 2 else "planar"


def library_terms(layout: Layout, actions: int, outside: bool = False) -> list[Term]:
    """The terms for this layout and `actions` entries of an action; `outside`: the features outside the library."""
    count, kind = len(layout.positions), kind_of(layout)
    if kind == "single":
        return (_single_outside if outside else _single)(actions)
    if kind == "planar":
        return (_planar_outside if outside else _planar)(count // 2, actions)
    return (_several_outside if outside else _several)(count, actions)


class _Sum:
    """Terms with their places in theta: names, owners and starts of the parameters, and the sum itself."""

    def __init__(self, terms: list[Term], first: int) -> None:
        self.names: list[str] = []
        self.owners: list[str] = []
        self.start: list[float] = []
        self.slots: list[tuple[Term, int]] = []
        for term in terms:
            self.slots.append((term, first + len(self.names)))
            self.names += [term.name if term.size == 1 else f"{term.name}[{i}]" for i in range(term.size)]
            self.start += [0.0] * term.size
            if term.exponent:
                self.names.append(f"exponent of {term.name}")
                self.start.append(2.0)
            self.owners += [term.name] * (len(self.names) - len(self.owners))

    def __call__(self, q: Any, v: Any, action: Any, theta: Any) -> jax.Array:
        total = jnp.zeros_like(q)
        for term, at in self.slots:
            exponent = theta[at + term.size] if term.exponent else None
            total = total + theta[at : at + term.size] @ term.rows(q, v, action, exponent)
        return total


@functools.lru_cache(maxsize=64)
def clearance_of(layout: Layout) -> Callable[[Any], jax.Array] | None:
    """Function of a state [D]: the smallest distance [] m between bodies in a plane, of a single one to the origin.

    None where the layout is not of bodies in a plane.
    """
    if kind_of(layout) != "planar":
        return None
    bodies = len(layout.positions) // 2
    first, second = np.triu_indices(bodies, 1)

    def clearance(state: Any) -> jax.Array:
        place = state[_taken(layout.positions)].reshape(bodies, 2)
        return jnp.min(_length(place if bodies == 1 else place[first] - place[second]))

    return clearance


def nearest_approach(layout: Layout, states: np.ndarray) -> np.ndarray:
    """Smallest `clearance_of` [S] m in each sequence [S, T, D]; infinite where there is none."""
    clearance = clearance_of(layout)
    if clearance is None:
        return np.full(len(states), np.inf)
    return np.asarray(jax.jit(jax.vmap(jax.vmap(clearance)))(states)).min(1)


def library(layout: Layout, actions: int) -> Equation:
    """All terms as one equation: a coefficient each (start 0), exponents (start 2), and 1/mass for canonical momenta.

    A form is a choice of its terms: the other coefficients stay 0. The same arguments give the same object.
    """
    # That the one coordinate is an angle changes no term: worlds that differ by it share what JAX compiled.
    return _library(dataclasses.replace(layout, angles=()) if kind_of(layout) == "single" else layout, actions)


@functools.lru_cache(maxsize=64)
def _library(layout: Layout, actions: int) -> Equation:
    always = [MOMENTUM_GAIN] if layout.canonical else []
    total, order = _Sum(library_terms(layout, actions), len(always)), _places(layout)
    positions, momenta = _taken(layout.positions), _taken(layout.momenta)

    def rates(state: Any, action: Any, theta: Any) -> jax.Array:
        q, v = state[positions], state[momenta]
        moved = theta[0] * v if layout.canonical else v
        return jnp.concatenate([moved, total(q, v, action, theta), jnp.zeros(1)])[order]

    owners, start = (*("" for _ in always), *total.owners), (*(1.0 for _ in always), *total.start)
    return Equation("library", (*always, *total.names), owners, start, rates)


@functools.lru_cache(maxsize=64)
def widened(equation: Equation, layout: Layout, actions: int) -> Equation:
    """`equation` with the features outside the library added to the rates of the momenta; they follow its
    parameters."""
    total, order = _Sum(library_terms(layout, actions, outside=True), len(equation.names)), _places(layout)
    positions, momenta = _taken(layout.positions), _taken(layout.momenta)

    def rates(state: Any, action: Any, theta: Any) -> jax.Array:
        q, v = state[positions], state[momenta]
        added = jnp.concatenate([jnp.zeros_like(q), total(q, v, action, theta), jnp.zeros(1)])[order]
        return equation.rates(state, action, theta[: len(equation.names)]) + added

    names, owners = (*equation.names, *total.names), (*equation.terms, *total.owners)
    return Equation(f"{equation.name}, widened", names, owners, (*equation.start, *total.start), rates)


def _taken(entries: tuple[int, ...]) -> Any:
    """An index for these entries of a vector: a slice where it can be one."""
    if entries == tuple(range(entries[0], entries[0] + len(entries))):
        return slice(entries[0], entries[0] + len(entries))
    return np.array(entries)


def _places(layout: Layout) -> np.ndarray:
    """Where each entry of a state is in (rates of positions, rates of momenta, 0)."""
    count = len(layout.positions)
    at = {entry: i for i, entry in enumerate(layout.positions)}
    at |= {entry: count + i for i, entry in enumerate(layout.momenta)}
    return np.array([at.get(entry, 2 * count) for entry in range(layout.size)], np.int32)


__all__ = [
    "MOMENTUM_GAIN",
    "Term",
    "clearance_of",
    "kind_of",
    "library",
    "library_terms",
    "nearest_approach",
    "pair_rows",
    "widened",
]
