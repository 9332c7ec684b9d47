"""Views: what a control moves is moved by the world's own rules, and nothing else is; no browser is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

import o2t_jax
from o2t_jax import media
from o2t_jax.commands import recording
from o2t_jax.data.o2t.sample import held_out_samples
from o2t_jax.data.recordings.track_files import write_tracks
from o2t_jax.data.recordings.tracks import Track
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t.prediction import psnr
from o2t_jax.geometry.para import TARGET
from o2t_jax.models.cores import rollout
from o2t_jax.physics.environment import Actions, idle, observed, simulate, state_of
from o2t_jax.systems.base import build_system
from o2t_jax.systems.dynamics_tests import DynamicsTests
from o2t_jax.systems.dynamics_view import DynamicsView, let_go, pushes_of
from o2t_jax.systems.o2t_view import O2TView
from o2t_jax.systems.recording_view import RecordingView, is_recording
from o2t_jax.systems.view import VIEWS, check_has_view, start_values
from o2t_jax.training import workdir as folders

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "examples" / "runs"


@dataclass
class Changed:
    """A run whose config is changed before its system is built."""

    workdir: Path
    step: int
    config: Any
    state: Any
    readouts: dict[str, Any]
    system: Any


def opened(name: str, **fields: Any) -> Changed:
    run = o2t_jax.load(RUNS / name)
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.update(fields)
    return Changed(run.workdir, run.step, config.lock(), run.state, run.readouts, build_system(config))


@pytest.fixture(scope="module")
def o2t() -> O2TView:
    return O2TView(opened("cpu"))


@pytest.fixture(scope="module")
def pendulum() -> DynamicsView:
    return DynamicsView(opened("pendulum", test_starts=3, test_horizon=1.0, dt_values=(0.1,)))


def ball_column(picture: np.ndarray) -> float:
    """The mean column of the dark ball's pixels."""
    dark = picture.max(axis=-1) < 90
    assert dark.any(), "no ball in the picture"
    return float(np.mean(np.nonzero(dark)[1]))


def test_a_camera_that_is_not_moved_shows_the_runs_own_held_out_picture(o2t):
    held = held_out_samples(o2t.system.source, [(o2t.system.ahead, range(2))])[0]
    for index in range(2):
        still = start_values(o2t) | {"sample": index, "n": int(held["n"][index])}
        arrays = o2t.moved(still).arrays()
        for name in ("pictures", "para", "k", "n"):
            np.testing.assert_array_equal(arrays[name], held[name][index], err_msg=name)


def test_the_true_picture_and_the_told_camera_move_with_the_controls(o2t):
    still = start_values(o2t)
    first, left = o2t.moved(still), o2t.moved(still | {"azimuth": 5.0})
    # A camera that turns left sees the ball farther right.
    assert ball_column(left.pictures[TARGET]) > ball_column(first.pictures[TARGET]) + 1
    np.testing.assert_array_equal(left.pictures[:TARGET], first.pictures[:TARGET])
    aside = o2t.moved(still | {"along": 0.3, "across": 0.4})
    assert ball_column(aside.pictures[TARGET]) > ball_column(first.pictures[TARGET])
    # PARA is in the frame of camera 1, whose +x is forward and +y left.
    np.testing.assert_allclose((aside.arrays()["para"] - first.arrays()["para"])[TARGET, 1:3], (0.3, 0.4), atol=1e-5)
    later = o2t.moved(still | {"n": 12})
    assert not np.array_equal(later.pictures[TARGET], first.pictures[TARGET])
    config = o2t.run.config
    assert later.arrays()["para"][TARGET, 0] == pytest.approx(later.arrays()["para"][0, 0] + 12 * config.dt, abs=1e-6)


def test_time_runs_on_and_begins_again(o2t):
    values = start_values(o2t) | {"n": o2t.run.config.n_max - 1}
    _, values = o2t.advance(None, values)
    assert values["n"] == o2t.run.config.n_max
    assert o2t.advance(None, values)[1]["n"] == 0


@pytest.mark.slow
def test_the_network_predicts_what_the_moved_camera_sees(o2t):
    values = start_values(o2t) | {"azimuth": 3.0, "across": 0.2}
    shown = o2t.show(None, values)
    true, predicted = shown.pictures["renderer (truth)"] / 255.0, shown.pictures["network"] / 255.0
    idle_picture = shown.given["left eye, t1"] / 255.0
    told, nothing = (psnr(float(np.mean(np.square(x - true)))) for x in (predicted, idle_picture))
    assert told is not None and nothing is not None and told > nothing + 10
    assert shown.facts["prediction"] == f"{told:.1f} dB"
    (chart,) = shown.charts
    np.testing.assert_allclose(chart.lines["truth"][:, 1], 9.81, rtol=1e-6)
    np.testing.assert_allclose(chart.lines["network"], o2t.run.readouts["law"]["g_of_z"])


