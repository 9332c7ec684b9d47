"""The child process in which a plug-in module renders, and the protocol it shares with `render.plugin.renderer`.

Run as a script by the interpreter that the user chose, which may hold neither JAX nor this project: standard library,
numpy and the module only, Python 3.8 or newer; never import `o2t_jax` here.

    python child.py FD          FD: the child's end of a socket pair

What the module prints must not reach the program (sealed RoomPhys modules print the law that is to be found), so
descriptors 0, 1, 2 point at the null device before the module is imported, and the socket is the only way back. Replies
are a fixed binary header and raw bytes, parsed and checked by the parent (no pickle). Of an exception only the name
of a built-in type and a line number are reported, never its message or its own name.

Request: 4-byte length, JSON. Reply: `HEADER` (magic, kind, code, six numbers, payload length), payload.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.util
import io
import json
import os
import signal
import socket
import struct
import sys

MAGIC = b"O2TP"
LENGTH = struct.Struct("<I")
HEADER = struct.Struct("<4sHH6IQ")
SMALL_PAYLOAD = 1 << 20

# Kinds of reply.
HELLO, READY, PICTURES, TEXT, REFUSED = range(5)

# Codes of a refusal; the numbers that go with each are given in comments.
(
    NO_NUMPY,
    NOT_FOUND,
    IMPORT_RAISED,  # line
    NO_FUNCTION,
    SEVERAL_FUNCTIONS,  # how many
    CALL_RAISED,  # line
    NOT_A_LIST,
    WRONG_COUNT,  # pictures wanted, pictures returned
    NOT_AN_ARRAY,  # index of the picture
    NOT_UINT8,  # index
    WRONG_SHAPE,  # index, number of axes, the first three lengths
    NO_DESCRIBE,
    NO_TEXT,
    SHARED_MEMORY,  # indices of the two pictures
) = range(1, 15)

PREFIX = "render_scene_"
MAX_UINT32 = 2**32 - 1


class Refusal(Exception):
    """An error for the parent to report to the user: a code, up to six numbers, the name of a built-in exception."""

    def __init__(self, code, *numbers, name=""):
        super().__init__()
        self.code, self.numbers, self.name = code, numbers, name


class Loaded:
    """An imported module: its two functions and its file."""

    def __init__(self, render, describe, path):
        self.render, self.describe, self.path = render, describe, path


def mute():
    """Points descriptors 0, 1 and 2 at the null device, and forbids core dumps (they would hold the muted output)."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_exactly(channel, count):
    """`count` bytes, or None where the other end is closed."""
    chunks = []
    while count:
        chunk = channel.recv(min(count, 1 << 20))
        if not chunk:
            return None
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def read_request(channel):
    """The next request, or None where the parent has gone."""
    head = read_exactly(channel, LENGTH.size)
    body = None if head is None else read_exactly(channel, LENGTH.unpack(head)[0])
    return None if body is None else json.loads(body)


def reply(channel, kind, code=0, numbers=(), payload=()):
    """Sends a header and the buffers of `payload`."""
    numbers = [min(max(int(n), 0), MAX_UINT32) for n in numbers]
    numbers += [0] * (6 - len(numbers))
    channel.sendall(HEADER.pack(MAGIC, kind, code, *numbers, sum(memoryview(p).nbytes for p in payload)))
    for part in payload:
        channel.sendall(part)


def builtin_name(error):
    """Name of the nearest built-in class that the exception is an instance of."""
    for cls in type(error).__mro__:
        if getattr(builtins, cls.__name__, None) is cls:
            return cls.__name__
    return "BaseException"


def line_in(error, path):
    """The innermost line of the file `path` in the exception's traceback, 0 where there is none."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    if not line and isinstance(error, SyntaxError) and error.filename == path:
        line = error.lineno or 0
    return line


@contextlib.contextmanager
def told_as(code, path):
    """Turns any exception of the module into a refusal without its message."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - SystemExit too
        name, line = builtin_name(error), line_in(error, path)
    else:
        return
    raise Refusal(code, line, name=name)


def hello(path, name, folder):
    """Looks for numpy and for the module's file without importing either. Returns the reply."""
    if importlib.util.find_spec("numpy") is None:
        raise Refusal(NO_NUMPY, *sys.version_info[:3])
    if name is not None:
        sys.path.insert(0, folder)
        with told_as(NOT_FOUND, ""):
            # For a dotted name this imports the parent packages.
            spec = importlib.util.find_spec(name)
            path = str(spec and spec.origin)
            if not os.path.isfile(path):
                raise FileNotFoundError
    return HELLO, 0, sys.version_info[:3], [os.fsencode(path)]


