"""Samples made on the device: what the program makes, what the ring gives, and that no picture passes the host."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.data.o2t.curriculum import Curriculum
from o2t_jax.data.o2t.on_device import ring as rings
from o2t_jax.data.o2t.on_device.block import BlockMaker, Report
from o2t_jax.data.o2t.on_device.samples import DeviceSamples
from o2t_jax.data.o2t.on_device.shots import mixes
from o2t_jax.data.o2t.sample import spec_for
from o2t_jax.errors import UsageError
from o2t_jax.geometry.camera import intrinsics_for, relative_para
from o2t_jax.geometry.para import LEFT_1, NUM_PICTURES, TARGET
from o2t_jax.physics.gravity import law_for
from o2t_jax.physics.room.exact import PROJECTILE, Setup
from o2t_jax.physics.room.exact import simulate as simulate_exactly
from o2t_jax.render.opencv.rasteriser import draw_scene
from tests.defaults import acceptance_rule, buffer_config, shot_config

LAW, SIZE, BLOCK = law_for(9.5, 8.0), 32, 8
# A wide view of the target, so that many shots are rejected, and few candidates, so that some samples have none.
VIEWS = shot_config(view_azimuth=45.0, view_elevation=20.0)
CURRICULUM = Curriculum.scaled(50, VIEWS.n_max)
BUFFER = buffer_config(12, BLOCK, 4, reuse=2.0)
MAKER = BlockMaker("ballistic", LAW, VIEWS, acceptance_rule(), (SIZE, SIZE), 3, 2, BLOCK)


def device_samples(**keywords: Any) -> DeviceSamples:
    return DeviceSamples(MAKER, CURRICULUM, BUFFER, **keywords)


def host(batch: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    return {name: np.array(x) for name, x in batch.items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def batches() -> tuple[list[dict[str, np.ndarray]], dict[str, float]]:
    """The first 24 batches of a run, and its statistics."""
    run = device_samples()
    return [host(next(run)) for _ in range(24)], run.stats()


def test_batches_are_as_promised_and_counted(batches):
    made, stats = batches
    for name, (shape, dtype) in spec_for((SIZE, SIZE), windows=False).items():
        assert made[0][name].shape == (BUFFER.batch, *shape) and made[0][name].dtype == dtype
    assert stats["drawn"] == 24 * BUFFER.batch and stats["batches"] == 24
    assert stats["rendered"] == -(-BUFFER.produced(23) // BLOCK) * BLOCK
    assert stats["cast"] == stats["rendered"] - stats["invalid"] + stats["rejects"]
    assert stats["rejects"] > 0 and stats["invalid"] > 0, "this run does not test rejection"
    assert sum(stats[f"fraction_{mode}"] for mode in ("DIS", "VIEW", "FUTURE")) == pytest.approx(1.0)


@pytest.mark.parametrize("after", [3, 17])
def test_a_resumed_run_draws_the_same_batches(batches, after):
    run = device_samples()
    for _ in range(after):
        next(run)
    resumed = device_samples(position=run.get_state())
    for expected in batches[0][after : after + 5]:
        assert same(host(next(resumed)), expected)
    assert resumed.stats()["rendered"] < BUFFER.produced(after + 5) + BLOCK


def test_only_valid_samples_of_the_steps_own_window_are_drawn():
    """The window is the host's buffer's: P(s) samples are made by step s, and the last `pool_size` of them count."""
    run = device_samples()
    for step in range(20):
        batch = host(next(run))
        assert run._ring is not None
        ring = jax.device_get(run._ring)
        high = BUFFER.produced(step)
        usable = ring.valid & (ring.index >= max(0, high - BUFFER.pool_size)) & (ring.index < high)
        for para, pictures in zip(batch["para"], batch["pictures"], strict=True):
            found = usable & (ring.para == para).all(axis=(1, 2))
            assert found.sum() == 1
            np.testing.assert_array_equal(ring.pictures[found][0], pictures)


def test_a_sample_shows_what_its_numbers_say():
    """Camera, ball and time of the accepted shots, drawn by the host's rasteriser with the exact simulator."""
    run = device_samples()
    next(run)
    assert run._ring is not None
    ring = jax.device_get(run._ring)
    mix = mixes([CURRICULUM.at(0)] * BLOCK)
    plans = jax.vmap(jax.vmap(MAKER.plan, (None, 0, None)), (0, None, 0))
    shot, start = jax.device_get(jax.jit(plans)(np.arange(BLOCK), np.arange(MAKER.candidates), mix))
    camera, checked = intrinsics_for(SIZE, SIZE), 0
    for slot in np.flatnonzero(ring.valid[:BLOCK]).tolist():
        ways = [_para(shot, slot, i) for i in range(MAKER.candidates)]
        chosen = int(np.argmin([np.abs(relative_para(way) - ring.para[slot]).max() for way in ways]))
        np.testing.assert_allclose(relative_para(ways[chosen]), ring.para[slot], atol=1e-4)
        setup = _setup(start, slot, chosen)
        position, visible = simulate_exactly(setup, ways[chosen][:, 0].astype(float), LAW)
        for i in range(NUM_PICTURES):
            eye, angles = ways[chosen][i, 1:4].astype(float), ways[chosen][i, 4:].astype(float)
            picture = draw_scene(setup, position[i], visible[i], (eye, float(angles[0]), float(angles[1])), camera)
            assert np.abs(picture.astype(int) - ring.pictures[slot, i]).mean() < 0.15
        assert np.array_equal(ring.pictures[slot, TARGET], ring.pictures[slot, LEFT_1]) == (ring.mode[slot] == 0)
        checked += 1
    assert checked >= 4