def test_a_push_of_zero_is_the_free_roll(pendulum):
    values = start_values(pendulum) | {"sequence": 1}
    np.testing.assert_array_equal(pendulum.action(values), 0.0)
    state, states = pendulum.begin(values), []
    for _ in range(5):
        state, values = pendulum.advance(state, values)
        states.append(pendulum.states(state))
    true, predicted = (np.stack(x) for x in zip(*states, strict=True))
    env, start, still = pendulum.env, jnp.asarray(state.start), idle(pendulum.env, 5)
    free = simulate(env, state_of(env, start, state.params), still, pendulum.period, state.params)
    np.testing.assert_allclose(true, observed(env, free, state.params)[1:], rtol=1e-5, atol=1e-6)
    core, params = pendulum.system.core_for(pendulum.period), pendulum.run.state.params["core"]
    rolled = rollout(core, params, start[None], still[None], pendulum.period, state.context)[0]
    np.testing.assert_allclose(predicted, rolled, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("context", ["known", "inferred"])
def test_the_model_is_told_its_context(context):
    """Parameters that are known, or read from the window: those of the chosen sequence, as the test has them."""
    run = opened("pendulum", test_starts=3, test_horizon=1.0, dt_values=(0.1,), context=context, steps=20)
    params = run.system.init(jax.random.key(0))[0]
    run.state = run.state.replace(params=params)
    view = DynamicsView(run)
    values = start_values(view) | {"sequence": 2}
    state = view.begin(values)
    after, _ = view.advance(state, values)
    told = DynamicsTests(run.system).contexts(params)[2:3]
    still = idle(view.env, 1)[None]
    core = run.system.core_for(view.period)
    rolled = rollout(core, params["core"], jnp.asarray(state.start)[None], still, view.period, told)
    np.testing.assert_allclose(view.states(after)[1], rolled[0, 0], rtol=1e-5, atol=1e-6)


def test_a_run_of_whole_flights_is_refused_in_one_line():
    run = SimpleNamespace(workdir=Path("runs/fall"), config=ConfigDict({"sampler": "flights"}))
    run.system = SimpleNamespace(source=None)
    with pytest.raises(UsageError, match="sampler=flights: only sampler=pairs has a view"):
        O2TView(run)


def test_a_push_moves_world_and_model_the_same_way(pendulum):
    """From rest at the bottom a torque turns both to its own side, and the pictures with them."""
    values = start_values(pendulum)
    options = pendulum.controls["push"].options
    for text, side in (("-2", -1.0), ("+2", 1.0)):
        state = pendulum.begin(values)
        rest = np.zeros(2, np.float32)
        state = state._replace(start=rest, true=type(state.true)(0.0, 0.0), carried=jnp.zeros((1, 2)))
        for _ in range(2):
            state, _ = pendulum.advance(state, values | {"push": options[text]})
        for vector in pendulum.states(state):
            assert np.sign(vector[0]) == side and abs(vector[0]) > 0.01
        shown = pendulum.show(state, values)
        assert set(shown.pictures) == {"true world", "model"}
        assert np.mean(np.abs(shown.pictures["true world"].astype(float) - shown.pictures["model"])) < 3
    assert [chart.title for chart in shown.charts] == ["error"] and shown.facts["time"] == "0.20 s"


def test_a_push_that_is_not_held_is_let_go_after_a_step():
    """Entries of a free action are sliders up to its limit; a push in m/s acts once."""
    pushes = pushes_of(Actions(3, "m/s", held=False, limit=3.0))
    assert [(x.low, x.high, x.unit) for x in pushes.values()] == [(-3.0, 3.0, "m/s")] * 3
    assert let_go({"push0": 2.0, "sequence": 1.0}, Actions(1, held=True)) == {"push0": 2.0, "sequence": 1.0}
    assert let_go({"push0": 2.0, "sequence": 1.0}, Actions(1, held=False)) == {"push0": 0.0, "sequence": 1.0}


def test_a_new_start_begins_without_error(pendulum):
    state = pendulum.begin(start_values(pendulum) | {"sequence": 2})
    true, predicted = pendulum.states(state)
    np.testing.assert_array_equal(true, predicted)
    one, other = pendulum.show(state, start_values(pendulum)).pictures.values()
    np.testing.assert_array_equal(one, other)


SIGHTINGS = np.stack([40.0 + 6.0 * np.arange(12), 90.0 - 3.0 * np.arange(12)], axis=-1)  # px, right and down


@pytest.fixture
def folder(tmp_path) -> Path:
    """As `experiments.recording` leaves one: a film of a yellow dot on grey, its track, its law."""
    times, ones = np.arange(12) / 7.0, np.ones(12)
    rows, columns = np.mgrid[:120, :160]
    frames = np.full((12, 120, 160, 3), 90, np.uint8)
    for frame, (x, y) in zip(frames, SIGHTINGS, strict=True):
        frame[np.hypot(columns - x, rows - y) < 5] = (255, 255, 0)
    data, kind = media.film(frames, 15.0)
    (tmp_path / f"overlay.{kind}").write_bytes(data)
    track = Track(times, SIGHTINGS, ones, ones, ones, ones > 0, 5.0, 1.0)
    (tmp_path / "track.csv").write_text(write_tracks([track]))
    g = {"value": 9.8, "low": 9.7, "high": 9.9, "unit": "m/s²"}
    result = {"law": "free flight", "parameters": {"g": g}, "refused": [], "scale": {"source": "none"}}
    result["overlay"] = {"file": f"overlay.{kind}", "times": times.tolist()}
    folders.write_json(tmp_path / "result.json", result)
    return tmp_path


def check_replay(view: RecordingView, index: int, height: int) -> None:
    """The frame's ball lies where the chart tells for its moment, in px of the film of that height."""
    shown = view.show(None, {"frame": index})
    (chart,), (picture,) = shown.charts, shown.pictures.values()
    assert chart.now == view.times[index] and shown.facts["time"] == f"{view.times[index]:.3f} s"
    lines = [chart.lines[f"object 0, {name}"] for name in ("right", "down")]
    at = int(np.argmin(np.abs(lines[0][:, 0] - chart.now)))
    x, y = (line[at, 1] * picture.shape[0] / height for line in lines)
    colour = picture.astype(int)  # yellow of the circle, orange of the ball; not the red line
    rows, columns = np.nonzero(np.minimum(colour[..., 0], colour[..., 1]) - colour[..., 2] > 50)
    assert abs(columns.mean() - x) < 3 and abs(rows.mean() - y) < 3
    assert shown.facts["law"] == "free flight" and shown.facts["g"].endswith("m/s²")


def test_a_recording_is_replayed_with_its_own_times_and_law(folder):
    assert is_recording(folder) and not is_recording(RUNS / "cpu")
    view = RecordingView(folder)
    check_replay(view, 7, 120)
    assert view.period == pytest.approx(1 / 7)
    _, values = view.advance(None, {"frame": 10})
    assert values == {"frame": 11} and view.advance(None, values)[1] == {"frame": 0}


def test_further_laws_of_a_recording_stand_beside_its_law(folder):
    result = folders.read_json(folder / "result.json")
    parts = {"restitution": {"value": 0.9, "low": 0.8, "high": 1.0, "unit": ""}}
    entry = {"sees": "two places", "tracks": [0, 1], "law": "collision of two discs", "start": 0.1, "end": 1.25}
    further = [entry | {"parameters": parts, "refused": ["masses: no scale"]}]
    folders.write_json(folder / "result.json", result | {"further": further})
    facts = RecordingView(folder).show(None, {"frame": 3}).facts
    assert facts["law"] == "free flight" and facts["g"].startswith("9.8")
    which = "track 0 and 1 by two places"
    assert facts[f"law of {which}"] == "collision of two discs (0.100 to 1.250 s)"
    assert facts[f"restitution, {which}"].startswith("0.9 ") and facts[f"refused 1, {which}"] == "masses: no scale"
    folders.write_json(folder / "result.json", result | {"further": [{"law": "collision of two discs"}]})
    with pytest.raises(UsageError, match=r"result\.json is damaged"):
        RecordingView(folder)


@pytest.mark.slow
def test_a_measured_recording_is_replayed(tmp_path):
    out = tmp_path / "throw"
    flags = [f"--video={ROOT / 'examples' / 'throw.mp4'}", "--scale=42.4,266.0,39.1,53.8:0.5", f"--out={out}"]
    assert recording.main(["--cpu_tuning=off", *flags]) == 0
    assert is_recording(out)
    check_replay(RecordingView(out), 7, 320)


def test_a_recording_without_its_film_is_one_line(folder):
    result = folders.read_json(folder / "result.json")
    short = {**result["overlay"], "times": result["overlay"]["times"][:-1]}
    folders.write_json(folder / "result.json", result | {"overlay": short})
    with pytest.raises(UsageError, match=r"has 12 frames and result\.json 11 times"):
        RecordingView(folder)
    folders.write_json(folder / "result.json", {name: x for name, x in result.items() if name != "overlay"})
    with pytest.raises(UsageError, match="measure it again"):
        RecordingView(folder)
    outside = {**result["overlay"], "file": f"../{folder.name}/{result['overlay']['file']}"}
    wrong = ({"overlay": outside}, {"overlay": {"file": "x"}}, {"parameters": {"g": {}}}, {"scale": 1})
    for damaged in ([], *(result | each for each in wrong)):
        folders.write_json(folder / "result.json", damaged)
        with pytest.raises(UsageError, match=r"result\.json is damaged"):
            RecordingView(folder)


def test_systems_without_a_view_name_those_that_have_one():
    with pytest.raises(UsageError, match="'toy', which has no view: give one of dynamics, o2t"):
        check_has_view("toy", "runs/toy")
    for name in VIEWS:
        check_has_view(name, "runs/x")
        assert VIEWS.get(name)
