"""Renderer for a user's own module, in child processes (`--config.module=`).

A module offers `render_scene_<id>(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512))`, which
returns a list of uint8 [H, W, 3], one picture for each time; `image_size` is (width, height) there. docs/plugins.md
is the user's guide. The module runs in a child process because sealed modules load only on the Python version that
wrote them (others crash), print the law that is to be found, and draw with VTK, which is not thread-safe. `child` is
that process and the protocol; this file owns the processes, the checks and the cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from o2t_jax.errors import UsageError
from o2t_jax.render.plugin import child as protocol
from o2t_jax.render.plugin.cache import PictureCache
from o2t_jax.render.plugin.process import Child, Died, Pool, Refused, Reply, TimedOut

MAX_SIDE_PX = 8192
_HELLO_S = 60.0

_SEALED = "sealed modules load only on the Python version that wrote them"
_PYTHON_CURE = "set --config.module_python= to such an interpreter (docs/plugins.md)"
# Exceptions of unmarshalling another version's bytecode, where it does not crash.
_MARSHAL_ERRORS = ("ValueError", "EOFError", "TypeError", "SystemError")


def _interpreter(python: str | None) -> str:
    """Absolute path of the program `python` (None: this interpreter). A venv's symbolic link is kept as it is."""
    if python is None:
        return sys.executable
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        raise UsageError(
            f"module_python {python!r}: no such program; give the path of a Python interpreter that has numpy and "
            "what the module needs, --config.module_python=PATH"
        )
    return os.path.abspath(found)


def _place(module: str) -> dict[str, str | None]:
    """Where to look for a module: a file, or a name to import; and the folder for the module path."""
    path = Path(os.path.expanduser(module))  # unchanged where this user has no home
    if path.is_file():
        if path.suffix != ".py":
            raise UsageError(f"module {module!r}: not a .py file; give a .py file or an importable name")
        return {"path": str(path.absolute()), "name": None, "folder": str(path.absolute().parent)}
    if path.suffix == ".py" or os.sep in module or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"module {module!r}: no such file; give the path of a .py file or an importable name")
    return {"path": None, "name": module, "folder": os.getcwd()}


