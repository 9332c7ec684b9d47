"""A path to a folder that Orbax and TensorStore interpret literally.

Orbax looks for the files it has written by `glob.glob(folder + "/ocdbt.process_*")`. If the folder's own name contains
a pattern character, Orbax finds none, reports no error, and leaves an unreadable checkpoint. TensorStore rejects names
that are not UTF-8, and interprets a part that ends in a colon as a bucket's scheme.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from o2t_jax.errors import UsageError

_PLAIN = re.compile(r"[\w./ +,=@%~#&$(){}|'\"-]*")  # \w: letters and digits of any script, no lone surrogates
_DESCRIPTORS = Path("/proc/self/fd")


def check_name(folder: Path) -> None:
    """Raises UsageError if checkpoints cannot be kept in `folder` (existing or not) because of its name."""
    name = str(folder.resolve())
    if _PLAIN.fullmatch(name) or _DESCRIPTORS.is_dir():
        return
    strange = sorted({character for character in name if not _PLAIN.fullmatch(character)})
    raise UsageError(
        f"{name!r}: checkpoints cannot be kept under a name with {' '.join(map(repr, strange))} on this system: "
        "choose another --workdir"
    )


@contextlib.contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """`folder` itself if its absolute name is plain, else the same folder by its file descriptor (Linux).

    Args: `folder`, which must exist.

    Raises:
        UsageError: the name is not plain and this system provides no path by descriptor.
    """
    check_name(folder)
    folder = folder.resolve()
    if _PLAIN.fullmatch(str(folder)):
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _DESCRIPTORS / str(descriptor)
    finally:
        os.close(descriptor)
