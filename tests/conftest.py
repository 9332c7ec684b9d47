"""Settings for all tests; they must stand before JAX is imported anywhere."""

import os
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # o2t_jax, experiments and tests, also without installing the project

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Under nohup SIGHUP is ignored, which our commands respect: the tests of signals need it as a terminal gives it.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
# Compiling takes a third of the time; what the tests compute is tiny.
HASTE = {"xla_backend_optimization_level": "0"}
if version("jaxlib").startswith("0.10."):  # XLA ends a program that gives it a flag it does not know
    HASTE["xla_cpu_use_fusion_emitters"] = "false"
given = os.environ.get("XLA_FLAGS", "")
added = [f"--{name}={value}" for name, value in HASTE.items() if name not in given]
os.environ["XLA_FLAGS"] = " ".join([given, *added]).strip()

# Files of a minute and more: first, so that two workers end together.
LONG = (
    "models/o2t/test_network.py",
    "models/o2t/test_forms.py",
    "systems/test_o2t_system.py",
    "systems/test_lowering.py",
    "systems/test_every_system.py",
    "test_roomphys_command.py",
    "training/test_runs.py",
    "test_readme.py",
    "evaluation/o2t/test_close_ups.py",
)


def pytest_configure(config):
    """Files in the order given: pytest-xdist would put those with few tests last, and they are the long ones."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    names = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: names.get(item.path, len(LONG)))


@pytest.fixture(autouse=True)
def plain_form_again():
    """A command run in this process chooses the form of the network's operations: not for the next test."""
    yield
    if ops := sys.modules.get("o2t_jax.models.ops"):
        ops.use("plain")
