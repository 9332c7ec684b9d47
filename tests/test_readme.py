"""README.md keeps its word: its commands, its four lines, the fields and files that it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

import o2t_jax
from o2t_jax.config import declared
from o2t_jax.errors import UsageError
from o2t_jax.systems import SYSTEMS, fields_of
from o2t_jax.training.checkpoint import find_step, open_workdir, read_tree
from tests.devices import simulated

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "BENCHMARKS.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "results").rglob("*.md"))
SET_UP = re.compile(r"python3 -m venv \.venv && \.venv/bin/pip install -q -c constraints\.txt -e \S+ && ")
DEVICES = 4
# In front of the four lines: neither this library nor what it brings beside orbax-checkpoint can be imported.
BLOCKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"o2t_jax", "experiments", "flax", "optax", "grain", "clu", "cv2"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def block_after(marker: str, text: str | None = None) -> str:
    """The fenced block right after the only line that is `marker`."""
    lines = ((ROOT / "README.md").read_text() if text is None else text).splitlines()
    assert lines.count(marker) == 1, marker
    start = lines.index(marker) + 1
    assert lines[start].startswith("```"), f"no fenced block right after {marker}"
    return "\n".join(lines[start + 1 : lines.index("```", start + 1)])


def without_set_up(command: str) -> str:
    """The command with this interpreter in place of a fresh environment's."""
    assert SET_UP.match(command), f"the command does not begin with venv and pip: {command}"
    return SET_UP.sub("", command, count=1).replace(".venv/bin/python ", f"{shlex.quote(sys.executable)} ")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The README's first command with `--config.train_steps=2`, on simulated devices: (folder, output)."""
    folder = tmp_path_factory.mktemp("clone")
    return folder, first_command(folder)


def first_command(folder: Path) -> str:
    """What the README's first command says in `folder`; a checkpoint of every step is kept."""
    environment = {**simulated(DEVICES), "JAX_PLATFORMS": "cpu"}
    command = f"{without_set_up(block_after('<!-- command: run -->'))} --config.train_steps=2"
    command += " --config.checkpoint_every=1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_films_command_tells_its_law(tmp_path):
    """As the README says it, from the film in the repository: what it prints, and g within the interval."""
    command = without_set_up(block_after("<!-- command: film -->"))
    command = command.replace("runs/throw", shlex.quote(str(tmp_path / "throw")))
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    g = json.loads((tmp_path / "throw" / "result.json").read_text())["parameters"]["g"]
    assert g["low"] < 9.81 < g["high"] and g["high"] - g["low"] < 0.5
    said = re.search(r"It prints `g ([\d.]+) \(([\d.]+) to ([\d.]+)\)", (ROOT / "README.md").read_text())
    assert said
    assert [float(x) for x in said.groups()] == pytest.approx([g["value"], g["low"], g["high"]], rel=5e-3)
    assert (ROOT / "examples" / "throw.mp4").stat().st_size <= 500_000


@pytest.mark.parametrize("name", ["run", "test", "film"])
def test_each_command_is_one_line(name):
    assert len(block_after(f"<!-- command: {name} -->").splitlines()) == 1


