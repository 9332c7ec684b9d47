"""From source to device: order, resume, errors, threads that end, and what the statistics say."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import jax
import numpy as np
import pytest

from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.sample_pipeline import sample_pipeline
from o2t_jax.data.pipeline import Pipeline
from o2t_jax.errors import UsageError
from tests.data.conftest import VIEWS
from tests.defaults import buffer_config

BUFFER = buffer_config(pool_size=24, initial_fill=16, batch=8, reuse=2.0)


def scaled(steps):
    """A curriculum of so many steps for the fake world."""
    return Curriculum.scaled(steps, VIEWS.n_max)


def number(index, step):
    return {"index": np.array(index, np.int64), "step": np.array(step, np.int64)}


def digest(batch):
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree_util.tree_leaves(batch))


def take(pipeline, count):
    return [digest(next(pipeline)) for _ in range(count)]


def our_threads():
    return [t for t in threading.enumerate() if t.name.startswith("replay")]


@pytest.fixture(autouse=True)
def no_thread_is_left_behind():
    yield
    deadline = time.monotonic() + 5.0
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not our_threads()


def test_rendered_batches_are_the_same_under_1_and_8_workers(make_source):
    runs = []
    for workers in (1, 8):
        buffer = buffer_config(24, 16, 8, reuse=2.0, render_workers=workers)
        with sample_pipeline(make_source(), scaled(24), buffer) as pipeline:
            runs.append(take(pipeline, 24))
    assert runs[0] == runs[1] and len(set(runs[0])) == 24


@pytest.mark.parametrize("stop", [0, 1, 9, 20])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(make_source, stop):
    with sample_pipeline(make_source(), scaled(24), BUFFER) as pipeline:
        whole = take(pipeline, 24)
    with sample_pipeline(make_source(), scaled(24), BUFFER, prefetch=3) as pipeline:
        take(pipeline, stop)
        time.sleep(0.05)  # the prefetch thread runs ahead of what was handed out
        state = json.loads(json.dumps(pipeline.get_state()))
    assert state == {"next_step": stop, "pool_size": 24}
    with sample_pipeline(make_source(), scaled(24), BUFFER, position=state) as pipeline:
        assert pipeline.get_state() == state
        assert take(pipeline, 24 - stop) == whole[stop:]


def test_a_curriculum_beyond_the_samplers_n_max_is_refused(make_source):
    with pytest.raises(UsageError, match="n_max=12"):
        sample_pipeline(make_source(), Curriculum.scaled(10, 13), BUFFER)


def test_an_earlier_position_goes_back_while_the_first_pipeline_runs_on():
    with Pipeline(number, BUFFER, 0) as pipeline:
        first = take(pipeline, 5)
        with Pipeline(number, BUFFER, 0, position={"next_step": 2, "pool_size": 24}) as again:
            assert take(again, 3) == first[2:]


def test_the_saved_pool_size_is_used_again():
    smaller = buffer_config(pool_size=16, initial_fill=16, batch=8, reuse=2.0)
    with Pipeline(number, BUFFER, 0) as pipeline:
        whole = take(pipeline, 12)
        state = pipeline.get_state()
        rest = take(pipeline, 4)
    with Pipeline(number, smaller, 0, position=state) as pipeline:
        assert take(pipeline, 4) == rest and pipeline.get_state()["pool_size"] == 24
    with Pipeline(number, smaller, 0) as pipeline:
        assert take(pipeline, 12) != whole


def test_a_position_of_other_sizes_is_refused():
    with pytest.raises(UsageError, match="pool_size 4"):
        Pipeline(number, BUFFER, 0, position={"next_step": 3, "pool_size": 4})


def test_batches_on_the_device_keep_their_numbers():
    """On CPU a device array may alias numpy memory: no later draw may write into it."""

    def make(index, step):
        return {"x": np.full((64, 64), index, np.float32)}

    with Pipeline(make, BUFFER, 0, place=jax.device_put) as pipeline:
        placed = [next(pipeline) for _ in range(30)]
        assert all(isinstance(batch["x"], jax.Array) for batch in placed)
    with Pipeline(make, BUFFER, 0) as pipeline:
        for batch in placed:
            np.testing.assert_array_equal(np.asarray(batch["x"]), next(pipeline)["x"])


def test_the_next_batch_is_placed_while_the_step_runs():
    placed = []

    def place(batch):
        placed.append(time.monotonic())
        return batch

    with Pipeline(number, BUFFER, 0, place=place) as pipeline:
        for done in range(1, 4):
            next(pipeline)
            handed_out, deadline = time.monotonic(), time.monotonic() + 5.0
            while len(placed) < done + 1 and time.monotonic() < deadline:
                time.sleep(0.002)
            assert len(placed) > done
            assert len(placed) <= done + 3, "more than the prefetch asks for lies on the device"
            assert handed_out < deadline


def test_realised_modes_follow_the_curriculum(make_source):
    steps, batch = 120, 16
    source, curriculum = make_source(image_size=(16, 16)), scaled(steps)
    with sample_pipeline(source, curriculum, buffer_config(96, 64, batch, reuse=1.0)) as pipeline:
        modes = [np.bincount(next(pipeline)["mode"], minlength=3) for _ in range(steps)]
        stats = pipeline.stats()
    for phase, end in zip(curriculum.phases, [3, 10, 30, steps], strict=True):
        drawn = np.sum(modes[phase.start : end], axis=0)
        p, count = np.array(phase.probabilities), drawn.sum()
        # The first step of a phase may find none of its new mode in the ring yet; it is one step's draws at most.
        tolerance = 4 * np.sqrt(p * (1 - p) / count) + batch / count
        assert np.all(np.abs(drawn / count - p) <= tolerance), (phase, drawn / count)
    total = np.sum(modes, axis=0) / (steps * batch)
    reported = [stats["fraction_DIS"], stats["fraction_VIEW"], stats["fraction_FUTURE"]]
    np.testing.assert_allclose(reported, total, atol=2 * batch / (steps * batch))
    assert stats["mode_absent"] <= 3 * batch
    assert stats["rejects"] >= 0 and stats["rendered"] >= curriculum.train_steps * batch


def test_an_error_in_a_worker_surfaces_as_itself_before_the_samples_that_come_first():
    def make(index, step):
        if index == 3:
            raise UsageError("module 'x' has no render_scene_y: give another module")
        time.sleep(1.5)
        return number(index, step)

    begun = time.monotonic()
    with Pipeline(make, buffer_config(24, 16, 8, render_workers=4), 0) as pipeline:
        for _ in range(2):
            with pytest.raises(UsageError, match="render_scene_y"):
                next(pipeline)
        assert time.monotonic() - begun < 1.0


def test_an_error_long_after_the_fill_surfaces():
    def make(index, step):
        if index == 60:
            raise UsageError("the module's process died")
        return number(index, step)

    with Pipeline(make, BUFFER, 0) as pipeline, pytest.raises(UsageError, match="process died"):
        for _ in range(40):
            next(pipeline)


def test_a_worker_that_exits_does_not_leave_the_consumer_waiting():
    def make(index, step):
        raise SystemExit("bye")

    with Pipeline(make, BUFFER, 0) as pipeline, pytest.raises(RuntimeError, match="SystemExit: bye"):
        next(pipeline)


def test_an_error_while_placing_surfaces():
    def place(batch):
        raise ValueError("no such device")

    with Pipeline(number, BUFFER, 0, place=place) as pipeline, pytest.raises(ValueError, match="no such device"):
        next(pipeline)


@pytest.mark.parametrize("buffer", ["deterministic", "free"])
def test_closing_in_the_middle_of_a_long_fill_is_quick(buffer):
    def make(index, step):
        time.sleep(0.05)
        return number(index, step)

    pipeline = Pipeline(make, buffer_config(4_000, 4_000, 8, buffer=buffer), 0)
    pipeline.start()
    time.sleep(0.2)
    begun = time.monotonic()
    pipeline.close()
    pipeline.close()
    assert time.monotonic() - begun < 2.0
    with pytest.raises(ValueError, match="closed"):
        next(pipeline)


@pytest.fixture
def ctrl_c():
    """SIGINT interrupts, also where the tests run in a shell's background, whose children ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_during_the_fill_ends_all_threads():
    def make(index, step):
        time.sleep(0.02)
        return number(index, step)

    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Pipeline(make, buffer_config(4_000, 4_000, 8), 0) as pipeline:
        timer.start()
        next(pipeline)
    assert time.monotonic() - begun < 4.0


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_waiting_for_a_batch_ends_all_threads():
    def make(index, step):
        if index >= 16:
            time.sleep(0.3)
        return number(index, step)

    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), Pipeline(make, BUFFER, 0) as pipeline:
        timer.start()
        for _ in range(200):
            next(pipeline)


