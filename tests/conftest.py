"""Settings for all tests; they must stand before JAX is imported anywhere."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # o2t_jax, experiments and tests, also without installing the project

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling takes a fraction of the time; what the tests compute is tiny.
if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
