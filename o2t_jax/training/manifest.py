"""SHA-256 manifest of a checkpoint: Orbax restores a flipped byte without an error, so every file is checked first."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from o2t_jax.errors import UsageError

NAME = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Hashes every file of the checkpoint's items. Files beside the items are left out: Orbax still changes them."""
    digests = {
        str(path.relative_to(folder)): _digest(path)
        for item in sorted(folder.iterdir())
        if item.is_dir()
        for path in sorted(item.rglob("*"))
        if path.is_file()
    }
    temporary = folder / (NAME + ".tmp")
    temporary.write_text(json.dumps({"sha256": digests}, indent=1))
    temporary.replace(folder / NAME)


def verify_manifest(folder: Path) -> None:
    """Raises UsageError if a file of the checkpoint is missing or differs from the saved one."""
    try:
        digests = json.loads((folder / NAME).read_text())["sha256"]
    except FileNotFoundError:
        raise _damaged(folder, f"has no {NAME}") from None
    except (ValueError, KeyError, TypeError):
        raise _damaged(folder, f"has an unreadable {NAME}") from None
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise _damaged(folder, f"lacks the file {name}")
        if _digest(path) != digest:
            raise _damaged(folder, f"is damaged: {name} does not match its SHA-256")


def _damaged(folder: Path, what: str) -> UsageError:
    step = int(folder.name)
    earlier = [int(p.name) for p in folder.parent.iterdir() if p.name.isdigit() and int(p.name) < step]
    then = f"resume from step {max(earlier)}" if earlier else "start again from step 0"
    return UsageError(f"the checkpoint of step {step} {what}: delete the folder {folder} to {then}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
