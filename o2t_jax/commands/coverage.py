"""Moved to experiments.studies.interval_coverage; the old name prints one line."""

from __future__ import annotations

import sys

from o2t_jax.commands._moved import moved_to


def main(argv: list[str] | None = None) -> int:
    """Prints the new name of the command; returns 2."""
    return moved_to("experiments.studies.interval_coverage")


if __name__ == "__main__":
    sys.exit(main())
