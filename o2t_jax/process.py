"""Environment variables of this process: those that we set, and the user's values of them.

A program that we start (a module's interpreter, a training of a sweep) gets the user's environment. It may have another
JAX, whose compiler exits on an unknown flag, or need settings of its own.
"""

from __future__ import annotations

import json
import os

_BEFORE = "O2T_JAX_BEFORE"  # the user's values of variables that we set (null: unset); survives a restart


def set_variable(name: str, value: str) -> None:
    """Sets an environment variable of this process, and remembers the user's value."""
    before = json.loads(os.environ.get(_BEFORE, "{}"))
    before.setdefault(name, os.environ.get(name))
    os.environ[_BEFORE] = json.dumps(before)
    os.environ[name] = value


def user_environment() -> dict[str, str]:
    """The environment for a program that we start: this process's own, without the changes by `set_variable`."""
    environment = dict(os.environ)
    for name, value in json.loads(environment.pop(_BEFORE, "{}")).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return environment