def test_each_block_may_be_the_first_that_is_typed():
    """Nothing is used before it is made: a block that calls `.venv/bin` makes it first."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    calling = [block for block in blocks if ".venv/bin" in block]
    assert len(calling) >= 3
    assert all(SET_UP.match(block) for block in calling)


@pytest.mark.timeout(600)
def test_the_first_command_trains_and_leaves_what_the_readme_lists(run):
    folder, output = run
    assert f"{DEVICES} x cpu" in output and re.search(r"\ncost +\d[\d.]* GFLOP a step", output)
    assert re.search(r"step 2/2 .*loss \d+\.\d+ .*g0 -?\d", output)
    (workdir,) = (folder / "runs").iterdir()
    table = (ROOT / "README.md").read_text().partition("## What a run leaves")[2].partition("\n![")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert len(names) >= 7
    for name in names:
        path = workdir / name.replace("<step>", "2")
        assert path.exists(), name
        assert path.is_file() or any(path.iterdir()), name


@pytest.mark.timeout(600)
def test_four_lines_read_the_law_without_this_library(run):
    folder, _ = run
    (workdir,) = (folder / "runs").iterdir()
    lines = block_after("<!-- lines: law -->")
    assert len(lines.splitlines()) == 4
    assert lines.count("runs/cpu-1a2b3c4d/") == 1
    code = BLOCKER + lines.replace("cpu-1a2b3c4d", workdir.name)
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    law = json.loads((workdir / "result.json").read_text())["readouts"]["law"]
    alpha = float("nan") if law["alpha"] is None else law["alpha"]
    assert done.stdout.startswith(f"step 2: g0 = {law['g0']:.3f} m/s^2, alpha = {alpha:.3f};")


@pytest.mark.timeout(600)
def test_the_python_lines_open_a_run_and_predict(run):
    folder, _ = run
    (workdir,) = (folder / "runs").iterdir()
    code = block_after("<!-- lines: python -->").replace("runs/cpu-1a2b3c4d", str(workdir))
    names: dict = {}
    exec(code, names)
    opened, batch, pictures = names["run"], names["batch"], names["pictures"]
    assert (
        opened.step == 2
        and opened.readouts["law"] == json.loads((workdir / "result.json").read_text())["readouts"]["law"]
    )
    assert (
        pictures.shape == batch["pictures"][:, 4].shape
        and pictures.dtype == np.float32
        and 0 <= pictures.min() <= pictures.max() <= 1
    )
    without = {**batch, "pictures": batch["pictures"][:, :4]}
    assert np.allclose(opened.predict(without), pictures, atol=1e-5)
    with pytest.raises(UsageError, match=r"seed=1: .* holds 1 seed"):
        o2t_jax.load(workdir, seed=1)


@pytest.mark.timeout(600)
def test_the_same_command_resumes_and_equals_the_uninterrupted_run_bit_for_bit(run, tmp_path):
    """Buffer and random state included: step 2 must draw, render and compute what the first run's did."""
    folder, _ = run
    shutil.copytree(folder / "runs", tmp_path / "runs")
    (whole,), (cut,) = (folder / "runs").iterdir(), (tmp_path / "runs").iterdir()
    shutil.rmtree(cut / "checkpoints" / "2")
    (cut / "result.json").unlink()
    assert "from step 1 to 2" in first_command(tmp_path)
    before, *states = (open_workdir(folder, step).state for folder, step in ((whole, 1), (whole, 2), (cut, 2)))
    pairs = list(zip(*(jax.tree.leaves(s) for s in states), strict=True))
    assert len(pairs) > 100
    assert all(np.array_equal(a, b) for a, b in pairs)
    moved = [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(states[0]), strict=True)]
    assert sum(moved) > 100, "step 2 changed nothing: this compares too little"
    moments = [jax.tree.leaves(read_tree(find_step(folder, 2), "opt_state")) for folder in (whole, cut)]
    assert all(np.array_equal(a, b) for a, b in zip(*moments, strict=True)) and any(np.any(x) for x in moments[0])


def test_the_blocker_blocks():
    code = f"{BLOCKER}sys.path.insert(0, {str(ROOT)!r})\nimport o2t_jax"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "No module named 'o2t_jax'" in done.stderr


def ci_run(folder: Path, readme: str) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    (folder / "README.md").write_text(readme)
    environment = {**os.environ, "CI": "true"}
    return subprocess.run([folder / ".ci" / "run"], cwd="/", env=environment, capture_output=True, text=True)


