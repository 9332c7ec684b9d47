"""Threads that work ahead: order, how far ahead, and what ends them."""

from __future__ import annotations

import threading

import pytest

from o2t_jax.data.workers import Closed, Workers


@pytest.fixture
def workers():
    """Makes Workers that are closed at the test's end."""
    made = []

    def make(function, **options):
        made.append(Workers(function, **{"first": 0, "threads": 3, "ahead": 4, "name": "replay-test", **options}))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()
        assert not any(thread.is_alive() for thread in one._threads)


def test_results_come_in_order_whichever_is_finished_first(workers):
    gates = [threading.Event() for _ in range(3)]

    def work(index):
        if index < 3:
            assert gates[index].wait(10.0)
        return index * index

    results = workers(work, first=0)
    for index in (2, 1, 0):
        assert not results.wait(0.0)
        gates[index].set()
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]


def test_no_more_than_ahead_are_begun_beyond_those_read(workers):
    begun, enough = [], threading.Semaphore(0)

    def work(index):
        begun.append(index)
        enough.release()
        return index

    results = workers(work, first=7)
    for read in range(5):
        for _ in range(4 if read == 0 else 1):
            assert enough.acquire(timeout=10.0)
        assert not enough.acquire(timeout=0.02), "one more was begun"
        assert sorted(begun) == list(range(7, 11 + read))
        assert next(results) == 7 + read


def test_an_error_comes_before_results_that_are_ready_and_stays(workers):
    failed = threading.Event()

    def work(index):
        if index == 2:
            failed.set()
            raise ValueError("the third")
        return index

    results = workers(work, threads=1)
    assert failed.wait(10.0)
    with results.changed:
        assert results.changed.wait_for(lambda: results.over, 10.0)
    for _ in range(2):
        assert results.wait(0.0)
        with pytest.raises(ValueError, match="the third"):
            next(results)


def test_closing_wakes_who_waits(workers):
    gate = threading.Event()
    results = workers(lambda index: gate.wait(10.0))
    ended = []

    def read():
        with pytest.raises(Closed):
            next(results)
        ended.append(True)

    reader = threading.Thread(target=read)
    reader.start()
    results.stop()
    reader.join(10.0)
    gate.set()
    assert ended == [True]
