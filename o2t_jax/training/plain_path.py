"""A folder under a name that Orbax and TensorStore take for what it is.

Orbax looks for the files it has written by `glob.glob(folder + "/ocdbt.process_*")`. Where the folder's own name holds
a pattern character it finds none, says nothing, and leaves a checkpoint that nobody can read. TensorStore takes no name
that is not UTF-8, and a part that ends in a colon is taken for a bucket's scheme.
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
    """Raises UsageError where checkpoints cannot be kept in `folder` (there or not) for its name alone."""
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
    """`folder` itself where its absolute name is plain, else the same folder by its number in this process (Linux).

    Args: `folder`, which is there.

    Raises:
        UsageError: the name is not plain and this system gives folders no other.
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
