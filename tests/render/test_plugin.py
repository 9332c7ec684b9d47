"""Plug-in modules: pictures come through; output and messages of a module must not."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.process import set_variable
from o2t_jax.render.plugin import child as plugin_child
from o2t_jax.render.plugin import process as plugin_process
from o2t_jax.render.plugin.cache import PictureCache
from o2t_jax.render.plugin.renderer import PluginRenderer

SECRET = "g0is9.7654"

# A module whose pictures encode its arguments: rows of (seed, t, azimuth + 100, elevation + 100, x, y, z) at the top.
ECHO = """
    import os, time
    import numpy as np

    def render_scene_{id}(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512)):
        width, height = image_size
        with open(os.path.join(os.path.dirname(__file__), "calls"), "a") as file:
            file.write("%d\\n" % os.getpid())
        {extra}
        pictures = []
        for t, (azimuth, elevation) in zip(times, angles):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[0, :7, 0] = [seed_setup, 10 * t, azimuth + 100, elevation + 100, *observer_pos]
            pictures.append(picture)
        return pictures
"""


def write(folder: Path, source: str, name: str = "render_scene_x.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    return path


def echo(folder: Path, name: str = "x", extra: str = "") -> Path:
    return write(folder, ECHO.format(id=name, extra=extra), f"render_scene_{name}.py")


def calls(path: Path) -> list[int]:
    """Process ids of the module's calls so far."""
    file = path.parent / "calls"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def call(renderer: PluginRenderer, seed=3, times=(0.5,), size=(4, 8), position=(1.0, 2.0, 3.0), angle=(20.0, -5.0)):
    count = len(times)
    return renderer.render(seed, np.array(times), np.tile(angle, (count, 1)), np.tile(position, (count, 1)), size)


def running(pid: int) -> bool:
    """Whether a process still runs; one that ended but was not yet collected by its parent does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.strip().startswith("Z")


def gone(pid: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def refusal(make) -> str:
    """The message of the UsageError that `make` raises: one line."""
    with pytest.raises(UsageError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert message
    return message


def test_arguments_reach_the_module_and_pictures_come_back_in_order(tmp_path):
    times = np.array([0.5, 0.1, 0.9, 0.3])
    angles = np.array([[10.0, 1.0], [20.0, 2.0], [30.0, -3.0], [-40.0, 4.0]])
    positions = np.array([[1.0, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6]])
    path = echo(tmp_path)
    with PluginRenderer(str(path)) as renderer:
        pictures = renderer.render(7, times, angles, positions, (4, 8))
        assert renderer.scene_id == "x"
    assert pictures.shape == (4, 4, 8, 3)
    assert pictures.dtype == np.uint8
    told = np.stack([[7] * 4, times * 10, angles[:, 0] + 100, angles[:, 1] + 100, *positions.T], axis=1)
    np.testing.assert_array_equal(pictures[:, 0, :7, 0], told.astype(np.uint8))
    assert len(calls(path)) == 2, "one call for each distinct camera position"


@pytest.mark.parametrize("layout", ["(64, 4, 8, 3)), 0, 0", "(4, 8, 3, 64)), 3, 0"])
def test_a_module_may_draw_every_call_into_the_same_memory(tmp_path, layout):
    """As OpenGL's read-back does. The frames of one call and of the next keep their own pictures."""
    source = f"""
        import numpy as np

        FRAMES = np.moveaxis(np.zeros({layout})[:32].astype(np.uint8)

        def render_scene_x(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512)):
            for i, t in enumerate(times):
                FRAMES[i] = 10 * observer_pos[0] + t
            return list(FRAMES[: len(times)])
    """
    eyes = np.array([[1.0, 0, 2], [1, 0, 2], [2, 0, 2], [2, 0, 2]])
    with PluginRenderer(str(write(tmp_path, source))) as renderer:
        pictures = renderer.render(0, np.array([1.0, 2.0, 1.0, 2.0]), np.zeros((4, 2)), eyes, (4, 8))
    assert [np.unique(picture).tolist() for picture in pictures] == [[11], [12], [21], [22]]


def test_pictures_of_the_same_moment_may_be_one(tmp_path):
    """A module that remembers what it drew."""
    source = RENDER + f"seen = {{t: {GOOD} + np.uint8(t) for t in times}}\n    return [seen[t] for t in times]"
    with PluginRenderer(str(write(tmp_path, source))) as renderer:
        pictures = call(renderer, times=(3.0, 5.0, 3.0))
    assert pictures[:, 0, 0, 0].tolist() == [3, 5, 3]


