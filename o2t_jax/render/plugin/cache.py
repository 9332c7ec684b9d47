"""Pictures on disk, so that a slow plug-in module never renders the same picture twice."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from o2t_jax.errors import UsageError

# 2: files of format 1 may hold another camera's pictures, where a module reuses the memory that it draws into.
_MAGIC = b"O2TPIC2\n"
_DIGEST = hashlib.sha256
_DIGEST_BYTES = _DIGEST().digest_size
# Level 1 compresses a rendered room to about a twentieth; higher levels save little more and take far longer.
_LEVEL = 1
_ABANDONED_S = 3600.0


class PictureCache:
    """Render calls and their pictures under `folder`, one file a call, for one module.

    A file holds: magic, the key's digest, a SHA-256 over the rest, the compressed bytes. It appears under its name
    complete or not at all (written to a temporary file, then renamed). A damaged file is treated as absent and
    written again.

    Raises: UsageError where `folder` cannot be made or written.
    """

    def __init__(self, folder: str | os.PathLike[str], module_digest: str) -> None:
        self._folder = Path(folder) / module_digest[:16]
        self._module = module_digest
        self._warned = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
            self._remove_abandoned()
        except OSError as error:
            raise UsageError(
                f"cache folder {str(folder)!r} for the module's pictures: cannot be written ({error.strerror}): "
                "set --config.module_cache=off, or to a folder that can"
            ) from None

    def _remove_abandoned(self) -> None:
        """Removes what killed processes were writing; another one may write a younger file just now."""
        for part in self._folder.glob("*/.part-*"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _ABANDONED_S:
                    part.unlink()

    def key(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> bytes:
        """Digest of the module and of all arguments of a render call (float64 arrays, by value)."""
        head = f"{self._module} {setup_seed} {image_size[0]} {image_size[1]} {len(times)}\n".encode()
        # Adding 0.0 makes -0.0 and 0.0 the same key.
        return _DIGEST(head + b"".join((a.astype("<f8") + 0.0).tobytes() for a in (times, angles, positions))).digest()

    def path(self, key: bytes) -> Path:
        """File of the render call `key`."""
        return self._folder / key.hex()[:2] / f"{key.hex()}.pic"

    def load(self, key: bytes, shape: tuple[int, ...]) -> np.ndarray | None:
        """The pictures uint8 `shape` of `key`; None where they are absent or damaged."""
        try:
            data = self.path(key).read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + 2 * _DIGEST_BYTES
        body = memoryview(data)[start:]
        if len(data) < start or data[: start - _DIGEST_BYTES] != _MAGIC + key:
            return None
        if data[start - _DIGEST_BYTES : start] != _DIGEST(body).digest():
            return None
        size = int(np.prod(shape))
        unpacker = zlib.decompressobj()
        try:
            raw = unpacker.decompress(body, size + 1)
        except zlib.error:  # though its sum is right: another program wrote it
            return None
        whole = unpacker.eof and not unpacker.unused_data and len(raw) == size
        return np.frombuffer(bytearray(raw), np.uint8).reshape(shape) if whole else None

    def store(self, key: bytes, pictures: np.ndarray) -> None:
        """Keeps uint8 `pictures` under `key`. A full disk costs a warning, not the run."""
        body = zlib.compress(np.ascontiguousarray(pictures).tobytes(), _LEVEL)
        path = self.path(key)
        part = None
        try:
            path.parent.mkdir(exist_ok=True)
            descriptor, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_MAGIC + key + _DIGEST(body).digest())
                file.write(body)
            os.replace(part, path)
        except OSError as error:
            if part is not None:
                with contextlib.suppress(OSError):
                    os.unlink(part)
            if not self._warned:
                self._warned = True
                logging.getLogger(__name__).warning("pictures are no longer kept on disk: %s", error.strerror)
