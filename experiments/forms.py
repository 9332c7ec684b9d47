"""Moved to experiments.studies.law_form; this name answers with one line."""

from __future__ import annotations

import sys

from experiments._moved import moved_to


def main(argv: list[str] | None = None) -> int:
    """Says where the command is; returns 2."""
    return moved_to("experiments.studies.law_form")


if __name__ == "__main__":
    sys.exit(main())
