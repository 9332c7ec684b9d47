"""Does anything grow in a long run? `python -m benchmarks.endurance --minutes=60 --case=... [--json=FILE]`.

smoke  config `smoke` without an end in one workdir: each round is the same command in a process of its own, which
       resumes and is ended by SIGTERM when it has saved 6 steps more (--round). A sample: the peaks of a round, and the
       bytes on disk after it
smoke_inside  config `smoke` from its start to its end over and over, in one process, looked at after each round;
       with --clear, JAX forgets its compiled programs after each
cpu    a user's command: config `cpu`, 10,000 steps (--steps), looked at every ten seconds from outside

Resident memory (all of it, and `own`: not mapped from files, with what is swapped out), open handles and threads of the
process and its children, and the bytes on disk without logs. The growth is the slope of a line through the samples
after --warm_up minutes (median of the slopes of all pairs, Theil and Sen) over the time that they span, in percent of
where the line begins, with a 95 % interval. Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import theilslopes

from benchmarks.common import FlagParser, at_least_1, finish, run_checked
from o2t_jax.commands._trainings import COMMAND
from o2t_jax.errors import UsageError
from o2t_jax.process import user_environment
from o2t_jax.training.workdir import saved_steps

# `own`: without what is mapped from files and with what is swapped out, so that the kernel's reclaiming does not show.
SEEN = {"rss": "MB", "own": "MB", "handles": "", "threads": "", "disk": "MB"}
# Seen by some cases only: the compiled programs that a user's folder keeps; the arrays that JAX holds.
MORE = {"cache": "MB", "arrays": ""}
LOGS = ("metrics.jsonl", "sessions.jsonl", "tensorboard", "log")
LIMIT = 1.0  # %
PERIOD_S = 10.0
PEAK_PERIOD_S = 0.25
ENDLESS = "--config.train_steps=1000000"
COLUMNS = {"what": "", "begin": ".4g", "end": ".4g", "unit": "", "growth_%": ".2f", "low": ".2f", "high": ".2f"}


def look(pid: int, folder: Path) -> dict[str, float]:
    """One sample of a process with all of its children, and of the files below `folder`. MB are 10^6 bytes."""
    row = dict.fromkeys(SEEN, 0.0) | {"disk": disk_of(folder) / 1e6}
    for each in family(pid):
        with contextlib.suppress(OSError):  # one that has just ended
            place = Path(f"/proc/{each}")
            status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
            handles = len(os.listdir(place / "fd"))
            for name, parts in (("rss", ("VmRSS",)), ("own", ("RssAnon", "VmSwap"))):
                row[name] += sum(1.024e-3 * int(status.get(part, "0 kB").split()[0]) for part in parts)
            row["threads"] += int(status["Threads"])
            row["handles"] += handles
    return row


def family(pid: int) -> list[int]:
    """A process and all below it."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                # The name in brackets may hold anything.
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def disk_of(folder: Path) -> int:
    """Bytes of all files below `folder` that are no logs."""
    total = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in LOGS]
        for name in set(files) - set(LOGS):
            with contextlib.suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def growth(seconds: ArrayLike, values: ArrayLike) -> dict[str, float]:
    """The line through samples: its `begin` and `end`, and its growth with `low` and `high`, in percent of `begin`.

    Fewer than 5 samples say nothing: NaN.
    """
    time_s, found = np.asarray(seconds, float), np.asarray(values, float)
    if len(found) < 5:
        return dict.fromkeys(("begin", "end", "growth_%", "low", "high"), float("nan"))
    slope, offset, low, high = map(float, theilslopes(found, time_s, 0.95))
    span, begin = float(time_s[-1] - time_s[0]), offset + slope * float(time_s[0])
    to_percent = 100.0 * span / begin if begin else 0.0
    return {
        "begin": begin,
        "end": begin + slope * span,
        "growth_%": slope * to_percent,
        "low": low * to_percent,
        "high": high * to_percent,
    }


def rows_of(samples: Sequence[Mapping[str, float]], warm_up_s: float) -> list[dict[str, Any]]:
    """One row for each quantity, over the samples after `warm_up_s`."""
    late = [sample for sample in samples if sample["seconds"] >= warm_up_s]
    seconds = [sample["seconds"] for sample in late]
    return [
        {"what": name, "unit": unit, "samples": len(late)} | growth(seconds, [sample[name] for sample in late])
        for name, unit in (SEEN | MORE).items()
        if all(name in sample for sample in samples)
    ]


def rounds(
    folder: Path,
    minutes: float,
    train: Callable[[Path], int],
    told: Callable[[str], None],
    more: Callable[[], Mapping[str, float]] = dict,
) -> list[dict]:
    """Trains in a new folder, looks, deletes it, again and again in this process. `more()` is seen as well."""
    begun, samples = time.monotonic(), []
    while (seconds := time.monotonic() - begun) < 60 * minutes:
        code = train(folder / "run")
        if code:
            raise RuntimeError(f"round {len(samples) + 1}: exit code {code}")
        shutil.rmtree(folder / "run")
        seconds = time.monotonic() - begun
        samples.append({"seconds": seconds} | look(os.getpid(), folder) | dict(more()))
        told(f"{seconds:.0f} s, round {len(samples)}: {samples[-1]}")
    return samples


