"""The parts of a self-contained HTML page: everything is in the file, nothing is loaded, no script runs."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence

MIME = {".png": "image/png", ".gif": "image/gif", ".mp4": "video/mp4"}

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 0 auto; padding: 1rem; background: Canvas;
  color: CanvasText; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.2; margin: 2rem 0 .6rem; }
h1 { margin-top: .5rem; }
h2 { border-bottom: 2px solid var(--line); padding-bottom: .3rem; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: separate; border-spacing: 0; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top;
  white-space: nowrap; }
table.facts td { white-space: normal; overflow-wrap: anywhere; }
table.facts td:first-child { min-width: 9rem; overflow-wrap: normal; }
thead th { background: var(--soft); }
th:first-child, td:first-child { position: sticky; left: 0; background: Canvas; }
thead th:first-child { background: linear-gradient(var(--soft), var(--soft)), Canvas; }
td.number, th.number { text-align: right; }
tr.own td { font-weight: 600; }
figure { margin: 1rem 0; overflow-x: auto; }
figcaption { font-size: .9rem; opacity: .8; }
img, video, svg { max-width: 100%; height: auto; }
img, video { image-rendering: pixelated; background: #8882; }
@media (max-width: 700px) { img, video { image-rendering: auto; } }
svg text { font-family: system-ui, sans-serif !important; }
pre { overflow-x: auto; background: var(--soft); padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: .6rem 0; }
summary { cursor: pointer; }
""".strip()


def page(title: str, body: Iterable[str]) -> str:
    """A complete document with the elements `body`."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escaped(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def escaped(text: object) -> str:
    """Any text, escaped for a page or an attribute."""
    return html.escape(str(text))


def heading(level: int, text: str, anchor: str = "") -> str:
    """A heading of level 1 to 6."""
    identity = f' id="{escaped(anchor)}"' if anchor else ""
    return f"<h{level}{identity}>{escaped(text)}</h{level}>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escaped(text)}</p>"


def table(
    columns: Mapping[str, bool], rows: Sequence[Sequence[str]], *, own: Sequence[bool] = (), kind: str = ""
) -> str:
    """A table that scrolls sideways on a narrow screen.

    Args: `columns`: heading -> whether it holds numbers; `rows`: texts; `own`: which rows to highlight; `kind`: "facts"
    for cells that may be long.
    """
    classes = [' class="number"' if number else "" for number in columns.values()]
    head = "".join(f'<th scope="col"{c}>{escaped(name)}</th>' for name, c in zip(columns, classes, strict=True))
    lines = []
    for i, row in enumerate(rows):
        cells = "".join(f"<td{c}>{escaped(cell)}</td>" for cell, c in zip(row, classes, strict=True))
        lines.append(f'<tr class="own">{cells}</tr>' if i < len(own) and own[i] else f"<tr>{cells}</tr>")
    body = "\n".join(lines)
    name = f' class="{kind}"' if kind else ""
    return f'<div class="scroll"><table{name}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def facts(pairs: Mapping[str, object]) -> str:
    """A table of names and values."""
    rows = [[name, str(value)] for name, value in pairs.items()]
    return table({"property": False, "value": False}, rows, kind="facts")


def folded(summary: str, *elements: str) -> str:
    """Elements that open on a click."""
    return "\n".join(["<details>", f"<summary>{escaped(summary)}</summary>", *elements, "</details>"])


def figure(element: str, caption: str) -> str:
    """An element with its caption."""
    return f"<figure>\n{element}\n<figcaption>{escaped(caption)}</figcaption>\n</figure>"


def drawing(svg: str, caption: str) -> str:
    """An <svg> element with its caption, which is also what a screen reader says in place of its many texts."""
    return figure(svg.replace("<svg", f'<svg role="img" aria-label="{escaped(caption)}"', 1), caption)


def links(targets: Mapping[str, str]) -> str:
    """A line of links, text -> anchor of a heading in the page."""
    items = " · ".join(f'<a href="#{escaped(anchor)}">{escaped(text)}</a>' for text, anchor in targets.items())
    return f'<nav aria-label="in this page">{items}</nav>'


def picture(data: bytes, suffix: str, caption: str) -> str:
    """A PNG or GIF file."""
    return figure(f'<img src="{_data_uri(data, suffix)}" alt="{escaped(caption)}">', caption)


def film(data: bytes, suffix: str, caption: str) -> str:
    """An MP4 file that plays in the page in a loop, or a GIF."""
    if suffix == ".gif":
        return picture(data, suffix, caption)
    attributes = f'controls loop muted playsinline preload="auto" aria-label="{escaped(caption)}"'
    return figure(f'<video {attributes} src="{_data_uri(data, suffix)}"></video>', caption)


def code(text: str) -> str:
    """Text as it was typed."""
    return f"<pre>{escaped(text)}</pre>"


def _data_uri(data: bytes, suffix: str) -> str:
    return f"data:{MIME[suffix]};base64,{base64.b64encode(data).decode()}"
