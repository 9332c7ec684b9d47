"""Changes that coverage steers, by atheris (libFuzzer): `python -m benchmarks.fuzz --guided` runs this for a parser.

Inputs that reach new edges of the library are kept and changed further. libFuzzer ends the process, and its output is
what is known of it. atheris is in no extra: `pip install atheris` (Linux).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from benchmarks.fuzz.parsers import parsers
from o2t_jax.errors import UsageError

_FLAGS = ("-print_final_stats=1", "-seed=1", "-len_control=0", "-rss_limit_mb=8192", "-timeout=60")
_STATS = {"n": r"stat::number_of_executed_units: (\d+)", "edges": r"cov: (\d+)"}


def check_atheris() -> None:
    """Raises UsageError where it is not installed."""
    if importlib.util.find_spec("atheris") is None:
        raise UsageError("--guided needs atheris: pip install atheris (Linux)")


def fuzz(name: str, count: int, seconds: float) -> dict[str, Any]:
    """`n` inputs tried, `edges` of the library's code reached, `failed` (0 or 1: it stops there), `failures`."""
    command = [sys.executable, "-m", "benchmarks.fuzz.guided", name]
    longest = max(int(min(seconds, 1e6)), 1)
    command += [f"-runs={count}", f"-max_total_time={longest}", *_FLAGS]
    with tempfile.TemporaryDirectory(prefix="guided-") as folder:
        done = subprocess.run(
            [*command, f"-artifact_prefix={folder}/"],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            errors="replace",
        )
    said = done.stderr + done.stdout
    found = {key: int((re.findall(pattern, said) or ["0"])[-1]) for key, pattern in _STATS.items()}
    failures = [{"error": said[-800:]}] if done.returncode else []
    return found | {"failed": len(failures), "failures": failures}


def main(argv: list[str]) -> None:
    """A parser's name, then libFuzzer's flags. Does not return."""
    atheris: Any = importlib.import_module("atheris")
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="guided-"))
    with atheris.instrument_imports(include=["o2t_jax"], enable_loader_override=False):
        parser = parsers(folder)[argv[1]]()
    names = sorted(parser.seeds)
    corpus, scratch = folder / "corpus", folder / "scratch"
    for place in (corpus, scratch):
        place.mkdir()
    for number, name in enumerate(names):  # the first byte says which of the files it is
        (corpus / str(number)).write_bytes(bytes([number]) + parser.seeds[name])

    def one(data: bytes) -> None:
        path = scratch / names[data[0] % len(names) if data else 0]
        path.write_bytes(data[1:])
        with contextlib.suppress(UsageError):
            parser.read(path)

    atheris.Setup([*argv[:1], *argv[2:], str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
