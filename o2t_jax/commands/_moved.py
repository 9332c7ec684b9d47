"""The message of a command that has moved, printed under its old name."""

from __future__ import annotations

from o2t_jax.commands._cli import fail


def moved_to(module: str) -> int:
    """One line on standard error that names the new command; returns the exit code, 2."""
    return fail(f"this command is now python -m {module}, with the same arguments")
