"""The environment of a program that a test starts, with simulated devices."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def simulated(count: int) -> dict[str, str]:
    """This process' environment, the project on its path, `count` devices made of one CPU."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={count}"
    return {**os.environ, "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