def test_is_a_renderer(tmp_path):
    from o2t_jax.types import Renderer

    assert isinstance(PluginRenderer(str(echo(tmp_path))), Renderer)


@pytest.mark.parametrize("name", ["package.scene", "alone"])
def test_importable_name(tmp_path, monkeypatch, name):
    write(tmp_path / "package", "", "__init__.py")
    write(tmp_path / "package", ECHO.format(id="named", extra=""), "scene.py")
    write(tmp_path, ECHO.format(id="other", extra=""), "alone.py")
    monkeypatch.chdir(tmp_path)
    with PluginRenderer(name) as renderer:
        assert call(renderer)[0, 0, 0, 0] == 3
        assert renderer.scene_id in ("named", "other")


def test_a_module_sees_its_neighbours_and_not_the_project(tmp_path):
    write(tmp_path, "VALUE = 1", "helper_of_x.py")
    path = echo(tmp_path, extra="import helper_of_x")
    with PluginRenderer(str(path)) as renderer:
        call(renderer)
    path = echo(tmp_path, "y", extra="import plugin_cache")
    with PluginRenderer(str(path)) as renderer:
        assert "ModuleNotFoundError" in refusal(lambda: call(renderer))


# A module's output must not come through.

CHATTY = f"""
    import atexit, logging, os, subprocess, sys, warnings
    import numpy as np

    def shout(word):
        word = "{SECRET} " + word
        print(word)
        print(word, file=sys.stderr, flush=True)
        print(word, file=sys.__stdout__, flush=True)
        os.write(1, word.encode())
        os.write(2, word.encode())
        subprocess.run(["echo", word])
        os.system("echo " + word + "; echo " + word + " 1>&2")
        warnings.warn(word)
        logging.error(word)
        try:
            with open("/dev/tty", "w") as terminal:
                terminal.write(word)
        except OSError:
            pass

    shout("import")
    atexit.register(shout, "exit")
    Secret = type("Error" + "{SECRET}".replace(".", "_"), (KeyError,), {{}})

    def render_scene_x(seed_setup, times, angles, observer_pos=(0, 0, 2), image_size=(512, 512)):
        shout("render")
        if seed_setup == 1:
            raise Secret("{SECRET}")
        if seed_setup == 2:
            try:
                raise Secret("{SECRET}")
            except Secret as error:
                raise SystemExit("{SECRET}") from error
        if seed_setup == 3:
            return ["{SECRET}"]
        if seed_setup == 4:
            for descriptor in range(3, 64):
                try:
                    os.write(descriptor, b"{SECRET}" * 20)
                except OSError:
                    pass
        if seed_setup == 5:
            os._exit(97)
        return [np.zeros((image_size[1], image_size[0], 3), np.uint8) for _ in times]

    def describe_scene_x(seed_setup):
        print("ball 1: radius 0.4")
"""

DRIVER = """
    import gc, logging, sys, traceback
    import numpy as np
    from o2t_jax.render.plugin.renderer import PluginRenderer

    logging.basicConfig(level=0)
    renderer = PluginRenderer(sys.argv[1], cache_dir=sys.argv[2])
    good = lambda seed: renderer.render(seed, np.zeros(1), np.zeros((1, 2)), np.zeros((1, 3)), (4, 4))
    print("pictures", good(0).shape)
    for seed in (1, 2, 3, 4, 5):
        try:
            good(seed)
        except BaseException as error:
            traceback.print_exc()
            while error is not None:
                print("ERROR", seed, type(error).__name__, repr(error), vars(error), flush=True)
                error = error.__cause__ or error.__context__
    print("describe", repr(renderer.describe(0)))
    renderer.close()
"""


