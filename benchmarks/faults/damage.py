"""Damage to files: what a failing disk, an interrupted copy or a wrong command leaves."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

KINDS = ("flip", "truncate", "remove", "empty", "swap")


def damage(path: Path, kind: str, rng: random.Random, other: Path | None = None) -> bool:
    """Damages a file or, by "swap", exchanges it (or a folder) with `other`. False where that would change nothing."""
    if kind == "remove":
        path.unlink()
        return True
    if kind == "swap":
        if other is None or not other.exists() or (path.is_file() and path.read_bytes() == other.read_bytes()):
            return False
        aside = path.with_name(path.name + ".swapped")
        path.rename(aside)
        other.rename(path)
        aside.rename(other)
        return True
    content = bytearray(path.read_bytes())
    if not content:
        return False
    if kind == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "truncate":
        del content[rng.randrange(len(content)) :]
    else:
        content.clear()
    path.write_bytes(content)
    return True


def copy_of(folder: Path, target: Path) -> Path:
    """A fresh copy, to be damaged."""
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(folder, target)
