"""experiments.view: bad input is one line; the page is served to this machine alone, with nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.commands import view
from o2t_jax.commands._view_page import options_of
from o2t_jax.systems.view import Chart

RUNS = Path(__file__).resolve().parents[1] / "examples" / "runs"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--workdir is missing"),
        (["--workdir=nowhere"], "holds neither a run (config.json) nor a measured recording"),
        ([f"--workdir={RUNS / 'toy'}"], "system 'toy', which has no view: give one of dynamics, o2t"),
        ([f"--workdir={RUNS / 'cpu'}", "--port=80"], "--port=80 is outside the range: 1024 to 65535"),
        ([f"--workdir={RUNS / 'cpu'}", "--host=0.0.0.0"], "Unknown command line flag 'host'"),
    ],
)
def test_bad_input_is_one_line(monkeypatch, capsys, flags, message):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert view.main(["--cpu_tuning=off", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_without_the_extra_one_line_names_it(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert view.main(["--cpu_tuning=off", f"--workdir={RUNS / 'cpu'}"]) == 2
    error = capsys.readouterr().err
    assert 'pip install "o2t_jax[view]"' in error and error.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with socket.socket() as taken:
        taken.bind((view.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert view.main(["--cpu_tuning=off", f"--workdir={RUNS / 'cpu'}", f"--port={port}"]) == 2
    assert f"--port={port} is taken" in capsys.readouterr().err


def test_a_flat_curve_looks_flat_and_a_steep_one_is_left_alone():
    flat = np.array([[0.0, 9.809], [1.0, 9.811]])
    axis = options_of(Chart("law", "z", "g", {"network": flat}))["yAxis"]
    assert axis["max"] - axis["min"] > 0.1 and axis["min"] < 9.809 and axis["max"] > 9.811
    small = options_of(Chart("law", "z", "g", {"network": flat * (1.0, 1e-4)}))["yAxis"]
    assert small["min"] < 9.809e-4 and small["max"] > 9.811e-4 and small["max"] - small["min"] < 1e-4
    steep = options_of(Chart("law", "z", "g", {"network": flat * (1.0, 0.0) + flat[:, :1]}, now=0.5))
    assert "min" not in steep["yAxis"]
    assert steep["series"][0]["markLine"]["data"] == [{"xAxis": 0.5}]


def test_a_model_that_runs_away_leaves_the_rest_of_its_curve():
    """JSON has no NaN, and a browser would draw nothing at all."""
    lines = {"model": np.array([[0.0, 1.0], [1.0, np.nan]]), "lost": np.array([[0.0, np.nan], [1.0, np.inf]])}
    for chosen in (lines, {"lost": lines["lost"]}):
        options = options_of(Chart("error", "t", "e", chosen))
        json.dumps(options, allow_nan=False)
    assert options_of(Chart("error", "t", "e", lines))["series"][0]["data"] == [[0.0, 1.0], [1.0, None]]


@pytest.mark.slow
def test_the_server_answers_on_the_loopback_alone():
    pytest.importorskip("nicegui")
    with socket.socket() as free:
        free.bind((view.HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "o2t_jax.commands.view", f"--workdir={RUNS / 'pendulum'}", f"--port={port}"]
    root = str(RUNS.parents[1])
    # NiceGUI takes its own tests' port where it finds itself in pytest.
    outside = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=outside) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith(f"view: http://127.0.0.1:{port} ")
            page = _page(port)
            assert page.count("data:image/png;base64,") == 2 and "true world" in page and "+2" in page
            # Addresses in what the browser loads: of this server only.
            assert not re.findall(r"(?:src|href|url\()\s*=?\s*[\"'(]?https?://", page)
            with pytest.raises(urllib.error.HTTPError, match="400"):
                _page(port, {"Host": "elsewhere.example"})
            assert not _reached(port)
        finally:
            server.terminate()
            server.wait(timeout=30)


def _page(port: int, headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers or {})
    for _ in range(50):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:  # it tells its address just before it listens
            time.sleep(0.2)
    raise AssertionError("no answer")


def _reached(port: int) -> bool:
    """Whether another address of this machine answers at the port."""
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for address in others - {view.HOST}:
        with socket.socket() as client:
            client.settimeout(2)
            if client.connect_ex((address, port)) == 0:
                return True
    return False