def test_nothing_a_module_says_comes_through(tmp_path):
    path = write(tmp_path, CHATTY)
    root = Path(plugin_child.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DRIVER), str(path), str(tmp_path / "cache")],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=True,
    )
    said = done.stdout
    assert "pictures (1, 4, 4, 3)" in said
    # Errors are reported with the nearest built-in type and the line, without the name and the message.
    lines = path.read_text().splitlines()
    raised = lines.index(f'        raise Secret("{SECRET}")') + 1
    assert f"KeyError at line {raised}" in said
    assert "SystemExit at line" in said
    for seed in (1, 2, 3, 4, 5):
        assert f"ERROR {seed} UsageError" in said
    assert "describe 'ball 1: radius 0.4\\n'" in said
    for part in (SECRET, SECRET.replace(".", "_"), "9.765", "97)"):
        assert part not in said.replace(str(tmp_path), "")
    for file in (tmp_path / "cache").rglob("*"):
        assert SECRET not in file.name
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()


def test_the_chatty_module_is_chatty(tmp_path):
    # Guards the test above: run directly, the same module does reveal it.
    path = write(tmp_path, CHATTY)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.count(SECRET) >= 8
    assert done.stderr.count(SECRET) >= 4


def test_a_module_gets_the_users_environment_and_not_our_settings(tmp_path, monkeypatch):
    """Its interpreter may have another JAX, whose compiler exits on an unknown flag."""
    monkeypatch.setenv("XLA_FLAGS", "--users")
    monkeypatch.setenv("GLIBC_TUNABLES", "")
    monkeypatch.delenv("GLIBC_TUNABLES")  # restored after the test
    monkeypatch.setenv("O2T_JAX_BEFORE", "{}")
    set_variable("XLA_FLAGS", "--users --ours")
    set_variable("GLIBC_TUNABLES", "ours")
    source = "import json, os\njson.dump(dict(os.environ), open(os.path.dirname(__file__) + '/seen', 'w'))\n"
    with PluginRenderer(str(write(tmp_path, source + "def render_scene_x(*a, **k): pass"))) as renderer:
        renderer.check()
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["XLA_FLAGS"] == "--users" and not {"GLIBC_TUNABLES", "O2T_JAX_BEFORE"} & set(seen)


def test_a_module_that_reads_its_arguments_finds_none(tmp_path):
    source = "import argparse, sys\nargparse.ArgumentParser().parse_args()\nassert sys.argv == [__file__], sys.argv\n"
    with PluginRenderer(str(write(tmp_path, source + "def render_scene_x(*a, **k): pass"))) as renderer:
        renderer.check()


def test_child_is_mute_before_the_module_is_imported(tmp_path):
    # The parent already passes null devices; the child must not depend on that.
    source = "import os; MUTED = [os.fstat(d).st_rdev == os.stat(os.devnull).st_rdev for d in (0, 1, 2)]\n"
    source += "assert all(MUTED)\ndef render_scene_x(*a, **k): pass"
    path = write(tmp_path, source)
    code = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(plugin_child.__file__).parent)!r})
        import child
        child.mute()
        name, loaded = child.load({str(path)!r}, None, {str(tmp_path)!r})
        print("{SECRET}", flush=True)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout + done.stderr == ""


def test_child_needs_only_the_standard_library_and_numpy():
    source = Path(plugin_child.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 8))
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"numpy"}


# Bad modules and interpreters.

RENDER = "import numpy as np\ndef render_scene_x(seed_setup, times, angles, observer_pos=0, image_size=0):\n    "
GOOD = "np.zeros((image_size[1], image_size[0], 3), np.uint8)"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1", ["render_scene_<id>", "docs/plugins.md"]),
        ("def render_scene_a(): pass\ndef render_scene_b(): pass", ["2 functions"]),
        ("\nimport package_that_is_not_there", ["ModuleNotFoundError at line 2", "install"]),
        ("\n\n1 / 0", ["ZeroDivisionError at line 3"]),
        ("\ndef f(:", ["SyntaxError at line 2"]),
        ("import marshal\nmarshal.loads(b'garbage')", ["line 2", "Python version", "module_python"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", ["SIGSEGV", "Python version", "module_python"]),
        (RENDER + "return 5", ["must return a list"]),
        (RENDER + f"return [{GOOD}] * (len(times) + 1)", ["returned 3 pictures for 2 times"]),
        (RENDER + "return [[1]] * len(times)", ["numpy array as picture 0"]),
        (RENDER + f"return [{GOOD}, {GOOD}.astype(float)]", ["picture 1 that is not uint8"]),
        (RENDER + "return [np.zeros((8, 4, 3), np.uint8)] * 2", ["(8, 4, 3)"]),
        (RENDER + "return [np.zeros((4, 8), np.uint8)] * 2", ["2 axes (4, 8)"]),
        (RENDER + "return undefined", ["NameError at line 3"]),
        (RENDER + f"return [{GOOD}] * 2", ["pictures 0 and 1 in the same memory", "copy"]),
        (RENDER + f"frames = {GOOD}[None].repeat(2, 0)\n    return [frames[0], frames[0, ::-1]]", ["same memory"]),
    ],
)
def test_a_bad_module_is_one_clear_line(tmp_path, source, words):
    path = write(tmp_path, source)
    with PluginRenderer(str(path)) as renderer:
        message = refusal(lambda: call(renderer, times=(0.0, 1.0)))
    assert str(path) in message
    for word in words:
        assert word in message


