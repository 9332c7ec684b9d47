"""A run's provenance: each start of its command, with versions and devices, in `sessions.jsonl`."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Any

from o2t_jax.parsing import json_of

SESSIONS = "sessions.jsonl"
PACKAGES = (
    *("o2t_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "opencv-python-headless", "av"),
    *("grain", "array_record"),
)


def record_start(workdir: Path, *, command: str, step: int, devices: str, cores: int) -> None:
    """Adds a line: time, first `step`, `command`, `devices`, cores, and versions. `workdir` must exist."""
    session = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "step": step,
        "command": command,
        "devices": devices,
        "cores": cores,
        "platform": platform.platform(),
        "versions": {"python": platform.python_version(), **versions()},
    }
    with (workdir / SESSIONS).open("a") as file:
        file.write(json.dumps(session) + "\n")


def versions() -> dict[str, str]:
    """Installed version of each of `PACKAGES`; missing ones are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read_sessions(workdir: str | Path) -> list[dict[str, Any]]:
    """The starts of a run, oldest first; an incomplete line is skipped."""
    path = Path(workdir) / SESSIONS
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            session = json_of(line)
        except ValueError:
            continue
        if isinstance(session, dict):
            found.append(session)
    return found