class PluginRenderer:
    """Pictures of a module with the interface `render_scene_<id>`; implements `o2t_jax.types.Renderer`.

    Args:
      module: path of a .py file, or a name that `python` can import (the current folder is on its path).
      python: interpreter that runs the module, default this one; a path or a program's name.
      cache_dir: folder of pictures kept on disk, shared by any number of modules; None keeps none.
      timeout_s: longest time for one render call, and for loading the module.
      workers: largest number of child processes; each is started by the first call that finds none idle.

    Calls may come from many threads; each takes a child of its own. Only pictures, the type of an exception and a
    line number come through, nothing else that the module prints or raises. `stats` counts
    pictures rendered, pictures found on disk, and children replaced after a crash. `close()` (or leaving the `with`
    block) ends the children; a later call starts new ones.

    Raises: UsageError from the constructor for a missing file, interpreter or numpy; from `check` and `render` for a
    module that does not load, lacks the interface, returns wrong pictures, crashes or hangs.
    """

    def __init__(
        self,
        module: str | os.PathLike[str],
        python: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        *,
        timeout_s: float = 300.0,
        workers: int = 1,
    ) -> None:
        if os.name != "posix":
            raise UsageError(
                "plug-in modules need Linux, macOS or WSL: their pictures come through a POSIX socket pair"
            )
        if not (math.isfinite(timeout_s) and timeout_s > 0):
            raise UsageError(f"timeout_s = {timeout_s}: must be a positive number of seconds")
        if workers < 1:
            raise UsageError(f"workers = {workers}: must be at least 1")
        self.module = os.fspath(module)
        self.timeout_s = float(timeout_s)
        self.stats = {"rendered": 0, "cached": 0, "restarts": 0}
        self._lock = threading.Lock()
        self._function: str | None = None
        self._place = _place(self.module)
        self._python = _interpreter(python)
        self._version, self._lines = "Python ?", 0
        self._pool = Pool(workers)
        self._finalizer = weakref.finalize(self, self._pool.close)
        path = Path(self._hello())
        self._place["path"] = str(path)
        content = path.read_bytes()
        self._lines = content.count(b"\n") + 1
        # A module is its bytes and its name (which picks the function).
        self.module_sha256 = hashlib.sha256(content).hexdigest()
        digest = hashlib.sha256(content + path.name.encode()).hexdigest()
        self._cache = PictureCache(cache_dir, digest) if cache_dir is not None else None

    # The interface of a renderer.

    def render(
        self,
        setup_seed: int,
        times: np.ndarray,
        angles: np.ndarray,
        observer_positions: np.ndarray,
        image_size: tuple[int, int],
    ) -> np.ndarray:
        """`times` [T] s, `angles` [T, 2] deg, `observer_positions` [T, 3] m -> uint8 [T, H, W, 3] of size (H, W).

        One call of the module for each distinct position.
        """
        seed, size = _seed(setup_seed), _size(image_size)
        times, angles, positions = _poses(times, angles, observer_positions)
        shape = (len(times), *size, 3)
        key = b""
        if self._cache is not None:
            key = self._cache.key(seed, times, angles, positions, size)
            pictures = self._cache.load(key, shape)
            if pictures is not None:
                self._count("cached", len(times))
                return pictures
        request = {
            "op": "render",
            "setup_seed": seed,
            "times": times.tolist(),
            "angles": angles.tolist(),
            "positions": positions.tolist(),
            "image_size": size,
        }
        reply = self._ask(request, math.prod(shape))
        if reply.kind != protocol.PICTURES or reply.numbers[:3] != shape[:3] or reply.payload.size != math.prod(shape):
            raise UsageError(f"module {self.module!r}: its process sent data that is not a picture")
        pictures = reply.payload.reshape(shape)
        self._count("rendered", len(times))
        if self._cache is not None:
            self._cache.store(key, pictures)
        return pictures

    def describe(self, setup_seed: int) -> str:
        """The text that the module's `describe_scene_<id>(setup_seed)` prints (by Python's `print`) or returns.

        It is the layout of a scene, which the benchmark's rules allow to use. Never used unless a user requests it. It
        runs in a process of its own that renders nothing, and only the text it prints while it runs is kept.
        """
        child = self._start()
        try:
            with self._explained():
                reply = child.ask({"op": "describe", "setup_seed": _seed(setup_seed)}, self.timeout_s)
        finally:
            child.end()
        return bytes(reply.payload).decode("utf-8", "replace")

    def check(self) -> None:
        """Loads the module in a child, so that a wrong one ends the program at its start. Raises: UsageError."""
        with self._pool.take(self._start):
            pass

    @property
    def scene_id(self) -> str:
        """The `<id>` of the module's `render_scene_<id>` (loads the module when that has not happened yet)."""
        if self._function is None:
            self.check()
        assert self._function is not None
        return self._function.removeprefix(protocol.PREFIX)

    def close(self) -> None:
        """Ends the children, also those that render now (their calls raise UsageError)."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Communication with the children.

    def _hello(self) -> str:
        """Starts the interpreter once, without the module. Returns the module's file."""
        try:
            child = Child(self._python)
        except OSError as error:
            raise UsageError(f"module_python {self._python!r}: cannot be started ({error.strerror})") from None
        try:
            reply = child.ask({"op": "hello", **self._place}, max(_HELLO_S, self.timeout_s))
            self._version = "Python {}.{}.{}".format(*reply.numbers)
            return os.fsdecode(bytes(reply.payload))
        except Refused as error:
            if error.code == protocol.NO_NUMPY:
                self._version = "Python {}.{}.{}".format(*error.numbers)
                raise UsageError(f"module {self.module!r} {'; '.join(self._refusal(error))}") from None
            raise UsageError(
                f"module {self.module!r}: not a file, and {self._python} cannot import it; give the path of a .py file"
            ) from None
        except (Died, TimedOut):
            raise UsageError(
                f"module_python {self._python!r}: does not answer like a Python of version 3.8 or newer"
            ) from None
        finally:
            child.end()

    def _start(self) -> Child:
        child = Child(self._python)
        try:
            with self._explained(loading=True):
                reply = child.ask({"op": "load", **self._place}, self.timeout_s)
            name = bytes(reply.payload).decode("ascii", "replace")
            if not (name.isidentifier() and name.startswith(protocol.PREFIX)):
                raise UsageError(f"module {self.module!r}: the name of its {protocol.PREFIX}<id> must be plain ASCII")
        except BaseException:
            child.end()
            raise
        self._function = name
        return child

    def _ask(self, request: dict[str, Any], expected_bytes: int) -> Reply:
        with self._explained():
            child, proven = None, False
            try:
                with self._pool.take(self._start) as child:
                    proven = child.answered > 1
                    return child.ask(request, self.timeout_s, expected_bytes)
            except Died:
                if child is not None and child.dismissed:
                    raise UsageError(f"module {self.module!r} was closed while it rendered") from None
                # A child that rendered before has the right version: a long run must survive a rare crash.
                if not proven:
                    raise
            self._count("restarts", 1)
            with self._pool.take(self._start) as child:
                return child.ask(request, self.timeout_s, expected_bytes)

    def _count(self, name: str, number: int) -> None:
        with self._lock:
            self.stats[name] += number

    # Messages for the user.

    @contextlib.contextmanager
    def _explained(self, loading: bool = False) -> Iterator[None]:
        """Turns an error in a child into one line for the user."""
        try:
            yield
        except Died as error:
            what = f"crashed {self._who} while {'loading' if loading else 'rendering'} ({error.how})"
            cure = f"{_SEALED}: {_PYTHON_CURE}; where the version is right, VTK may lack OpenGL libraries"
        except TimedOut:
            what = f"gave no answer within {self.timeout_s:g} s {self._who}"
            cure = "raise the timeout, or fix the module"
        except Refused as error:
            what, cure = self._refusal(error)
        else:
            return
        raise UsageError(f"module {self.module!r} {what}; {cure}")

    @property
    def _who(self) -> str:
        return f"under {self._version} ({self._python})"

    def _refusal(self, error: Refused) -> tuple[str, str]:
        code, numbers = error.code, error.numbers
        where = f"{error.name} at line {numbers[0]}" if 0 < numbers[0] <= self._lines else error.name
        interface = "docs/plugins.md shows the interface"
        if code == protocol.IMPORT_RAISED:
            if error.name in ("ModuleNotFoundError", "ImportError"):
                cure = "install there what the module imports (RoomPhys: numpy, pyvista, imageio, Pillow)"
            elif error.name in _MARSHAL_ERRORS:
                cure = f"{_SEALED}: {_PYTHON_CURE}"
            else:
                cure = "its message is not shown, since it may hold the hidden law: import the module by hand to see it"
            return f"does not load {self._who}: {where}", cure
        if code == protocol.CALL_RAISED:
            cure = "its message is not shown, since it may hold the hidden law: call the function by hand to see it"
            return f"failed {self._who}: {where}", cure
        if code == protocol.NO_NUMPY:
            return (
                f"cannot run {self._who}: it has no numpy that works",
                "install numpy there, and what the module needs",
            )
        name = self._function or protocol.PREFIX + "<id>"
        length = min(numbers[1], 3)
        if code == protocol.SHARED_MEMORY:
            both = f"pictures {numbers[0]} and {numbers[1]}"
            return f"{name} returned {both} in the same memory", "return a copy of each (picture.copy())"
        texts = {
            protocol.NO_FUNCTION: "has no function render_scene_<id>",
            protocol.SEVERAL_FUNCTIONS: f"has {numbers[0]} functions render_scene_<id>, none named like the file",
            protocol.NOT_A_LIST: f"{name} must return a list of pictures",
            protocol.WRONG_COUNT: f"{name} returned {numbers[1]} pictures for {numbers[0]} times",
            protocol.NOT_AN_ARRAY: f"{name} returned something else than a numpy array as picture {numbers[0]}",
            protocol.NOT_UINT8: f"{name} returned a picture {numbers[0]} that is not uint8",
            protocol.WRONG_SHAPE: f"{name} returned picture {numbers[0]} with {numbers[1]} axes "
            f"{numbers[2 : 2 + length]}, not (H, W, 3); image_size is (width, height)",
            protocol.NO_DESCRIBE: "has no function describe_scene_<id>",
            protocol.NO_TEXT: "describe_scene_<id> printed nothing",
        }
        return texts.get(code, "gave an invalid answer"), interface