def test_a_crash_names_the_python_that_ran(tmp_path):
    path = write(tmp_path, "import os\nos.abort()")
    with PluginRenderer(str(path)) as renderer:
        message = refusal(renderer.check)
    assert "Python {}.{}.{}".format(*sys.version_info[:3]) in message
    assert sys.executable in message
    assert "--config.module_python=" in message


def test_bad_module_argument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such file" in refusal(lambda: PluginRenderer("nowhere.py"))
    assert "no such file" in refusal(lambda: PluginRenderer("no/where"))
    assert "cannot import" in refusal(lambda: PluginRenderer("not_a_module_anywhere"))
    assert "cannot import" in refusal(lambda: PluginRenderer("sys"))
    assert "not a .py file" in refusal(lambda: PluginRenderer(str(write(tmp_path, "", "x.pyc"))))


def test_bad_interpreter(tmp_path):
    path = str(echo(tmp_path))
    assert "no such program" in refusal(lambda: PluginRenderer(path, python=str(tmp_path / "python")))
    deaf = shutil.which("true")
    assert "does not answer" in refusal(lambda: PluginRenderer(path, python=deaf))
    bare = write(tmp_path, f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', "bare")
    bare.chmod(0o755)
    assert "no numpy" in refusal(lambda: PluginRenderer(path, python=str(bare)))
    broken = write(tmp_path, "#!/no/such/interpreter\n", "broken")
    broken.chmod(0o755)
    assert "cannot be started" in refusal(lambda: PluginRenderer(path, python=str(broken)))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"times": (-0.1,)}, "negative"),
        ({"times": (float("nan"),)}, "finite"),
        ({"position": (0.0, 0.0, float("inf"))}, "finite"),
        ({"position": (0.0, 0.0)}, "observer_positions"),
        ({"times": ()}, "at least 1"),
        ({"size": (0, 8)}, "image_size"),
        ({"size": (4, 100_000)}, "image_size"),
        ({"seed": -1}, "setup_seed"),
    ],
)
def test_bad_arguments_start_no_child(tmp_path, change, word):
    path = echo(tmp_path)
    with PluginRenderer(str(path)) as renderer:
        assert word in refusal(lambda: call(renderer, **change))
    assert calls(path) == []


# Processes.


def test_a_hanging_module_is_ended_in_time(tmp_path):
    path = echo(tmp_path, extra="time.sleep(600 if seed_setup == 9 else 0)")
    with PluginRenderer(str(path), timeout_s=2.0) as renderer:
        call(renderer)
        start = time.monotonic()
        message = refusal(lambda: call(renderer, seed=9))
        # Before the child's own alarm, which comes 2 s later.
        assert 1.9 < time.monotonic() - start < 3.8
        assert "within 2 s" in message
        assert gone(calls(path)[-1], 1.0)
        assert call(renderer).shape == (1, 4, 8, 3), "the renderer goes on with a new child"


