"""RoomPhys' submission files and its score (Obs2Law-Arena, room part), from their published description.

A file holds one block per problem: `[id]`, `g0 = ...` (m/s^2), `alpha = ...` (m^2/s^2). The score, lower is better, is
0.7 mean over z in {0, 0.1 .. 20 m} of |g_found - g_true| + 0.3 (|dg0| / |g0| + |dalpha| / max(|alpha|, 0.1)).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from o2t_jax.errors import UsageError

Law = tuple[float, float]
MISSING = 10.0
HEIGHTS = np.arange(0.0, 20.01, 0.1)
_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_KEY = re.compile(rf"g\(z\)\s*=\s*{_NUMBER}\s*\+\s*{_NUMBER}\s*/\s*\(z\s*\+\s*10\)")


def beside(out: Path) -> Path:
    """The file of the laws in the weights: `-weights` in the name of the refined laws' file."""
    return out.with_name(f"{out.stem}-weights{out.suffix}")


def write(path: Path, laws: Mapping[str, Law], what: str) -> None:
    """A submission of (g0, alpha) by problem id; `what` goes into the comment at its top."""
    # No comment after a value: the benchmark's reader would parse it as part of the number.
    blocks = [f"[{name}]\ng0 = {g0:.6f}\nalpha = {alpha:.6f}\n" for name, (g0, alpha) in laws.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"# {what}\n", *blocks]))


def read(path: Path) -> dict[str, dict[str, float]]:
    """Problem id -> the given ones of g0 and alpha. As in the benchmark, a value that is not a number is missing."""
    found: dict[str, dict[str, float]] = {}
    block = None
    for line in map(str.strip, _text(path, "submission").splitlines()):
        if not line or line.startswith("#"):
            continue
        header = re.match(r"\[(\w+)\]", line)
        if header:
            block = found[header.group(1)] = {}
        elif "=" in line and block is not None:
            name, _, value = line.partition("=")
            try:
                block[name.strip().lower()] = float(value)
            except ValueError:
                continue
    return found


def read_key(path: Path) -> tuple[str, Law]:
    """Problem id and true (g0, alpha) of a published answer key. Raises: UsageError, which does not quote the key."""
    text = _text(path, "--score")
    name = re.search(r"^\s*Function ID\s*:\s*(\w+)\s*$", text, re.MULTILINE)
    law = _KEY.search(text)
    if name is None or law is None:
        raise UsageError(
            f"--score={path}: not an answer key: it needs the lines 'Function ID : ...' and 'Gravity : g(z) = ...'"
        )
    return name.group(1), (float(law.group(1)), float(law.group(2)))


def score(found: Mapping[str, float], truth: Law) -> float:
    """The benchmark's score of one problem; `MISSING` if g0 or alpha is missing."""
    if not {"g0", "alpha"} <= set(found):
        return MISSING
    delta_g0, delta_alpha = found["g0"] - truth[0], found["alpha"] - truth[1]
    curve = float(np.mean(np.abs(delta_g0 + delta_alpha / (HEIGHTS + 10.0))))
    parameters = abs(delta_g0) / abs(truth[0]) + abs(delta_alpha) / max(abs(truth[1]), 0.1)
    return 0.7 * curve + 0.3 * parameters


def score_file(path: Path, keys: Sequence[Path]) -> dict[str, float]:
    """Score of each key's problem in a submission, and their `mean`. The truth itself is not revealed."""
    laws = read(path)
    scores = {name: score(laws.get(name, {}), truth) for name, truth in map(read_key, keys)}
    return {**scores, "mean": float(np.mean(list(scores.values())))}


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise UsageError(f"{what}: {path} cannot be read ({error.strerror})") from None


__all__ = ["MISSING", "beside", "read", "read_key", "score", "score_file", "write"]