def _para(shot: Any, sample: int, candidate: int) -> np.ndarray:
    times, angles, positions = (np.asarray(x)[sample, candidate] for x in shot[:3])
    return np.concatenate([times[:, None], positions, angles], axis=1)


def _setup(start: Any, sample: int, candidate: int) -> Setup:
    radius, position, velocity = (
        np.asarray(getattr(start.state, name), np.float64)[sample, candidate]
        for name in ("radius", "position", "velocity")
    )
    colour = np.asarray(start.colour, np.float64)[sample, candidate]
    return Setup(
        radius, colour, position, velocity, np.array([PROJECTILE]), np.array([1]), bounces=False, vanishes=False
    )


def test_a_block_is_the_same_in_any_ring():
    run, size = device_samples(), 3 * BLOCK
    mix, others = (jax.device_put(mixes([CURRICULUM.at(step)] * BLOCK)) for step in (40, 0))
    empty, later = rings.empty_ring(size, (SIZE, SIZE)), rings.empty_ring(size, (SIZE, SIZE))
    first, report = run._make(empty, np.int32(BLOCK), mix)
    later, _ = run._make(later, np.int32(0), others)
    later, _ = run._make(later, np.int32(4 * BLOCK), others)
    again, repeated = run._make(later, np.int32(BLOCK), mix)
    valid = np.flatnonzero(np.asarray(first.valid))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[valid], np.asarray(b)[valid])
    assert all(np.array_equal(a, b) for a, b in zip(report, repeated, strict=True)) and len(valid) > 2