@pytest.mark.parametrize("seed", [3, 9])
def test_children_end_with_a_killed_parent(tmp_path, seed):
    # Seed 3: idle, ends by end of file. Seed 9: hangs in the module, ends by its own alarm.
    path = echo(tmp_path, extra="time.sleep(600 if seed_setup == 9 else 0)")
    code = textwrap.dedent(f"""
        import numpy as np, time
        from o2t_jax.render.plugin.renderer import PluginRenderer
        renderer = PluginRenderer({str(path)!r}, timeout_s=2.0 if {seed} == 9 else 60.0)
        renderer.render({seed}, np.zeros(1), np.zeros((1, 2)), np.zeros((1, 3)), (4, 8))
        time.sleep(600)
    """)
    root = Path(plugin_child.__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    try:
        deadline = time.monotonic() + 20
        while not calls(path) and time.monotonic() < deadline:
            time.sleep(0.02)
        (pid,) = calls(path)
        assert running(pid)
    finally:
        parent.kill()
        parent.wait()
    assert gone(pid, 2.0 if seed == 3 else 7.0)


def test_one_child_for_each_call_at_a_time_up_to_workers(tmp_path):
    # Each of seeds 2 and 3 waits in the module until the other is there too; each call notes how long it lasted.
    extra = """here = os.path.dirname(__file__); start = time.time()
        open(os.path.join(here, "in-%d" % seed_setup), "w").close()
        while seed_setup in (2, 3) and not os.path.exists(os.path.join(here, "in-%d" % (5 - seed_setup))):
            time.sleep(0.01)
        time.sleep(0.02)
        with open(os.path.join(here, "spans"), "a") as file:
            file.write("%d %r %r\\n" % (os.getpid(), start, time.time()))"""
    path = echo(tmp_path, extra=extra)
    with PluginRenderer(str(path), workers=2, timeout_s=30.0) as renderer:
        assert calls(path) == [], "children start with the first call"
        call(renderer, seed=0)
        call(renderer, seed=1)
        assert len(set(calls(path))) == 1, "calls after one another share a child"
        threads = [threading.Thread(target=call, args=(renderer, seed)) for seed in range(2, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        children = set(calls(path))
        assert len(children) == 2, "seeds 2 and 3 met, so there are two; and never more"
        assert len(calls(path)) == 8
    spans = [(int(p), float(a), float(b)) for p, a, b in map(str.split, (tmp_path / "spans").read_text().splitlines())]
    for i, (pid, start, end) in enumerate(spans):
        for other, begin, finish in spans[:i]:
            assert pid != other or end <= begin or finish <= start, "a child renders one call at a time"
    assert all(gone(pid, 1.0) for pid in children), "close ends the children"


def test_close_wakes_a_call_and_the_renderer_can_go_on(tmp_path):
    path = echo(tmp_path, extra="time.sleep(600 if seed_setup == 9 else 0)")
    renderer = PluginRenderer(str(path))
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(refusal(lambda: call(renderer, seed=9))))
    thread.start()
    while not calls(path):
        time.sleep(0.02)
    renderer.close()
    thread.join(10)
    assert "closed" in messages[0]
    assert call(renderer)[0, 0, 0, 0] == 3
    renderer.close()


def test_a_crash_in_a_long_run_is_survived_once(tmp_path):
    crash = "flag = __file__ + '.flag'; first = not os.path.exists(flag); open(flag, 'w').close()"
    crash += "; seed_setup == 8 and first and os.abort(); seed_setup == 9 and os.abort()"
    path = echo(tmp_path, extra=crash.replace("first = ", "first = seed_setup == 8 and "))
    path.write_text(path.read_text().replace("open(flag, 'w').close()", "seed_setup == 8 and open(flag, 'w').close()"))
    with PluginRenderer(str(path)) as renderer:
        message = refusal(lambda: call(renderer, seed=9))
        assert "SIGABRT" in message
        assert renderer.stats["restarts"] == 0, "a child that never rendered is not tried twice"
        call(renderer)
        assert call(renderer, seed=8)[0, 0, 0, 0] == 8
        assert renderer.stats["restarts"] == 1
        assert "SIGABRT" in refusal(lambda: call(renderer, seed=9))
        assert call(renderer)[0, 0, 0, 0] == 3


# Pictures on disk.


def test_cache_answers_without_the_module(tmp_path):
    path = echo(tmp_path)
    cache = tmp_path / "cache"
    with PluginRenderer(str(path), cache_dir=cache) as renderer:
        first = call(renderer, times=(0.1, 0.2))
        assert renderer.stats == {"rendered": 2, "cached": 0, "restarts": 0}
    with PluginRenderer(str(path), cache_dir=cache) as renderer:
        again = call(renderer, times=(0.1, 0.2))
        assert renderer.stats == {"rendered": 0, "cached": 2, "restarts": 0}
    np.testing.assert_array_equal(first, again)
    assert len(calls(path)) == 1
    again[:] = 0  # a caller may write into its pictures
    assert not list(cache.rglob(".part-*"))


def test_what_a_killed_process_was_writing_is_removed_and_what_another_writes_now_is_not(tmp_path):
    old, young = (tmp_path / ("0" * 16) / "ab" / f".part-{name}" for name in ("old", "young"))
    old.parent.mkdir(parents=True)
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    PictureCache(tmp_path, "0" * 64)
    assert young.exists() and not old.exists()


def test_a_cache_that_cannot_be_written_names_the_field(tmp_path):
    path = echo(tmp_path)
    message = refusal(lambda: PluginRenderer(str(path), cache_dir=path / "cache"))
    assert "cannot be written" in message and "--config.module_cache=off" in message


def test_cache_misses_when_anything_differs(tmp_path):
    path = echo(tmp_path)
    changes = [
        {},
        {"seed": 4},
        {"times": (0.6,)},
        {"times": (0.5, 0.5)},
        {"size": (8, 4 + 4)},
        {"size": (8, 16)},
        {"position": (1.0, 2.0, 3.0 + 1e-12)},
        {"angle": (20.0, -5.5)},
        {"angle": (-5.0, 20.0)},
    ]
    with PluginRenderer(str(path), cache_dir=tmp_path / "cache") as renderer:
        for change in changes:
            call(renderer, **change)
        assert renderer.stats["cached"] == 0
        for change in changes:
            call(renderer, **change)
        assert renderer.stats["cached"] == renderer.stats["rendered"] == len(changes) + 1
    path.write_text(path.read_text() + "\n# another file now\n")
    with PluginRenderer(str(path), cache_dir=tmp_path / "cache") as renderer:
        call(renderer)
        assert renderer.stats["cached"] == 0


def test_a_damaged_cache_file_is_rendered_again(tmp_path):
    path = echo(tmp_path)
    with PluginRenderer(str(path), cache_dir=tmp_path / "cache") as renderer:
        picture = call(renderer)
        (file,) = (tmp_path / "cache").rglob("*.pic")
        whole = file.read_bytes()
        damages = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(0, len(whole), 7)]
        damages += [b"", whole[:20], whole[:-1], whole + b"x"]
        head, body = whole[:40], whole[72:]  # what it is, and its key; the pictures, after their sum
        for other in (body[:-1], body[1:], b"", body[:-4] + b"none"):  # as another program would write it
            damages.append(head + hashlib.sha256(other).digest() + other)
        for damaged in damages:
            file.write_bytes(damaged)
            before = renderer.stats["rendered"]
            np.testing.assert_array_equal(call(renderer), picture)
            assert renderer.stats["rendered"] == before + 1
            assert file.read_bytes() == whole, "the damaged file is replaced"


def test_cache_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    path = str(echo(tmp_path))
    assert "cache folder" in refusal(lambda: PluginRenderer(path, cache_dir=tmp_path / "file"))


# describe.


def test_describe_gives_what_describe_says_and_nothing_else(tmp_path):
    source = f"""
        import sys
        print("{SECRET}", end="")
        def render_scene_x(*args, **kwargs): pass
        def describe_scene_x(seed_setup):
            sys.__stdout__.write("{SECRET}")
            print("seed", seed_setup)
    """
    renderer = PluginRenderer(str(write(tmp_path, source)))
    assert renderer.describe(5) == "seed 5\n"
    returning = write(
        tmp_path, "def render_scene_y(): pass\ndef describe_scene_y(s): return f'r{s}'", "render_scene_y.py"
    )
    assert PluginRenderer(str(returning)).describe(6) == "r6"
    assert "no function describe_scene" in refusal(lambda: PluginRenderer(str(echo(tmp_path, "z"))).describe(1))


def test_builtin_names_only():
    class KeyError(LookupError):
        pass

    assert plugin_child.builtin_name(KeyError()) == "LookupError"
    assert plugin_process._builtin_exception(b"ValueError") == "ValueError"
    for name in (b"print", SECRET.encode(), b"__name__", b"\xff"):
        assert plugin_process._builtin_exception(name) == "an exception"


def test_no_descriptor_is_left_open(tmp_path):
    path = echo(tmp_path)
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    before = len(os.listdir(folder))
    for _ in range(3):
        with PluginRenderer(str(path)) as renderer:
            call(renderer)
    assert len(os.listdir(folder)) == before
