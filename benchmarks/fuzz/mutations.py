"""Random changes of a valid file's bytes: those of damage, and those of somebody who means harm."""

from __future__ import annotations

import random
import re

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
STRANGE = (
    b"-1",
    b"0",
    b"1e400",
    b"-1e308",
    b"NaN",
    b"nan",
    b"inf",
    b"-Infinity",
    b"2147483648",
    b"99999999999999999999",
    b"1" * 400,
    b"null",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
    b"",
)
TOKENS = (
    b"\n",
    b"\r\n",
    b"\0",
    b'"',
    b",",
    b"\t",
    b";",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"../../x",
    b"/etc/x",
    b"\xff\xfe",
    b"%n",
)
INTEGERS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\x01\0")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """`data` with 1 to 4 changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = rng.choice(KINDS)(data, rng)
    return data


def flip(data: bytes, rng: random.Random) -> bytes:
    """One bit of 1 to 8 bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Random bytes, or signs with a meaning."""
    at = rng.randint(0, len(data))
    new = rng.choice(TOKENS) if rng.random() < 0.7 else rng.randbytes(rng.randint(1, 16))
    return data[:at] + new + data[at:]


def remove(data: bytes, rng: random.Random) -> bytes:
    first, last = sorted(rng.randint(0, len(data)) for _ in range(2))
    return data[:first] + data[min(last, first + 64) :]


def duplicate(data: bytes, rng: random.Random) -> bytes:
    """A block, 1 to 50 times."""
    first = rng.randint(0, len(data))
    block = data[first : first + rng.randint(1, 64)]
    return data[:first] + block * rng.choice((1, 1, 2, 50)) + data[first:]


def swap_lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def number(data: bytes, rng: random.Random) -> bytes:
    """A number of the text becomes huge, negative, none, or something else."""
    found = list(NUMBER.finditer(data))
    if not found:
        return overwrite(data, rng)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(STRANGE) + data[one.end() :]


def overwrite(data: bytes, rng: random.Random) -> bytes:
    """Four bytes with an integer that is huge, negative or 0: sizes in headers."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(INTEGERS) + data[at + 4 :]


def nest(data: bytes, rng: random.Random) -> bytes:
    """Brackets without end, in place of a value or anywhere."""
    depth = rng.choice((5, 99, 101, 900, 5000))
    begin, end = rng.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")")))
    found = list(NUMBER.finditer(data))
    at = rng.choice(found).start() if found else rng.randint(0, len(data))
    return data[:at] + begin * depth + b"1" + end * depth * rng.randint(0, 1) + data[at:]


# Nesting is long, so it comes less often.
KINDS = (flip, truncate, insert, remove, duplicate, swap_lines, number, overwrite) * 3 + (number, number, nest)

__all__ = ["mutated"]
