"""Arrays of a .safetensors file, read without PyTorch: a length, a JSON header, the numbers one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Name -> array. Raises: UsageError for a file that is missing, damaged, or has numbers of another type."""
    try:
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json_of(content[8 : 8 + size])
        found = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            kind = _type(entry["dtype"], path)
            numbers = np.frombuffer(content, kind, (last - first) // kind.itemsize, 8 + size + first)
            found[name] = numbers.reshape(entry["shape"])
    except UsageError:  # a ValueError too
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UsageError(f"{path} is no whole .safetensors file ({error}): copy it again") from None
    return found


def _type(name: str, path: Path) -> np.dtype:
    if name == "BF16":
        import jax.numpy as jnp

        return np.dtype(jnp.bfloat16)
    if name not in _TYPES:
        raise UsageError(f"{path} has numbers of type {name}; known are BF16, {', '.join(_TYPES)}")
    return np.dtype(_TYPES[name])


__all__ = ["read_safetensors"]
