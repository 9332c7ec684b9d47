"""Draws a network from its program: python -m experiments.architecture --config=FILE --out=FILE.png

Boxes are the network's parts with their parameters, the shapes that go in and come out at the first call, and how often
they are called in one prediction for one sample; arrows are read off the program that the prediction traces to, so the
drawing cannot differ from the model. A number of calls above 1 stands for a loop, over frames for example.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from o2t_jax.models.graph import Graph

ENDINGS = (".png", ".svg", ".pdf")
_ROW, _COLUMN = 1.5, 3.4  # inches
_RIM = 0.09  # inches from a text to the rim of its box
_BLUE, _GREY = "#dbe9f6", "#eeeeee"
_LONGEST = 3  # shapes that a box shows before it counts the rest


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(show, argv, doc=__doc__ or "", define=_define)


def show(arguments: _cli.Arguments) -> int:
    """Traces one prediction, draws its parts, prints the file's name."""
    from o2t_jax.systems.base import build_system

    out, config = _cli.out_file(arguments.flags.out, ENDINGS), arguments.config
    assert config is not None
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    graph, sizes = graph_of_system(build_system(config))
    draw(out, graph, sizes, f"{arguments.config_name}: {sum(sizes.values()):,} parameters")
    print(f"architecture: {out}")
    return 0


def graph_of_system(system: Any) -> tuple[Graph, dict[str, int]]:
    """The graph of a prediction for one sample, and the parameters of each entry of the parameters' tree.

    Raises: UsageError where a system's sample or prediction is not of that kind.
    """
    import jax

    from o2t_jax.models.graph import graph_of

    params, extra = jax.eval_shape(system.init, jax.random.key(0))
    spec = system.sample_spec or {}
    batch = {name: jax.ShapeDtypeStruct((1, *x.shape), x.dtype) for name, x in spec.items()}
    try:
        graph = graph_of(
            lambda params, **given: system.predict(
                params, {name: given[name] for name in extra}, {name: given[name] for name in batch}
            ),
            params,
            **extra,
            **batch,
        )
    except NotImplementedError as error:
        raise UsageError(f"a config of system {system.name!r} has no prediction to draw: {error}") from None
    if not graph.parts:
        raise UsageError(f"the network of system {system.name!r} has no parts that a drawing could show")
    count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
    return graph, {name: count(tree) for name, tree in params.items()}


def draw(out: Path, graph: Graph, sizes: dict[str, int], title: str) -> None:
    """Writes the picture: inputs at the top, the output at the bottom."""
    from o2t_jax.evaluation.figure import new_figure

    texts = {name: name for name in (*graph.inputs, "output")}
    texts |= {part.name: _text(part, sizes.get(part.name)) for part in graph.parts}
    levels = _levels(list(texts), graph.edges)
    rows = [[name for name in texts if levels[name] == level] for level in range(max(levels.values()) + 1)]
    width = _COLUMN * max(map(len, rows))
    figure = new_figure(figsize=(width, _ROW * len(rows) + 0.5))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, width), ylim=(-_ROW * len(rows), 0.5))
    axes.axis("off")
    axes.text(0.2, 0.25, title, weight="bold")
    places = {
        name: (width * (i + 0.5) / len(row), -_ROW * (level + 0.5))
        for level, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    parts = {part.name for part in graph.parts}
    boxes = {
        name: axes.text(
            *place,
            texts[name],
            ha="center",
            va="center",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.5", "facecolor": _BLUE if name in parts else _GREY, "edgecolor": "0.4"},
            zorder=3,
        )
        for name, place in places.items()
    }
    figure.canvas.draw()  # boxes get their size: arrows lead from rim to rim
    rims = {name: box.get_window_extent().transformed(axes.transData.inverted()) for name, box in boxes.items()}
    for source, target in graph.edges:
        if source == target:
            continue
        (x, x2), back = (places[source][0], places[target][0]), levels[source] >= levels[target]
        start = (rims[source].x1 + _RIM, places[source][1]) if back else (x, rims[source].y0 - _RIM)
        end = (rims[target].x1 + _RIM, places[target][1]) if back else (x2, rims[target].y1 + _RIM)
        style = {"arrowstyle": "-|>", "color": "0.45", "linestyle": "--" if back else "-", "shrinkA": 0, "shrinkB": 0}
        style["connectionstyle"] = f"arc3,rad={0.5 if back else 0.0}"
        axes.annotate("", xy=end, xytext=start, arrowprops=style, zorder=2)
    figure.savefig(out, dpi=110)


def _text(part: Any, size: int | None) -> str:
    lines = [part.name + (f"  ({part.calls} calls)" if part.calls > 1 else "")]
    lines += [f"{size:,} parameters"] if size else []
    return "\n".join([*lines, f"{_short(part.given)} → {_short(part.made)}"])


def _short(shapes: tuple[str, ...]) -> str:
    more = f", and {len(shapes) - _LONGEST}" if len(shapes) > _LONGEST else ""
    return (", ".join(shapes[:_LONGEST]) or "none") + more


def _levels(names: list[str], edges: tuple[tuple[str, str], ...]) -> dict[str, int]:
    """A row for each name: below all that reaches it, by the edges that lead from earlier names to later ones."""
    order = {name: i for i, name in enumerate([*(x for x in names if x != "output"), "output"])}
    levels = dict.fromkeys(order, 0)
    for name in order:
        before = [levels[a] + 1 for a, b in edges if b == name and a in order and order[a] < order[name]]
        levels[name] = max(before, default=0)
    return levels


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("out", None, "the picture's file: .png, .svg or .pdf", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
