"""The parts of a network and what flows between them, read from the program that it traces to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax

_MARK = "part:"
Sources = frozenset[str]


@dataclasses.dataclass(frozen=True)
class Part:
    """A module that is called.

    Attributes: `name`; `given` and `made`, shapes such as "1x8x8x16" of its array arguments and results at its first
    call; `calls`, how often it is called.
    """

    name: str
    given: tuple[str, ...]
    made: tuple[str, ...]
    calls: int


@dataclasses.dataclass(frozen=True)
class Graph:
    """`parts` in the order of their first calls; `edges` (from, to), where one's results reach the other without a part
    in between. Names of inputs, and "output", are among the edges' ends."""

    inputs: tuple[str, ...]
    parts: tuple[Part, ...]
    edges: tuple[tuple[str, str], ...]


def graph_of(function: Callable[..., Any], params: Any, **inputs: Any) -> Graph:
    """The graph of `function(params, **inputs)`, of Flax modules that lie directly in the outermost one.

    Args: arrays, or their shapes and types: nothing is computed. Loops and conditions count as what is in them.
    """
    parts: dict[str, Part] = {}
    within: list[str] = []  # the part that is being traced: a module applied in it on its own is no part

    def mark(next_call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if within or module.scope is None or len(module.path) != 1 or context.method_name != "__call__":
            return next_call(*args, **kwargs)
        name = module.path[0]

        def part(*args: Any) -> Any:
            within.append(name)
            try:
                return next_call(*args, **kwargs)
            finally:
                within.pop()

        part.__name__ = _MARK + name
        made = jax.jit(part)(*args)
        known = parts.get(name, Part(name, _shapes(args), _shapes(made), 0))
        parts[name] = dataclasses.replace(known, calls=known.calls + 1)
        return made

    with nn.intercept_methods(mark):
        program = jax.make_jaxpr(lambda params, inputs: function(params, **inputs))(params, inputs)
    nothing: list[Sources] = [frozenset()] * len(jax.tree.leaves(params))
    names = [frozenset([name]) for name in sorted(inputs) for _ in jax.tree.leaves(inputs[name])]
    edges: dict[tuple[str, str], None] = {}
    ends = _flow(program.jaxpr, nothing + names, edges)
    for source in sorted(frozenset().union(*ends)):
        edges[source, "output"] = None
    used = {source for source, _ in edges}
    return Graph(tuple(name for name in inputs if name in used), tuple(parts.values()), tuple(edges))


def _flow(jaxpr: Any, given: Sequence[Sources], edges: dict[tuple[str, str], None]) -> list[Sources]:
    """Where each result of a program comes from, given where its arguments come from; adds the edges on the way."""
    known: dict[Any, Sources] = dict(zip(jaxpr.invars, given, strict=True))
    at = lambda x: known.get(x, frozenset()) if not hasattr(x, "val") else frozenset()  # noqa: E731 (literals)
    for eqn in jaxpr.eqns:
        sources = [at(x) for x in eqn.invars]
        name = eqn.params.get("name", "")
        inner = _inner(eqn)
        if isinstance(name, str) and name.startswith(_MARK):
            part = name.removeprefix(_MARK)
            for source in sorted(frozenset().union(*sources)):
                edges[source, part] = None
            made = [frozenset([part])] * len(eqn.outvars)
        elif inner is not None and len(inner.invars) == len(sources) and len(inner.outvars) == len(eqn.outvars):
            made = _flow(inner, sources, edges)
        else:
            made = [frozenset().union(*sources)] * len(eqn.outvars)
        known.update(zip(eqn.outvars, made, strict=True))
    return [at(x) for x in jaxpr.outvars]


def _inner(eqn: Any) -> Any:
    """The program that an equation runs: that of a jitted function, of a loop's body, of a custom derivative."""
    for name in ("jaxpr", "call_jaxpr"):
        found = eqn.params.get(name)
        if found is not None:
            return getattr(found, "jaxpr", found)
    return None


def _shapes(tree: Any) -> tuple[str, ...]:
    return tuple("x".join(map(str, leaf.shape)) or "1" for leaf in jax.tree.leaves(tree) if hasattr(leaf, "shape"))


__all__ = ["Graph", "Part", "graph_of"]