def test_a_dropped_pipeline_leaves_no_thread():
    pipeline = Pipeline(number, BUFFER, 0)
    next(pipeline)
    del pipeline


def test_progress_counts_up_to_the_whole_fill():
    def make(index, step):
        time.sleep(0.02)
        return number(index, step)

    calls = []
    with Pipeline(make, buffer_config(64, 60, 8), 0, progress=lambda *call: calls.append(call)) as pipeline:
        next(pipeline)
        assert pipeline.stats()["fill_seconds"] > 0.2
        filled = len(calls)
        next(pipeline)
    done = [call[0] for call in calls]
    assert len(calls) == filled >= 2 and done == sorted(done)
    assert calls[-1][:2] == (60, 60) and {call[1] for call in calls} == {60}
    assert 5 < calls[-1][2] < 200  # two workers, 20 ms each: 100 a second


def test_waiting_for_slow_workers_is_measured():
    def make(index, step):
        if index >= 16:
            time.sleep(0.02)
        return number(index, step)

    with Pipeline(make, BUFFER, 0) as pipeline:
        for _ in range(12):
            next(pipeline)
        stats = pipeline.stats()
    assert 0.2 < stats["waited_seconds"] < 3.0
    assert stats["batches"] == 12 and stats["drawn"] >= 96 and stats["reuse_target"] == 2.0