def load(path, name, folder):
    """Imports the module, by `name` (with `folder` on the path) or from the file `path`. Returns `Loaded`."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    sys.argv = [path]  # it was started with no arguments of its own
    stem = os.path.splitext(os.path.basename(path))[0]
    with told_as(IMPORT_RAISED, path):
        if name is not None:
            module = importlib.import_module(name)
        else:
            title = stem if stem not in sys.modules else "plugin_" + stem
            spec = importlib.util.spec_from_file_location(title, path)
            if spec is None or spec.loader is None:
                raise ImportError
            module = importlib.util.module_from_spec(spec)
            sys.modules[title] = module
            spec.loader.exec_module(module)
    found = [key for key, value in vars(module).items() if key.startswith(PREFIX) and callable(value)]
    if stem in found:
        found = [stem]
    if not found:
        raise Refusal(NO_FUNCTION)
    if len(found) > 1:
        raise Refusal(SEVERAL_FUNCTIONS, len(found))
    scene = found[0][len(PREFIX) :]
    return found[0], Loaded(getattr(module, found[0]), getattr(module, "describe_scene_" + scene, None), path)


def checked(pictures, poses, height, width):
    """The pictures a module returned for `poses` (time and angles of each), copied to uint8 arrays [height, width, 3].

    They are copied because a module may draw its next call's pictures into the same memory. Two pictures of one call
    that share memory are the same picture, which is correct for equal poses only.
    """
    try:
        import numpy as np
    except ImportError:
        raise Refusal(NO_NUMPY, *sys.version_info[:3]) from None

    if not isinstance(pictures, (list, tuple, np.ndarray)):
        raise Refusal(NOT_A_LIST)
    if len(pictures) != len(poses):
        raise Refusal(WRONG_COUNT, len(poses), len(pictures))
    for index, picture in enumerate(pictures):
        if not isinstance(picture, np.ndarray):
            raise Refusal(NOT_AN_ARRAY, index)
        if picture.dtype != np.uint8:
            raise Refusal(NOT_UINT8, index)
        if picture.shape != (height, width, 3):
            raise Refusal(WRONG_SHAPE, index, picture.ndim, *picture.shape[:3])
    for index, picture in enumerate(pictures):
        for other in range(index):
            if poses[other] != poses[index] and np.shares_memory(pictures[other], picture):
                raise Refusal(SHARED_MEMORY, other, index)
    return [np.array(picture, order="C") for picture in pictures]


def render(loaded, request):
    """All pictures of a request, in its order, grouped by position because the interface takes one per call."""
    times, angles, positions = request["times"], request["angles"], request["positions"]
    height, width = request["image_size"]
    groups = {}
    for index, position in enumerate(positions):
        groups.setdefault(tuple(position), []).append(index)
    pictures = [None] * len(times)
    for position, members in groups.items():
        own_times, own_angles = [times[i] for i in members], [tuple(angles[i]) for i in members]
        with told_as(CALL_RAISED, loaded.path):
            returned = loaded.render(
                request["setup_seed"],
                list(own_times),
                list(own_angles),
                observer_pos=position,
                # The interface has pyvista's order: width first.
                image_size=(width, height),
            )
        for index, picture in zip(members, checked(returned, list(zip(own_times, own_angles)), height, width)):
            pictures[index] = picture
    return PICTURES, 0, (len(pictures), height, width), pictures


def describe(loaded, setup_seed):
    """The text that `describe_scene_<id>` prints through `sys.stdout` while it runs, or returns.

    It is captured in Python, not at the descriptor: text that the module left in a buffer of descriptor 1 stays muted.
    """
    if not callable(loaded.describe):
        raise Refusal(NO_DESCRIBE)
    printed = io.StringIO()
    with told_as(CALL_RAISED, loaded.path), contextlib.redirect_stdout(printed):
        returned = loaded.describe(setup_seed)
    text = printed.getvalue() or (returned if isinstance(returned, str) else "")
    if not text:
        raise Refusal(NO_TEXT)
    return TEXT, 0, (), [text.encode("utf-8", "replace")[:SMALL_PAYLOAD]]


def answer(request, state):
    """One request's reply: (kind, code, numbers, payload)."""
    operation = request["op"]
    if operation == "hello":
        return hello(request["path"], request["name"], request["folder"])
    if operation == "load":
        function, state["loaded"] = load(request["path"], request["name"], request["folder"])
        return READY, 0, (callable(state["loaded"].describe),), [function.encode()]
    if operation == "describe":
        return describe(state["loaded"], request["setup_seed"])
    return render(state["loaded"], request)


def main(descriptor):
    """Serves requests until the parent closes its end."""
    mute()
    os.set_inheritable(descriptor, False)
    channel = socket.socket(fileno=descriptor)
    state = {}
    while True:
        try:
            request = read_request(channel)
            if request is None:
                return
            # Safeguard against a module that hangs after its parent was killed: SIGALRM ends the process even inside C.
            # A watching thread would not do: VTK must be imported before threads start.
            signal.alarm(request["limit_s"])
            try:
                parts = answer(request, state)
            except Refusal as refusal:
                parts = REFUSED, refusal.code, refusal.numbers, [refusal.name.encode()]
            signal.alarm(0)
            reply(channel, *parts)
        except OSError:  # the parent has gone
            return


if __name__ == "__main__":
    # A script's own folder is first on the path, but a module's `import draw` must not find the project's.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _here]
    main(int(sys.argv.pop()))
