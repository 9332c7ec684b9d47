"""Captions of recorded motions: a JSON file in the form of TMR's annotations of KIT-ML (docs/scene.md).

{"00001": {"path": "KIT/4/Walking01", "annotations": [{"text": "A person is walking."}, ...]}, ...}
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of


class Captioned(NamedTuple):
    """A motion: its number in the file, the clip's path as the file has it, and what people said of it."""

    name: str
    path: str
    texts: tuple[str, ...]


def read_motion_captions(path: Path) -> list[Captioned]:
    """All motions that have a caption. Raises: UsageError where the file cannot be read or has another form."""
    try:
        found = [
            Captioned(name, str(entry["path"]), tuple(str(said["text"]).strip() for said in entry["annotations"]))
            for name, entry in json_of(path.read_text("utf-8")).items()
        ]
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): give a JSON file of motions' captions") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no file of motions' captions: its form is in docs/scene.md") from None
    found = [motion for motion in found if motion.texts]
    if not found:
        raise UsageError(f"{path} has no captions")
    return found


__all__ = ["Captioned", "read_motion_captions"]