def test_processes_draw_and_render_streams_of_their_own(make_source):
    drawn, rendered = [], []
    for process in range(2):
        place = {"process_index": process, "process_count": 2}
        with Pipeline(number, BUFFER, 0, **place) as pipeline:
            drawn.append(take(pipeline, 3))
        with sample_pipeline(make_source(), scaled(400), BUFFER, **place) as pipeline:
            rendered.append({row.tobytes() for _ in range(3) for row in next(pipeline)["para"]})
            assert pipeline.get_state() == {"next_step": 3, "pool_size": 24}
    assert drawn[0] != drawn[1]
    assert not rendered[0] & rendered[1]


FREE = buffer_config(pool_size=24, initial_fill=16, batch=8, buffer="free", render_workers=4)


def test_free_workers_fill_the_pool_and_then_make_one_sample_per_sample_drawn():
    with Pipeline(number, FREE, 0) as pipeline:
        for _ in range(20):
            next(pipeline)
            time.sleep(0.01)
        time.sleep(0.2)
        stats = pipeline.stats()
    assert stats["rendered"] == 24 + stats["drawn"]


def test_a_free_ring_replaces_the_oldest_and_tells_workers_the_step():
    with Pipeline(number, FREE, 0) as pipeline:
        seen = []
        for _ in range(30):
            seen.append(next(pipeline))
            time.sleep(0.005)
    last = seen[-1]
    assert last["index"].max() - last["index"].min() < 24 + FREE.ahead
    assert last["index"].min() > 24
    assert np.all(last["step"] <= 30) and last["step"].max() > 10


def test_free_draws_do_not_wait_for_slow_workers_but_say_how_often_samples_are_reused():
    def make(index, step):
        if index >= 16:
            time.sleep(0.1)
        return number(index, step)

    with Pipeline(make, FREE, 0) as pipeline:
        next(pipeline)
        begun = time.monotonic()
        for _ in range(20):
            next(pipeline)
        assert time.monotonic() - begun < 1.0
        assert pipeline.stats()["reuse"] > 4.0


def test_a_free_run_resumes_with_new_samples():
    with Pipeline(number, FREE, 0) as pipeline:
        for _ in range(5):
            next(pipeline)
        state = pipeline.get_state()
    with Pipeline(number, FREE, 0, position=state) as pipeline:
        batch = next(pipeline)
        assert state == {"next_step": 5, "pool_size": 24}
        assert batch["index"].min() >= 24 + 5 * 8 and np.all(batch["step"] >= 5)
        assert pipeline.get_state()["next_step"] == 6


@pytest.mark.parametrize(
    ("keywords", "names"),
    [
        ({"seed": -1}, "seed=-1"),
        ({"process_index": 2, "process_count": 2}, "process_index=2"),
        ({"prefetch": 0}, "prefetch=0"),
    ],
)
def test_bad_arguments_are_refused(keywords, names):
    with pytest.raises(UsageError, match=names):
        Pipeline(number, BUFFER, **{"seed": 0, **keywords})
