"""Time of training steps of the video world model and of its agent, and of a predicted frame.

taskset -c 0 python -m benchmarks.video [--peer] [--parts=model,agent,frame] [--repeats=5] [--steps=4] [--json=FILE]

`model`: a training step of config `video/cpu` (32 px, 18 windows of 20 frames, codebook): forward, backward, clipped
Adam, the codebook's running means; from clips that are already made. `agent`: a training step of config `video/agent`,
32 dreams of 8 frames and one update of actor and critic. `frame`: one frame on in a dream of 1 and of 32 clips,
dynamics and decoder of `video/cpu`.

--peer adds PyTorch to `model` (needs `pip install .[bench]`): the same networks without the heads, which nothing trains
there, eager, in both layouts; each in a process of its own that gets our weights, codes and first random numbers, and
whose loss must agree with ours to 1e-4, gradients to 1e-3 of an array's largest entry. Each side has as many threads as
the process has cores: use `taskset -c 0`.

Sides take turns of --steps steps (ten times as many for `frame`), of which the first is not counted. Ratios are a
side's time over ours (above 1, ours is faster): of medians, of the fastest steps, and of processor time, which other
load on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.common import FlagParser, at_least_1, check_parts, finish, run_checked, versions
from benchmarks.dynamics import interleave, measure, rows_of, tell, timed
from benchmarks.peers.dynamics_worker import VIDEO_PEERS
from o2t_jax.errors import UsageError

COLUMNS = {
    "part": "",
    "side": "",
    "median_ms": ".2f",
    "spread_ms": ".2f",
    "ratio": ".2f",
    "ratio_of_fastest": ".2f",
    "ratio_of_cpu": ".2f",
    "parameters": ",d",
    "start_s": ".0f",
    "loss_difference": ".1e",
    "gradient_difference": ".1e",
}
DREAMS = (1, 32)  # clips of a predicted frame


def measure_model(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the world model's step, and of PyTorch's with --peer."""
    from benchmarks.video_cases import WorldCase

    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = VIDEO_PEERS if arguments.peer else ()
    return measure("model", WorldCase(threads), names, arguments.repeats, arguments.steps)


def measure_agent(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The row of the agent's step."""
    from benchmarks.video_cases import AgentCase

    return measure("agent", AgentCase(), (), arguments.repeats, arguments.steps)


def measure_frame(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each size of a dream."""
    from benchmarks.video_cases import FrameCase

    rows = []
    for count in DREAMS:
        case = FrameCase(count)
        about = {"ours": {"parameters": case.size, "start_s": case.compile()}}
        taken = interleave({"ours": timed(case.step)}, arguments.repeats, 10 * arguments.steps)
        rows += rows_of(f"frame, B {count}", taken, about)
    return rows


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "model": measure_model,
    "agent": measure_agent,
    "frame": measure_frame,
}
"""Name of a part -> its rows."""


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = FlagParser("video", __doc__, measures=True)
    parser.add_argument("--repeats", type=at_least_1, default=5, help="turns of each side")
    parser.add_argument("--steps", type=at_least_1, default=4, help="steps of a turn that count")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--peer", action="store_true", help="part model beside PyTorch's")
    return parser.parse_args(argv)


def check(arguments: argparse.Namespace) -> None:
    """Refuses an unknown part, and --peer without its part or without PyTorch."""
    check_parts(arguments.parts, PARTS)
    if arguments.peer and "model" not in arguments.parts.split(","):
        raise UsageError(f"--parts={arguments.parts} has nothing for --peer: add model")
    if arguments.peer and importlib.util.find_spec("torch") is None:
        raise UsageError('--peer needs torch: pip install "o2t_jax[bench]"')


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run_checked(parsed(argv), check, run)


def run(arguments: argparse.Namespace) -> int:
    """All parts."""
    rows = []
    for part in arguments.parts.split(","):
        rows += PARTS[part](arguments)
        if part == "model":
            tell(rows, part)
    finish(rows, COLUMNS, arguments.json, **(versions("torch") if arguments.peer else {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
