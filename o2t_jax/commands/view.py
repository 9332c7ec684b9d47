"""Moves a run by hand in the browser: python -m experiments.view --workdir=DIR [--port=8090 --step=latest]

A run of `o2t`: turn and shift the camera, move the time; the renderer's picture beside the network's, g(z) beside the
truth. A run of `dynamics`: push the world and the model, which roll side by side. A folder of experiments.recording:
the film with its track and the fitted path. Needs `pip install "o2t_jax[view]"` and no network: only this machine can
open the page (127.0.0.1), and nothing is loaded from elsewhere. Ctrl+C ends it. docs/view.md shows pictures.
"""

from __future__ import annotations

import errno
import importlib.util
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

if TYPE_CHECKING:
    from o2t_jax.systems.view import View

HOST = "127.0.0.1"  # no flag: what runs here is for the eyes of this machine's user
PORTS = (1024, 65535)


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(show, argv, doc=__doc__ or "", define=_define, with_config=False)


def show(arguments: _cli.Arguments) -> int:
    """Opens the run and serves its page until it is interrupted."""
    values = arguments.flags
    folder = _cli.workdir_of(values)
    check_folder(folder)
    if importlib.util.find_spec("nicegui") is None:
        raise UsageError('the viewer needs NiceGUI: pip install "o2t_jax[view]"')
    check_port(values.port)
    _cpu.start_devices(arguments.cpu_tuning, "cpu")
    view = view_of(folder, values.step)
    from o2t_jax.commands._view_page import serve

    serve(view, HOST, values.port, values.open)
    return 0


def check_folder(folder: Path) -> None:
    """Raises: UsageError for a folder that is neither a recording's nor a run of a system with a view."""
    from o2t_jax.systems.recording_view import is_recording
    from o2t_jax.systems.view import check_has_view

    if is_recording(folder):
        return
    if not (folder / folders.CONFIG).is_file():
        raise UsageError(f"--workdir={folder} holds neither a run ({folders.CONFIG}) nor a measured recording")
    config = folders.config_from_json(folders.read_json(folder / folders.CONFIG))
    check_has_view(str(config.get("system")), str(folder))


def check_port(port: int) -> None:
    """Raises: UsageError for a port that is out of range or taken."""
    low, high = PORTS
    if not low <= port <= high:
        raise UsageError(f"--port={port} is outside the range: {low} to {high}")
    with socket.socket() as test:
        test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            test.bind((HOST, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise UsageError(f"--port={port} is taken by another program: give another one") from None


def view_of(folder: Path, step: str | None = None) -> View:
    """The view of a folder that passed `check_folder`, with everything compiled that its first picture needs."""
    from o2t_jax.systems.recording_view import RecordingView, is_recording

    if is_recording(folder):
        return RecordingView(folder)
    import o2t_jax
    from o2t_jax.systems.view import VIEWS, start_values
    from o2t_jax.training.resources import set_compilation_cache

    run = o2t_jax.load(folder, step)
    set_compilation_cache(run.config.compilation_cache)
    view = VIEWS.get(run.config.system)(run)
    values = start_values(view)
    view.show(*view.advance(view.begin(values), values))
    return view


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "the folder of a run or of a measured recording", flag_values=values)
    flags.DEFINE_string("step", None, "a kept step, 'latest' or 'best'; latest if left out", flag_values=values)
    flags.DEFINE_integer("port", 8090, "port of the page on this machine", flag_values=values)
    flags.DEFINE_boolean("open", False, "open the page in the browser", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