def test_ci_runs_what_the_readme_shows(tmp_path):
    command = "test -f README.md && echo one && false && echo two"
    text = f"```\necho other\n```\n<!-- command: test -->\n```\n{command}\n```\n```\necho after\n```\n"
    done = ci_run(tmp_path, text)
    assert (done.returncode, done.stdout) == (1, f"+ {command}\none\n")
    assert block_after("<!-- command: test -->", text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- command: test -->\n",
        "<!-- command: test -->\n```\na\nb\n```\n",
        "<!-- command: test -->\n\n```\ntrue\n```\n",
    ],
)
def test_ci_refuses_a_readme_without_its_command(tmp_path, text):
    done = ci_run(tmp_path, text)
    assert done.returncode == 2
    assert done.stderr.startswith("error: README.md has no single command")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_the_pages_name_is_there(page):
    text = page.read_text()
    known = {name for system in SYSTEMS for name in declared(fields_of(system))}
    fields = {name.rstrip(".") for name in re.findall(r"--config\.([a-z][\w.]*)", text)}
    assert fields <= known, "fields that no config has"
    for module in set(re.findall(r"python -m ((?:experiments|benchmarks)(?:\.\w+)+)", text)):
        file = ROOT / module.replace("experiments.", "o2t_jax.commands.").replace(".", "/")
        assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file(), module
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link
    for path in set(re.findall(r"`(?:o2t_jax|experiments|tests|docs)/[\w./]+`", text)):
        assert (ROOT / path.strip("`")).exists(), path


def test_architecture_names_files_that_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text()
    parts = {path.name for path in (ROOT / "o2t_jax").iterdir() if path.is_dir()}
    named = {path for path in re.findall(r"`(\w+/[\w./]*)`", text) if path.split("/")[0] in parts}
    assert len(named) > 15
    for path in named:
        assert (ROOT / "o2t_jax" / path).exists(), path
    for part in parts - {"__pycache__"}:
        assert f"`o2t_jax/{part}/`" in text, f"the table of folders lacks {part}"


def test_every_config_is_in_the_table_and_states_command_time_and_result():
    table = (ROOT / "README.md").read_text().partition("| config |")[2].partition("\n\n")[0]
    for path in (ROOT / "o2t_jax" / "commands" / "configs").glob("[!_]*.py"):
        assert f"`{path.stem}`" in table, path.stem
        doc = path.read_text()
        assert all(word in doc for word in ("Command: ", "Time: ", "Expect: ")), path.stem


def test_options_of_the_original_have_their_row():
    table = (ROOT / "README.md").read_text().partition("| there | here |")[2].partition("\n\n")[0]
    same = "module train_steps batch lr base_ch latent_dim render_size pool_size initial_fill render_workers device"
    for name in same.split():
        assert re.search(rf"\| `--{name}[ `].*--config\.{name}=", table), name
    assert "--resume" in table
    assert ".pt" in table


def test_dependencies_are_pinned_and_no_host_is_named():
    text = (ROOT / "constraints.txt").read_text()
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    pin = re.compile(r"[a-z0-9-]+==[\w.]+( ; [\w<>=!.'() ]+)?$")
    assert all(pin.match(line) for line in pins), "only name==version ; marker"
    assert "://" not in text
    pinned = {line.partition("==")[0] for line in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=\[; ]", item)[0].lower().replace("_", "-") for item in wanted}
    assert names <= pinned


def test_imports_are_declared():
    """What the library imports is a dependency of its own or in an extra, not by luck another's."""
    from tests.test_layers import python_files, read_imports

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    extras = [item for extra in ("bench", "gym", "motion", "view") for item in optional.get(extra, ())]
    wanted = project["dependencies"] + extras
    declared = {re.split(r"[<>=\[; ]", item)[0].lower().replace("_", "-") for item in wanted}
    other_names = {
        "absl": "absl-py",
        "cv2": "opencv-python-headless",
        "orbax": "orbax-checkpoint",
        "pil": "pillow",
        "sklearn": "scikit-learn",
    }
    imported = {name.split(".")[0] for path in python_files("o2t_jax") for name in read_imports(path)}
    foreign = {name.lower() for name in imported - set(sys.stdlib_module_names) - {"o2t_jax"}}
    missing = {other_names.get(name, name).replace("_", "-") for name in foreign} - declared
    assert not missing
