"""Accepted samples of the device and of the host are one population: modes, steps, cameras, balls, what moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from scipy import stats

from o2t_jax.data.o2t.curriculum import ModeMix
from o2t_jax.data.o2t.on_device.block import BlockMaker
from o2t_jax.data.o2t.on_device.ring import empty_ring
from o2t_jax.data.o2t.on_device.scenes import SCENES
from o2t_jax.data.o2t.on_device.shots import mixes
from o2t_jax.data.o2t.pair_source import PairSource
from o2t_jax.data.o2t.sample import to_first_camera, truth_of
from o2t_jax.geometry.para import FUTURE, LEFT_1, LEFT_2, MODES, TARGET
from o2t_jax.physics.gravity import law_for
from o2t_jax.render.opencv.renderer import SceneRenderer
from o2t_jax.render.scenes import get_scene
from tests.defaults import acceptance_rule, shot_config

LAW, SIZE, BLOCKS, BLOCK = law_for(9.5, 8.0), 32, 6, 64
MIX = ModeMix((0.25, 0.25, 0.5), 1, 16, (8.0, 4.0))
VIEWS, RULE = shot_config(), acceptance_rule()
LEAST = 1e-4


class Population(NamedTuple):
    """N samples as numbers: `columns` name -> [N]; how many shots were `cast` for them."""

    columns: dict[str, np.ndarray]
    cast: int


def numbers(sample: dict[str, Any], ball: np.ndarray) -> dict[str, float]:
    """One sample's numbers; `ball` [K, 3] m at t1, in the frame of its PARA."""
    para, pictures = sample["para"], sample["pictures"]
    nearest = ball[np.argmin(np.hypot(ball[:, 0], ball[:, 1]))]
    moved = np.abs(pictures[LEFT_1].astype(int) - pictures[LEFT_2]).max(axis=-1) > RULE.motion_threshold
    rows, columns = np.nonzero(moved)
    found = {name: sample[name] for name in ("k", "n", "mode")}
    found |= {"area": moved.sum(), "row": rows.mean(), "column": columns.mean()}
    found |= dict(zip(("ball x", "ball y", "ball z"), nearest, strict=True))
    found |= {f"camera {i}": x for i, x in enumerate(para[LEFT_1, 3:])}
    found |= {f"target {i}": x for i, x in enumerate(para[TARGET])}
    return found | {f"mean {i}": x for i, x in enumerate(pictures[TARGET].mean(axis=(0, 1)))}


def population(found: Sequence[dict[str, float]], cast: int) -> Population:
    return Population({name: np.array([x[name] for x in found], np.float64) for name in found[0]}, cast)


def on_device(scene: str) -> Population:
    maker = BlockMaker(scene, LAW, VIEWS, RULE, (SIZE, SIZE), 11, 12, BLOCK)
    mix = mixes([MIX] * BLOCK)

    @jax.jit
    def block(first: Any) -> Any:
        ring, report = maker.make(empty_ring(BLOCK, (SIZE, SIZE)), first, mix)
        return ring, report, maker.draw_block(first, mix)

    found, cast = [], 0
    for i in range(BLOCKS):
        ring, report, candidates = jax.device_get(block(BLOCK * i))
        cast += int(report.cast)
        for slot in np.flatnonzero(ring.valid).tolist():
            taken = jax.tree.map(lambda x, at=(slot, report.chosen[slot]): x[at], candidates)
            ball = to_first_camera(taken.position[0], taken.shot)
            sample = {name: getattr(ring, name)[slot] for name in ("para", "k", "n", "mode", "pictures")}
            found.append(numbers(sample, ball))
    return population(found, cast)


def on_host(scene: str) -> Population:
    renderer, rejects, found = SceneRenderer(get_scene(scene), LAW), 0, []
    options: Any = {"image_size": (SIZE, SIZE), "visibility": RULE, "max_attempts": 200}
    source = PairSource(renderer, get_scene(scene), VIEWS, 4, **options)
    for i in range(BLOCKS * BLOCK):
        sample = source("train", i, MIX)
        arrays, truth = sample.arrays(), truth_of(renderer, sample)
        assert truth is not None
        rejects += sample.rejects
        found.append(numbers(arrays, truth.position[LEFT_1]))
    return population(found, len(found) + rejects)


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_the_device_s_samples_are_the_host_s(scene):
    device, host = on_device(scene), on_host(scene)
    kept, cast = np.array([len(p.columns["k"]) for p in (device, host)]), np.array([device.cast, host.cast])
    share = kept / cast
    error = np.sqrt((share * (1.0 - share) / cast).sum())
    assert abs(share[0] - share[1]) < 4.0 * error, f"accepted: {share}"
    assert kept[0] > 0.88 * BLOCKS * BLOCK, "samples without an accepted shot are rare"
    modes = np.stack([np.bincount(p.columns["mode"].astype(int), minlength=len(MODES)) for p in (device, host)])
    test: Any = stats.chi2_contingency(modes)
    assert test.pvalue > LEAST, modes
    wrong = {}
    for name in device.columns:
        for which in (True, False):  # FUTURE, and the others
            one, other = (p.columns[name][(p.columns["mode"] == FUTURE) == which].round(4) for p in (device, host))
            test = stats.ks_2samp(one, other)
            if np.ptp(other) > 1e-3 and test.pvalue < LEAST:
                wrong[name, which] = test.pvalue, one.mean(), other.mean()
    assert not wrong
