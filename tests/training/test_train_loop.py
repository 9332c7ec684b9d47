"""The loop's order of events, with a step that only counts."""

import math
import signal

import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.training.loop import Schedule, train
from o2t_jax.training.metrics import Averages
from o2t_jax.training.parallel import make_parallel
from o2t_jax.training.signals import StopFlag, StopRequested


class World:
    """Step, data and hooks in one: writes down what the loop does, in order."""

    def __init__(self, bad_step=None):
        self.events, self.position, self.bad_step, self.logged, self.saved = [], 0, bad_step, {}, {}

    def step(self, state, batch):
        number = int(batch["x"][0])
        self.events.append(f"step {number}")
        loss = math.nan if number == self.bad_step else float(number)
        metrics = {
            "loss": jnp.asarray(loss),
            "grad_norm": jnp.ones(()),
            "few": (jnp.asarray(loss * (number % 2)), number % 2),
        }
        return number, metrics

    def __next__(self):
        self.position += 1
        self.events.append(f"draw {self.position}")
        return {"x": np.full(4, self.position)}

    def get_state(self):
        return {"next": self.position}

    def on_step(self, step, metrics):
        self.events.append(f"read {step}")

    def on_log(self, step, means, timing):
        self.logged[step] = dict(means)

    def on_eval(self, step, state, due):
        self.events.append(f"eval {step}")
        assert state == step

    def on_save(self, step, state, position, window):
        self.events.append(f"save {step}")
        self.saved[step] = (state, position, window.get_state())

    def run(self, start=0, steps=6, window=None, **options):
        if start:
            self.position = start
        schedule = Schedule(train_steps=steps, log_every=4, checkpoint_every=3, periods={"test": 100})
        parallel = make_parallel(1)
        return train(
            self.step,
            start,
            self,
            start=start,
            schedule=schedule,
            hooks=self,
            parallel=parallel,
            batch_size=4,
            window=window,
            **options,
        )


def test_metrics_are_read_one_step_late_and_saves_wait_for_them():
    world = World()
    assert world.run() == (6, 6)
    assert world.events[:9] == [
        *("draw 1", "step 1", "draw 2", "step 2", "draw 3", "read 1", "step 3", "draw 4", "read 2"),
    ]
    assert world.events[9:11] == ["read 3", "save 3"]  # a saved state's own metrics are known to be finite
    assert world.events[-4:] == ["read 5", "read 6", "eval 6", "save 6"]
    assert "draw 7" not in world.events


def test_position_is_that_of_the_next_batch():
    world = World()
    world.run()
    assert world.saved[3][1] == {"next": 3} and world.saved[6][1] == {"next": 6}


def test_log_lines_are_exact_means_also_across_a_resume():
    whole = World()
    whole.run()
    assert whole.logged[4]["loss"] == 2.5 and whole.logged[4]["few"] == (1 + 3) / 2
    assert whole.logged[6]["loss"] == 5.5
    resumed = World()
    resumed.run(start=3, window=Averages(whole.saved[3][2]))
    assert resumed.logged == whole.logged


@pytest.mark.parametrize("bad", [1, 2, 3, 4, 6])
def test_nothing_is_saved_after_a_loss_that_is_not_finite(bad):
    world = World(bad_step=bad)
    with pytest.raises(UsageError, match=rf"loss is nan at step {bad}\b"):
        world.run()
    assert all(step < bad for step in world.saved)


def test_stopping_saves_at_once():
    world = World()
    assert world.run(stop=lambda step: step == 2) == (2, 2)
    assert world.events[-2:] == ["read 2", "save 2"]


def test_a_finished_run_does_nothing():
    world = World()
    assert world.run(start=6) == (6, 6)
    assert world.events == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_a_system_may_ask_to_end_as_often_as_it_likes(name):
    """A closed terminal sends SIGHUP twice, a batch system SIGUSR1 and then SIGTERM: the save goes on."""
    with StopFlag() as stop:
        for signum in (signal.Signals[name], signal.Signals[name], signal.SIGTERM):
            signal.raise_signal(signum)
            assert stop.signum == signal.Signals[name]


def test_under_nohup_a_closed_terminal_ends_nothing():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopFlag() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.signum is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_first_signal_waits_and_a_second_ctrl_c_does_not():
    before = signal.getsignal(signal.SIGTERM)
    with StopFlag() as stop:
        stop.check()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopRequested, match="SIGTERM"):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


def test_every_evaluator_has_its_own_period_and_the_decisive_one_is_saved():
    schedule = Schedule(
        train_steps=10, log_every=1, checkpoint_every=7, periods={"often": 2, "test": 5}, decisive="test"
    )
    assert [schedule.due(step) for step in (2, 3, 5, 10)] == [("often",), (), ("test",), ("often", "test")]
    assert [step for step in range(1, 11) if schedule.saves(step)] == [5, 7, 10]
