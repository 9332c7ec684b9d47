"""Tables in LaTeX's form, for papers; they need the package booktabs."""

from __future__ import annotations

from o2t_jax.evaluation.writers.console import format_cell, heading, shown_columns
from o2t_jax.results import ScoreTable, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "²": r"\textsuperscript{2}",
    "³": r"\textsuperscript{3}",
} | {character: f"\\{character}" for character in "&%$#_"}


def table_latex(table: Table) -> str:
    """A tabular with the shown columns, units in the heading, rows of the judged method in bold.

    Undefined entries are a dash, infinite ones the sign.
    """
    specs = shown_columns(table)
    lines = [
        "% \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{''.join('r' if spec else 'l' for spec in specs.values())}}}",
    ]
    lines += ["\\toprule", _line([escaped(heading(name, table.columns[name])) for name in specs]), "\\midrule"]
    for row in table.rows:
        cells = [_cell(format_cell(row[name], spec), spec) for name, spec in specs.items()]
        own = isinstance(table, ScoreTable) and row[table.method_column] == table.method
        lines.append(_line([f"\\textbf{{{cell}}}" for cell in cells] if own else cells))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def escaped(text: str) -> str:
    """Any text, with the characters escaped that LaTeX reads as commands."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def _cell(text: str, spec: str) -> str:
    if text == "-":
        return "--"
    if not spec:
        return escaped(text)
    known = {"inf": r"$\infty$", "-inf": r"$-\infty$"}
    return known.get(text) or (f"${text}$" if text.startswith("-") else escaped(text))


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


__all__ = ["escaped", "table_latex"]
