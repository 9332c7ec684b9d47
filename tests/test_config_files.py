"""Config files: their names and variants; what a file gets wrong is one line, exit code 2, and nothing is touched."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from o2t_jax.commands import _cli, _config, train
from o2t_jax.commands._config import load, load_config
from o2t_jax.config import config_of, declared, put
from o2t_jax.data.ring import BUFFERS
from o2t_jax.errors import UsageError
from o2t_jax.limits import Limits
from o2t_jax.physics.gravity import LAWS
from o2t_jax.render.scenes import SCENES
from o2t_jax.systems import SYSTEM_FIELDS, SYSTEMS, base_config, fields_of
from o2t_jax.training.parallel import DEVICE_CHOICES

DICT = "from ml_collections import ConfigDict\n"
BASE = (
    "from o2t_jax.systems.base_config import base\ndef get_config():\n    config = base()\n    config.system = 'a.b'\n"
)
SMOKE = "from o2t_jax.commands.configs import smoke\ndef get_config():\n    config = smoke.get_config()\n"


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


MISTAKES = {
    "mistyped": (f"{SMOKE}    config.learning_rate = 1e-2\n    return config\n", "'learning_rate'; did you mean 'lr'"),
    "mistyped_world": (f"{SMOKE}    config.world.alfa = 8.0\n    return config\n", "did you mean 'world.alpha'?"),
    "unlike_any": (f"{SMOKE}    config.zzz = 8.0\n    return config\n", "no field 'zzz'; --help lists all fields"),
    "no_clip": (
        f"{SMOKE}    config.clip = None\n    return config\n",
        "clip=None: it must be a number (largest global",
    ),
    "no_seed": (f"{SMOKE}    config.seed = None\n    return config\n", "seed=None: it must be a whole number"),
    "no_bool": (f"{SMOKE}    config.remat = None\n    return config\n", "remat=None: it must be True or False"),
    "placeholder": (
        "from ml_collections import config_dict\n"
        f"{SMOKE}    config.memory_gb = config_dict.placeholder(float)\n    return config\n",
        "memory_gb=None",
    ),
    "required": (
        "from ml_collections import config_dict\n"
        f"{SMOKE}    config.memory_gb = config_dict.required_placeholder(float)\n    return config\n",
        "memory_gb",
    ),
    "nan": (f"{SMOKE}    config.lr = float('nan')\n    return config\n", "lr=nan is not a finite number"),
    "inf": (
        f"{SMOKE}    config.world.alpha = float('-inf')\n    return config\n",
        "world.alpha=-inf is not a finite number",
    ),
    "no_return": (f"{SMOKE}    config.train_steps = 1\n", "get_config() returns nothing: end it with `return config`"),
    "frozen": (
        f"from ml_collections import FrozenConfigDict\n{SMOKE}    return FrozenConfigDict(config)\n",
        "FrozenConf",
    ),
    "a_dict": (f"{SMOKE}    return config.to_dict()\n", "returns a dict: return a ml_collections.ConfigDict"),
    "path": (
        f"import pathlib\n{SMOKE}    config.module_cache = pathlib.Path('x')\n    return config\n",
        "module_cache",
    ),
    "numpy": (
        f"import numpy\nfrom ml_collections import ConfigDict\n{SMOKE}"
        "    return ConfigDict({**config.to_dict(), 'batch': numpy.int64(4)})\n",
        "batch=",
    ),
    "a_set": (
        f"{DICT}{SMOKE}    return ConfigDict({{**config.to_dict(), 'scene': {{'a'}}}})\n",
        "scene={'a'} (set): a config holds",
    ),
    "wrong_type": (
        f"from ml_collections import ConfigDict\n{SMOKE}    return ConfigDict({{**config.to_dict(), 'batch': '4'}})\n",
        "batch='4' must be a whole number",
    ),
    "few": (
        "from ml_collections import ConfigDict\n"
        "def get_config():\n    return ConfigDict({'system': 'o2t', 'train_steps': 1})\n",
        "the config lacks seed, batch, lr, init_from, ",
    ),
    "none_at_all": ("from ml_collections import ConfigDict\nget_config = ConfigDict\n", "lacks the field system"),
    "assigned_type": (f"{SMOKE}    config.batch = 'four'\n    return config\n", "line 4: TypeError"),
    "locked": (f"{SMOKE}    config.lock()\n    config.bacth = 3\n    return config\n", "line 5: AttributeError"),
    "fails": (f"{SMOKE}    1 / 0\n", "line 4: ZeroDivisionError: division by zero"),
    "syntax": ("def get_config(:\n", "line 1: SyntaxError"),
    "import": ("import nowhere_at_all\n", "line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
    "exits": ("import sys\nsys.exit(0)\n", "line 2: SystemExit"),
    "no_function": ("get_config = 3\n", "the file has no function get_config()"),
    "long": (f"{SMOKE}    raise ValueError('very ' * 1000)\n", "line 4: ValueError: very very"),
    "own_near": (f"{BASE}    config.train_step = 3\n    return config\n", "did you mean 'train_steps'?"),
    "own_undeclared": (
        "from tests.training import toy_config\nFIELDS = toy_config.FIELDS\n"
        "def get_config():\n    config = toy_config.get_config()\n    config.learning_rate = 3.0\n    return config\n",
        "no field 'learning_rate'; did you mean 'lr'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_file_is_one_line_that_names_file_and_cure(name, tmp_path, capsys) -> None:
    text, says = MISTAKES[name]
    file = write(tmp_path, text)
    assert train.main([f"--config={file}", f"--workdir={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and len(error) < 700
    assert says in error and str(file) in error
    assert not (tmp_path / "run").exists()


def test_none_in_a_text_is_an_empty_text_and_a_whole_number_is_a_number(tmp_path) -> None:
    text = f"{SMOKE}    config.init_from = config.module = config.scene = None\n    config.lr = 1\n    return config\n"
    _, config = load_config(str(write(tmp_path, text)))
    assert (config.init_from, config.module, config.scene) == ("", "", "")
    rebuilt = f"from ml_collections import ConfigDict\n{SMOKE}    return ConfigDict(config.to_dict() | {{'lr': 2}})\n"
    _, config = load_config(str(write(tmp_path, rebuilt)))
    assert config.lr == 2.0 and isinstance(config.lr, float)


def test_a_part_that_a_file_replaces_gets_the_defaults_of_what_it_lacks(tmp_path) -> None:
    file = write(tmp_path, f"{SMOKE}    config.world = {{'g0': 3, 'alpha': 2.0}}\n    return config\n")
    _, config = load_config(str(file))
    assert (config.world.law, config.world.g0, config.world.alpha) == ("hyperbolic", 3.0, 2.0)
    file = write(tmp_path, f"{SMOKE}    config.world = {{'g0': 3, 'alfa': 2.0}}\n    return config\n")
    with pytest.raises(UsageError, match=r"no field 'world\.alfa'; did you mean 'world\.alpha'"):
        load(str(file))


def test_a_system_of_ones_own_declares_its_fields(tmp_path) -> None:
    loaded = load("tests/training/toy_config.py")
    assert "slope" in declared(loaded.groups) and loaded.config.slope == 3.0
    undeclared = load(str(write(tmp_path, f"{BASE}    config.mass = 3.0\n    return config\n")))
    assert undeclared.config.mass == 3.0 and "mass = 3.0" in _config.describe(undeclared)


def test_a_variant_is_handed_to_get_config(tmp_path) -> None:
    takes = write(
        tmp_path, SMOKE.replace("()", "(size='32')", 1) + "    config.render_size = int(size)\n    return config\n"
    )
    assert load_config(str(takes))[1].render_size == 32
    name, config = load_config(f"{takes}:64")
    assert config.render_size == 64 and name == "mine-64"
    with pytest.raises(UsageError, match=r"mine\.py:x y: line 4: ValueError"):
        load(f"{takes}:x y")
    with pytest.raises(UsageError, match=r"mine\.py:64: get_config\(\) takes no variant: leave out :64"):
        load(f"{write(tmp_path, SMOKE + '    return config')}:64")
    needs = write(tmp_path, SMOKE.replace("()", "(kind)", 1) + "    return config\n")
    with pytest.raises(UsageError, match=r"get_config\(kind\) needs a variant: write --config=FILE:VARIANT"):
        load(str(needs))
    with pytest.raises(UsageError, match=r"nowhere\.py:64: no such file 'nowhere\.py'"):
        load("nowhere.py:64")
    with pytest.raises(UsageError, match=r"drag:64: get_config\(\) takes no variant"):
        load("drag:64")
    colon = write(tmp_path, SMOKE + "    return config\n", "at:noon.py")
    assert load(str(colon)).name == "at-noon"


def test_configs_in_subfolders_have_names_and_run_folders_of_their_own(tmp_path, monkeypatch) -> None:
    configs = tmp_path / "configs"
    shutil.copytree(_config.CONFIGS, configs, ignore=shutil.ignore_patterns("__pycache__"))
    write(configs, SMOKE.replace("()", "(core='mlp')", 1) + "    return config\n", "dynamics/pendulum.py")
    write(configs, SMOKE + "    return config\n", "discs/cpu.py")
    monkeypatch.setattr(_config, "CONFIGS", configs)
    assert {"cpu", "discs/cpu", "dynamics/pendulum"} <= set(_config.names())
    assert [load(text).name for text in ("cpu", "discs/cpu", "dynamics/pendulum:lnn", "dynamics/pendulum")] == [
        "cpu",
        "discs-cpu",
        "dynamics-pendulum-lnn",
        "dynamics-pendulum",
    ]
    assert load(str(configs / "discs" / "cpu.py")).name == "discs-cpu"
    for wrong, near in (("pendulm", "dynamics/pendulum"), ("discs/cpuu.py", "discs/cpu"), ("smok", "smoke")):
        with pytest.raises(UsageError, match=f"did you mean '{near}'"):
            load(wrong)
    with pytest.raises(UsageError, match="did you mean 'dynamics/pendulum'"):
        load("pendulum:lnn")


@pytest.mark.parametrize("name", _config.names())
def test_an_unknown_variant_of_each_config_is_refused_with_the_nearest(name) -> None:
    with pytest.raises(UsageError) as refused:
        load(f"{name}:of no config")
    message = str(refused.value)
    assert "\n" not in message and f"{name}:of no config: " in message
    if "get_config() takes no variant" in message:
        return
    known = re.fullmatch(r".*='of no config' is unknown: choose one of (.*?)(, or leave it out)?", message)
    assert known, message
    for variant in known[1].split(", "):
        assert load(f"{name}:{variant}").config.system  # what is named is taken
        near = f"{variant}e"
        with pytest.raises(UsageError, match=rf"='{near}' is unknown: did you mean '{variant}'\?"):
            load(f"{name}:{near}")


@pytest.mark.parametrize("text", ["", ":", ":64", ".", "experiments", "x" * 5000, "a\0b", "x:" * 50, "nowhere/cpu.py"])
def test_what_is_no_file_is_refused(text) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load(text)


def test_a_file_elsewhere_is_named_by_its_path_from_here(tmp_path, monkeypatch) -> None:
    file = write(tmp_path, SMOKE + "    return config\n", "studies/small.py")
    assert load(str(file)).name == "small"
    monkeypatch.chdir(tmp_path)
    assert load("studies/small.py").name == load(str(file)).name == "studies-small"
    assert load("cpu").name == "cpu"


def test_the_clones_path_of_a_config_is_found_from_everywhere_unless_a_file_is_there(tmp_path, monkeypatch) -> None:
    here = load("experiments/configs/dynamics/pendulum.py:lstm")
    monkeypatch.chdir(tmp_path)
    assert load("experiments/configs/dynamics/pendulum.py:lstm") == here and here.name == "dynamics-pendulum-lstm"
    write(tmp_path / "experiments" / "configs", f"{SMOKE}    config.lr = 0.5\n    return config\n", "cpu.py")
    assert load("experiments/configs/cpu.py").config.lr == 0.5
    with pytest.raises(UsageError, match="did you mean 'smoke'"):
        load("experiments/configs/smok.py")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_field_of_a_registered_system_has_a_meaning(system) -> None:
    assert set(SYSTEM_FIELDS) == set(SYSTEMS)
    for field in declared(fields_of(system)).values():
        assert len(field.meaning.split()) >= 2 and "\n" not in field.meaning, field.name
        assert not field.choices or field.default in field.choices, field.name
        assert field.within == Limits() or field.within.hold(field.default), field.name


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_value_outside_a_fields_limits_is_refused_in_one_line(system) -> None:
    groups = fields_of(system)
    wrong: list[tuple[str, object]] = []
    for field in declared(groups).values():
        limits, kind = field.within, type(field.default)
        wrong += [(field.name, "neither")] if field.choices else []
        wrong += [(field.name, kind(limits.least - (not limits.above)))] if math.isfinite(limits.least) else []
        wrong += [(field.name, kind(limits.most + (not limits.below)))] if math.isfinite(limits.most) else []
    for name, value in wrong:
        config = config_of(groups)
        put(config, name, value)
        with pytest.raises(UsageError, match=rf"^{re.escape(name)}=.*(unknown|must)"):
            base_config.validate(config, groups)


def test_help_shows_each_field_once_with_its_meaning_and_needs_no_jax() -> None:
    code = "import sys; from o2t_jax.commands import train; train.main(['--help']); print('jax' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lines = out.splitlines()
    assert lines[-1] == "False" and "free_fields" not in out
    for name, field in declared(fields_of("o2t")).items():
        shown = [i for i, line in enumerate(lines) if line.startswith(f"  {name} = ")]
        assert len(shown) == 1, name
        assert field.meaning.split()[0] in " ".join(lines[shown[0] : shown[0] + 2]), name
    assert "Pictures and times" in lines and "FILE:VARIANT" in out


def test_help_names_what_is_registered_elsewhere() -> None:
    """Texts that a heavy import would be needed for, and so are written by hand."""
    fields = declared(fields_of("o2t"))
    for name, known in (("scene", SCENES), ("buffer", BUFFERS), ("device", DEVICE_CHOICES)):
        assert all(word in fields[name].meaning for word in known), name
    assert fields["buffer"].choices == BUFFERS and fields["world.law"].choices == tuple(LAWS)


def test_a_tuple_is_typed_with_commas(capsys, tmp_path) -> None:
    for typed, found in (("console,jsonl", ("console", "jsonl")), ("console", ("console",)), ("", ())):
        arguments, rest = _cli._parse(flags.FlagValues(), ["--config=smoke", f"--config.writers={typed}"], True)
        assert arguments.config.writers == found and not rest
    arguments, _ = _cli._parse(flags.FlagValues(), ["--config=smoke", "--config.writers=('a:b',)"], True)
    assert arguments.config.writers == ("a:b",)
    assert train.main(["--config=smoke", "--config.writers=consol,jsonl", f"--workdir={tmp_path / 'run'}"]) == 2
    assert "writers='consol' is unknown: did you mean 'console'?" in capsys.readouterr().err
