"""Environment variables of this process: those that we set, and what the user had there.

A program that we start (a module's interpreter, a training of a sweep) gets the user's environment: it may hold another
JAX, whose compiler ends at a flag that it does not know, or have settings of its own.
"""

from __future__ import annotations

import json
import os

_BEFORE = "O2T_JAX_BEFORE"  # what stood in the variables that we set (null: nothing); kept where the program restarts


def set_variable(name: str, value: str) -> None:
    """Sets an environment variable of this process, and remembers what the user had there."""
    before = json.loads(os.environ.get(_BEFORE, "{}"))
    before.setdefault(name, os.environ.get(name))
    os.environ[_BEFORE] = json.dumps(before)
    os.environ[name] = value


def user_environment() -> dict[str, str]:
    """The environment for a program that we start: this process' own, without what `set_variable` changed."""
    environment = dict(os.environ)
    for name, value in json.loads(environment.pop(_BEFORE, "{}")).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return environment