def test_no_picture_passes_the_host(monkeypatch):
    """Counts every transfer of 50 steps, and its size.

    JAX's guard refuses all that `device_put` and `device_get` do not ask for; those two are counted. On a CPU the guard
    does not see an array that is read on the host: there numpy's ways to do so are counted too.
    """
    sent, read, by_numpy = [], [], []
    run = device_samples()
    next(run)

    def counted(where: Any, name: str, into: list[int]) -> None:
        done = getattr(where, name)

        def counting(x: Any, *rest: Any, **more: Any) -> Any:
            if name.startswith("device") or isinstance(x, jax.Array):
                into.append(sum(leaf.nbytes for leaf in jax.tree.leaves(x)))
            return done(x, *rest, **more)

        monkeypatch.setattr(where, name, counting)

    counted(jax, "device_put", sent)
    counted(jax, "device_get", read)
    for name in ("asarray", "array", "copy", "ascontiguousarray"):
        counted(np, name, by_numpy)
    with jax.transfer_guard("disallow"):
        for _ in range(50):
            batch = next(run)
        with pytest.raises(Exception, match="Disallowed host-to-device transfer"):
            jnp.asarray(np.zeros((SIZE, SIZE, 3), np.uint8))
        jax.device_put(np.zeros((SIZE, SIZE, 3), np.uint8))
    blocks = -(-BUFFER.produced(50) // BLOCK) - 1
    assert len(sent) == 50 + blocks + 1 and len(read) == blocks - 1, "something else was sent or read"
    picture = SIZE * SIZE * 3
    assert sent.pop() == picture, "the control: a picture that is sent is seen"
    assert max(sent + read + by_numpy) < 500 < picture
    np.asarray(batch["pictures"])
    assert by_numpy.pop() == BUFFER.batch * NUM_PICTURES * picture, "the control: a batch that is read is seen"


def test_a_scene_whose_ball_is_never_whole_ends_with_one_line():
    run = device_samples()
    none = Report(np.full(BLOCK, -1), np.int32(16), np.int32(11), np.int32(5))
    run._make = lambda ring, first, mix: (ring, none)
    with pytest.raises(
        UsageError, match=r"'ballistic': all 16 shots of samples 0 to 7 .* 11 .* nothing moves"
    ) as error:
        next(run)
    assert "\n" not in str(error.value) and "min_pixels" in str(error.value)


def test_a_position_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="does not fit batch=4"):
        device_samples(position={"next_step": 3, "pool_size": 5})


def ring_of(modes: list[int], valid: list[bool]) -> rings.DeviceRing:
    empty, count = rings.empty_ring(len(modes), (1, 1)), len(modes)
    return empty._replace(
        mode=jnp.array(modes, jnp.int32), valid=jnp.array(valid), index=jnp.arange(count), k=jnp.arange(count)
    )


def test_draws_follow_the_weights_without_repeats():
    modes = [0] * 10 + [1] * 20 + [2] * 30
    ring = ring_of(modes, [i % 5 != 0 for i in range(60)])
    weights, counts, slots = jnp.array([0.1, 0.1, 0.8]), np.zeros(3), np.zeros(60)
    draw = jax.jit(lambda key: rings.draw_batch(ring, key, 3, 58, weights, 12))
    for seed in range(400):
        batch, drawn = draw(jax.random.key(seed))
        for mode, room in ((0, 6), (1, 16), (2, 22)):
            mine = np.asarray(batch["k"])[np.asarray(batch["mode"]) == mode]
            assert len(set(mine.tolist())) == min(len(mine), room)
        counts += np.asarray(drawn.modes)
        slots += np.bincount(np.asarray(batch["k"]), minlength=60)
    usable = np.array([i % 5 != 0 and 3 <= i < 58 for i in range(60)])
    assert not slots[~usable].any()
    np.testing.assert_allclose(counts / 4800, [0.1, 0.1, 0.8], atol=0.025)
    for mode in range(3):
        mine = slots[usable & (np.array(modes) == mode)]
        assert np.abs(mine / mine.mean() - 1.0).max() < 5.0 / np.sqrt(mine.mean())


def test_where_a_mode_is_absent_those_present_are_drawn():
    ring = ring_of([1] * 4 + [0] * 4, [True] * 4 + [False] * 4)
    draw = jax.jit(rings.draw_batch, static_argnums=5)
    batch, drawn = draw(ring, jax.random.key(0), 0, 8, jnp.array([0.7, 0.0, 0.3]), 6)
    assert (np.asarray(batch["mode"]) == 1).all() and int(drawn.missed) == 6
    assert set(np.asarray(batch["k"]).tolist()) == {
        0,
        1,
        2,
        3,
    }
    batch, drawn = draw(ring, jax.random.key(0), 5, 8, jnp.array([0.7, 0.2, 0.1]), 6)
    assert (np.asarray(batch["mode"]) == 1).all(), "no valid one in the window: the ring's others"
