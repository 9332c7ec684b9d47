"""Recordings of real motions as states, read from plain files in a folder that the user gives.

`load(name, folder)` reads one of `RECORDINGS`; `windows.py` cuts it into windows to learn from. No file is part of the
package, and nothing is downloaded. docs/recorded_states.md says where the files are from and what is known of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from o2t_jax.data.recorded.recording import Known, Recording, Track
from o2t_jax.registry import Registry

RECORDINGS: Registry[Callable[[str | Path], Recording]] = Registry(
    "recording",
    {
        "spring": "o2t_jax.data.recorded.schmidt_lipson:spring",
        "coupled_springs": "o2t_jax.data.recorded.schmidt_lipson:coupled_springs",
        "pendulum": "o2t_jax.data.recorded.schmidt_lipson:pendulum",
        "double_pendulum": "o2t_jax.data.recorded.schmidt_lipson:double_pendulum",
        "ibm_double_pendulum": "o2t_jax.data.recorded.ibm_double_pendulum:load",
        "pendulum_lengths": "o2t_jax.data.recorded.pendulum_lengths:load",
        "ball_drops": "o2t_jax.data.recorded.ball_drops:load",
        "planets": "o2t_jax.data.recorded.planets:load",
    },
)


def load(name: str, folder: str | Path) -> Recording:
    """The recording of that name from the files in `folder`.

    Raises: UsageError for an unknown name (with a suggestion), a missing folder or file, or a damaged one.
    """
    return RECORDINGS.get(name)(folder)


__all__ = ["RECORDINGS", "Known", "Recording", "Track", "load"]