def _seed(setup_seed: int) -> int:
    seed = int(setup_seed)
    if seed != setup_seed or seed < 0:
        raise UsageError(f"setup_seed = {setup_seed}: must be a whole number from 0 up")
    return seed


def _size(image_size: tuple[int, int]) -> tuple[int, int]:
    height, width = (int(side) for side in image_size)
    if not (0 < height <= MAX_SIDE_PX and 0 < width <= MAX_SIDE_PX):
        raise UsageError(f"image_size = {tuple(image_size)}: sides must be from 1 to {MAX_SIDE_PX} px")
    return height, width


def _poses(times: Any, angles: Any, positions: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times, angles, positions = (np.asarray(a, np.float64) for a in (times, angles, positions))
    count = times.size
    if times.shape != (count,) or count == 0 or angles.shape != (count, 2) or positions.shape != (count, 3):
        raise UsageError(
            f"times {times.shape}, angles {angles.shape}, observer_positions {positions.shape}: "
            "must be [T], [T, 2] and [T, 3] with one T of at least 1"
        )
    if not all(np.isfinite(a).all() for a in (times, angles, positions)):
        raise UsageError("times, angles and observer_positions must be finite numbers, without NaN")
    if times.min() < 0:
        raise UsageError(f"time {times.min():g} s: must not be negative")
    return times, angles, positions


__all__ = ["PluginRenderer"]
