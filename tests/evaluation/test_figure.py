"""Plots need no display, no backend that the environment names, and change neither for the user's own plots."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layers import python_files

ROOT = Path(__file__).resolve().parents[2]
PLOT = """
import os, sys
from o2t_jax.evaluation.figure import new_figure
figure = new_figure(figsize=(2, 1), dpi=50)
figure.subplots().plot([0, 1])
figure.savefig(sys.argv[1])
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams._get_backend_or_none(), sep=", ")
"""


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "svg", "no backend at all"])
def test_a_plot_is_drawn_whatever_the_environment_says(tmp_path, backend) -> None:
    environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PLOT, str(tmp_path / "plot.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = backend == "svg" or ("inline" in backend and importlib.util.find_spec("matplotlib_inline"))
    assert done.stdout == f"{backend}, {backend if there else None}\n", "the user's own plots are as they would be"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_nobody_imports_matplotlib_beside_it() -> None:
    class Users(ast.NodeVisitor):
        found = False

        def visit_If(self, node: ast.If) -> None:
            if "TYPE_CHECKING" not in ast.unparse(node.test):  # types alone are not imported when it runs
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            self.found |= any(alias.name.split(".")[0] == "matplotlib" for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            self.found |= (node.module or "").split(".")[0] == "matplotlib"

    users = []
    for path in python_files("o2t_jax", "benchmarks"):
        visitor = Users()
        visitor.visit(ast.parse(path.read_text()))
        users += [path.name] * visitor.found
    # The others draw into a figure that they got from it: by then matplotlib is imported.
    assert set(users) == {"curves.py", "figure.py", "picture.py", "run_page.py", "scene_film.py"}