def restarts(
    folder: Path, minutes: float, command: Sequence[str], steps: int, told: Callable[[str], None]
) -> list[dict]:
    """The same command again and again in one workdir, each time until it has saved `steps` steps more."""
    begun, samples, workdir = time.monotonic(), [], folder / "run"
    (folder / "cache").mkdir()
    arguments = [*command, f"--config.compilation_cache={folder / 'cache'}", f"--workdir={workdir}"]
    while time.monotonic() - begun < 60 * minutes:
        last = max(saved_steps(workdir), default=0)
        peaks = dict.fromkeys(SEEN, 0.0)
        with (folder / "log").open("a") as log:
            process = subprocess.Popen(arguments, stdout=log, stderr=log, env=user_environment())
        try:
            while process.poll() is None:
                peaks = {name: max(peaks[name], seen) for name, seen in look(process.pid, workdir).items()}
                if max(saved_steps(workdir), default=0) >= last + steps:
                    process.terminate()
                    process.wait(600)
                time.sleep(PEAK_PERIOD_S)
        finally:  # a training without end does not outlive its measurement
            process.kill()
            process.wait()
        if process.returncode != 128 + signal.SIGTERM:
            said = (folder / "log").read_text()[-500:]
            raise RuntimeError(f"round {len(samples) + 1}: exit code {process.returncode}: {said}")
        seconds, cache = time.monotonic() - begun, disk_of(folder / "cache") / 1e6
        samples.append(peaks | {"seconds": seconds, "disk": disk_of(folder) / 1e6 - cache, "cache": cache})
        told(f"{seconds:.0f} s, round {len(samples)}: {samples[-1]}")
    return samples


def watched(
    folder: Path, minutes: float, command: Sequence[str], told: Callable[[str], None], period: float = PERIOD_S
) -> list[dict]:
    """The command in `folder`'s workdir, looked at from outside, until it ends or the time is up (it saves then)."""
    begun, samples = time.monotonic(), []
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--workdir={folder / 'run'}"], stdout=log, stderr=log, env=user_environment()
        )
        try:
            while process.poll() is None and (seconds := time.monotonic() - begun) < 60 * minutes:
                samples.append({"seconds": seconds} | look(process.pid, folder))
                if len(samples) % 30 == 1:
                    told(f"{seconds:.0f} s: {samples[-1]}")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(period)
            ended = process.poll()
            process.terminate()
            process.wait(300)
        finally:
            process.kill()
            process.wait()
    if ended:
        raise RuntimeError(f"the training ended with exit code {ended}: {(folder / 'log').read_text()[-500:]}")
    return samples


class TrainInside:
    """A config in this process, after which JAX forgets its programs if `clear`."""

    def __init__(self, config: str, clear: bool):
        self.config, self.clear = config, clear

    def __call__(self, workdir: Path) -> int:
        import jax

        from o2t_jax.commands import train

        with contextlib.redirect_stdout(sys.stderr):
            code = train.main([f"--config={self.config}", f"--workdir={workdir}"])
        if self.clear:
            jax.clear_caches()
        gc.collect()
        return code


def arrays_of_jax() -> dict[str, float]:
    """How many arrays JAX holds."""
    import jax

    return {"arrays": len(jax.live_arrays())}


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("endurance", __doc__, measures=True)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all")
    parser.add_argument("--warm_up", type=float, default=10.0, help="minutes whose samples do not count")
    parser.add_argument("--case", choices=("smoke", "smoke_inside", "cpu"), default="smoke")
    parser.add_argument("--steps", type=at_least_1, default=10_000, help="of case cpu")
    parser.add_argument("--config", default="smoke", help="another one for the cases of smoke")
    parser.add_argument("--round", type=at_least_1, default=6, help="steps of a round of case smoke")
    parser.add_argument("--clear", action="store_true", help="case smoke_inside: no compiled program stays")
    return parser.parse_args(argv)


def check(arguments: argparse.Namespace) -> None:
    """Refuses a time that leaves no sample, and other systems than Linux."""
    if not arguments.minutes > arguments.warm_up >= 0:
        raise UsageError(
            f"--minutes={arguments.minutes:g} must be above --warm_up={arguments.warm_up:g}, which is >= 0"
        )
    if not Path("/proc/self/status").exists():
        raise UsageError("/proc is missing: this command needs Linux")


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints and writes. Exit code 1 where a quantity grows by more than `LIMIT` beyond doubt, or
    where there are too few samples to say."""

    def told(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="endurance-") as place:
        folder = Path(place)
        os.environ["TMPDIR"] = str(folder / "temporary")  # files left there count as well
        (folder / "temporary").mkdir()
        tempfile.tempdir = None
        if arguments.case == "smoke":
            command = (*COMMAND, f"--config={arguments.config}", ENDLESS)
            samples = restarts(folder, arguments.minutes, command, arguments.round, told)
        elif arguments.case == "smoke_inside":
            samples = rounds(
                folder, arguments.minutes, TrainInside(arguments.config, arguments.clear), told, arrays_of_jax
            )
        else:
            command = (*COMMAND, "--config=cpu", f"--config.train_steps={arguments.steps}")
            samples = watched(folder, arguments.minutes, command, told)
    rows = rows_of(samples, 60 * arguments.warm_up)
    finish(rows, COLUMNS, arguments.json, case=arguments.case, minutes=samples[-1]["seconds"] / 60, samples=samples)
    if unseen := [row["what"] for row in rows if np.isnan(row["low"])]:
        told(f"nothing is known of {', '.join(unseen)}: fewer than 5 samples after --warm_up")
    return int(any(not row["low"] <= LIMIT for row in rows))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_checked(parsed(argv), check, run)


if __name__ == "__main__":
    sys.exit(main())
