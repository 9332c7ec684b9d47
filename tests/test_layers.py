"""The order of the code: imports run one way, every file has a docstring and stays short."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "o2t_jax"
MOST_LINES = 400

# Folder or file of o2t_jax -> the parts of o2t_jax that it may import, besides itself. Every part must be listed.
BASE = {"types", "errors", "config", "registry", "process", "results", "media", "caching", "parsing", "limits"}
ALLOWED = {
    "results": set(),
    "media": set(),
    "types": {"results"},
    "errors": set(),
    "process": set(),
    "caching": set(),
    "parsing": set(),
    "limits": set(),
    "config": {"errors", "limits"},
    "registry": {"errors", "config"},
    "geometry": BASE,
    "physics": BASE | {"geometry"},
    "render": BASE | {"geometry", "physics"},
    "data": BASE | {"geometry", "physics", "render"},
    "models": BASE | {"geometry", "physics"},
    "training": BASE,
    "evaluation": BASE | {"geometry", "physics"},
    "systems": BASE | {"geometry", "physics", "render", "data", "models", "training", "evaluation"},
    "gym": BASE | {"geometry", "physics", "render"},
    "loading": BASE | {"systems", "training"},
}
ALLOWED["commands"] = set(ALLOWED)  # the top: all others, and none of them imports it
ENTRY = {"experiments", "benchmarks", "tests"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, is_package: bool, at_import: bool = False) -> set[str]:
    """Dotted names that `source` imports, relative ones resolved; `from a import b` counts as `a.b`.

    at_import: only imports that run when the module is imported, not those inside functions.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if at_import and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                parts = package[: len(package) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            found.update(f"{base}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def read_imports(path: Path, at_import: bool = False) -> set[str]:
    return imports_of(path.read_text(), module_name(path), path.name == "__init__.py", at_import)


def part_of(name: str) -> str | None:
    """The part of o2t_jax that a dotted name belongs to; None for other packages and for `o2t_jax` itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "o2t_jax" and len(parts) > 1 else None


def violations(part: str, imported: set[str]) -> set[str]:
    """Which of the `imported` names a file of `part` may not import."""
    wrong = {name for name in imported if name.split(".")[0] in ENTRY}
    return wrong | {name for name in imported if part_of(name) not in {None, part} | ALLOWED[part]}


def find_cycle(graph: dict[str, set[str]]) -> list[str] | None:
    """A cycle of names, with the first repeated at the end; None where there is none."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for other in sorted(graph.get(name, ())):
            if cycle := walk(other, [*path, name]):
                return cycle
        done.add(name)
        return None

    return next((cycle for name in sorted(graph) if (cycle := walk(name, []))), None)


def test_every_part_of_the_library_has_its_place_in_the_order():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in python_files("o2t_jax")}
    assert parts - {"__init__"} == set(ALLOWED)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_imports_run_one_way(part):
    wrong = {}
    for path in python_files("o2t_jax"):
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") == part and (
            names := violations(part, read_imports(path))
        ):
            wrong[str(path.relative_to(ROOT))] = sorted(names)
    assert not wrong, f"{part} may import {sorted(ALLOWED[part])} of o2t_jax only"


def untyped_parameters(source: str) -> set[str]:
    """`function(parameter)` of every parameter annotated `Any` itself; `**options: Any` depends on nothing."""
    return {
        f"{node.name}({argument.arg})"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.annotation is not None and ast.unparse(argument.annotation) == "Any"
    }


@pytest.mark.parametrize("path", python_files("o2t_jax/evaluation/o2t"), ids=module_name)
def test_no_parameter_hides_what_the_evaluation_depends_on(path):
    """A system, model or source comes in by a protocol: as `Any` it would be a dependency that no import shows."""
    assert not untyped_parameters(path.read_text())


def test_the_order_itself_has_no_circle():
    assert find_cycle(ALLOWED) is None


def test_no_module_imports_itself_by_a_detour():
    """Checks imports at module level. Functions may import late to save time; the order above holds for them too."""
    files = {module_name(path): path for path in python_files("o2t_jax", "benchmarks")}
    graph = {}
    for module, path in files.items():
        names = {name if name in files else name.rpartition(".")[0] for name in read_imports(path, at_import=True)}
        graph[module] = (names & set(files)) - {module}
    assert find_cycle(graph) is None


def test_benchmarks_need_no_tests():
    for path in python_files("benchmarks"):
        assert not {name for name in read_imports(path) if name.split(".")[0] == "tests"}, path


@pytest.mark.parametrize("folder", ["o2t_jax", "benchmarks", "tests", "notebooks"])
def test_code_imports_the_commands_by_the_packages_name(folder):
    """`experiments.X` would be a second copy of `o2t_jax.commands.X`, and is there in the clone only."""
    for path in python_files(folder):
        assert not {name for name in read_imports(path) if name.split(".")[0] == "experiments"}, path


def test_configs_and_their_systems_answer_without_jax():
    """A mistyped field is reported immediately: imports before the flags are parsed do not reach JAX."""
    files = {module_name(path): path for path in python_files("o2t_jax")}
    configs = [name for name in files if name.startswith("o2t_jax.commands.configs.")]
    todo, seen = ["o2t_jax.commands.train", "o2t_jax.commands._cli", *configs], set()
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for name in read_imports(files[module], at_import=True):
            assert name.split(".")[0] not in {"jax", "flax", "optax", "orbax", "clu", "grain", "cv2"}, (module, name)
            found = name if name in files else name.rpartition(".")[0]
            if found in files:  # importing a.b.c imports a and a.b too
                parts = found.split(".")
                todo += [".".join(parts[:i]) for i in range(1, len(parts) + 1)]
    assert {"o2t_jax.systems.o2t_config", "o2t_jax.training.workdir"} <= seen


@pytest.mark.parametrize("path", python_files("o2t_jax", "benchmarks"), ids=module_name)
def test_a_file_says_what_it_is_for_and_is_short(path):
    source = path.read_text()
    if path.name == "__init__.py" and not source.strip():
        return
    assert (ast.get_docstring(ast.parse(source)) or "").strip(), "a module docstring is missing"
    assert source.count("\n") < MOST_LINES, "split it"


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import jax\nfrom o2t_jax.types import Array\nfrom o2t_jax import errors", set()),
        ("from o2t_jax.training.state import TrainState", {"o2t_jax.training.state.TrainState"}),
        ("from o2t_jax import data", {"o2t_jax.data"}),
        ("from ..data import ring", {"o2t_jax.data.ring"}),
        ("from .. import systems", {"o2t_jax.systems"}),
        ("from . import layers", set()),
        ("import benchmarks.table", {"benchmarks.table"}),
        ("def late():\n    import o2t_jax.commands.train", {"o2t_jax.commands.train"}),
    ],
)
def test_this_test_sees_a_wrong_import(source, wrong):
    assert violations("models", imports_of(source, "o2t_jax.models.o2t", False)) == wrong


def test_this_test_sees_an_untyped_parameter():
    source = "def f(system: Any, n: int, *, state: Any = None, **options: Any) -> Any: ..."
    assert untyped_parameters(source) == {"f(system)", "f(state)"}
    assert not untyped_parameters("def f(law: Mapping[str, Any], make: Callable[..., Any]) -> Any: ...")


def test_this_test_sees_a_circle():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
    late = "def f():\n    import b\nif TYPE_CHECKING:\n    import c\nimport d"
    assert imports_of(late, "a", False, at_import=True) == {"d"}
