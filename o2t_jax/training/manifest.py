"""SHA-256 manifest of a checkpoint: Orbax restores a flipped byte without an error, so every file is checked first."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from o2t_jax.errors import UsageError
from o2t_jax.parsing import inside, json_of

NAME = "manifest.json"


class DamagedError(UsageError):
    """A checkpoint of which a byte, a file or its place is not what was saved."""


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


def verify_manifest(folder: Path, item: str = "") -> None:
    """Raises DamagedError if a file of the checkpoint (of one `item`) is missing or differs from the saved one."""
    for name, digest in _digests(folder).items():
        if not name.startswith(f"{item}/" if item else ""):
            continue
        path = folder / name
        if not inside(folder, name):
            raise damaged(folder, f"names the file {name[:60]!r}, which is outside of it or no name")
        if not path.is_file():
            raise damaged(folder, f"lacks the file {name!r}" if not name.isprintable() else f"lacks the file {name}")
        if _digest(path) != digest:
            raise damaged(folder, f"is damaged: {name} does not match its SHA-256")


def has_item(folder: Path, item: str) -> bool:
    """Whether the checkpoint was saved with this item. Raises DamagedError without a readable manifest."""
    return any(name.startswith(f"{item}/") for name in _digests(folder))


def damaged(folder: Path, what: str) -> DamagedError:
    """The error that names the step and the cure, for a checkpoint's `folder`."""
    step = int(folder.name)
    earlier = [int(p.name) for p in folder.parent.iterdir() if p.name.isdigit() and int(p.name) < step]
    then = f"resume from step {max(earlier)}" if earlier else "start again from step 0"
    return DamagedError(f"the checkpoint of step {step} {what}: delete the folder {folder} to {then}")


def _digests(folder: Path) -> dict[str, str]:
    """File -> SHA-256, of at least the metadata: a manifest of nothing vouches for nothing."""
    try:
        digests = json_of((folder / NAME).read_bytes())["sha256"]
        if any(name.startswith("meta/") for name in digests) and all(isinstance(x, str) for x in digests.values()):
            return digests
    except FileNotFoundError:
        raise damaged(folder, f"has no {NAME}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        pass
    raise damaged(folder, f"has an unreadable {NAME}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
