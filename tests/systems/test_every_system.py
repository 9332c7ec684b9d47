"""Every registered system: no prediction sees its target, read-outs exist untrained and agree once trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.systems import SYSTEMS
from o2t_jax.systems.base import DataRequest, Plan, System, build_system
from o2t_jax.training.state import Initial, TrainState

ROOT = Path(__file__).resolve().parent.parent.parent
# Seconds here, and minutes: enough to run, and enough to learn what the system reads out.
SMOKE = {
    "agent": "video/agent:smoke",
    "discs": "discs/cpu:smoke",
    "dynamics": "dynamics/smoke",
    "dynamics_pictures": "dynamics/pictures:smoke",
    "motion": "motion/cpu:smoke",
    "o2t": "smoke",
    "recording": "recording/cpu:smoke",
    "scene_parser": "scene/parser:smoke",
    "toy": "toy",
    "video": "video/cpu:smoke",
}
TRAINED = {"o2t": "cpu", "recording": "recording/cpu", "toy": "toy"}
# Reads out, but a training takes ten minutes: its study has three seeds (results/benchmarks/62_dynamics_pictures.json).
TOO_LONG = {"dynamics_pictures"}


def first_batch(system: System, config: Any) -> dict[str, Any]:
    """The first batch of a run, on the host."""
    plan = Plan(system.pool_size, config.batch, 1, 1)
    data = system.train_iterator(DataRequest(None, plan, lambda *_: None, lambda batch: batch, (config.seed,)))
    try:
        return jax.tree.map(np.asarray, dict(next(iter(data))))
    finally:
        getattr(data, "close", lambda: None)()


@pytest.fixture(scope="module", params=list(SYSTEMS))
def small(request) -> tuple[System, TrainState, dict[str, Any]]:
    """A system by its smoke config, its untrained state, a batch."""
    _, config = load_config(SMOKE[request.param])
    system = build_system(config)
    return system, Initial(system.init, system.tx, (config.seed,)).make(), first_batch(system, config)


def test_no_prediction_leaks_its_target_or_the_future(small) -> None:
    """The gradient of a prediction by whatever the system calls hidden is exactly zero, and by the rest it is not."""
    system, state, batch = small
    hidden = system.hidden(batch)
    assert hidden and all(np.any(mask) for mask in hidden.values())
    # uint8 pictures as floats of the same value: a byte has no derivative.
    floats = {name: jnp.asarray(batch[name], jnp.float32) for name in hidden}

    @jax.jit
    def gradient(floats: dict[str, jax.Array], params: Any, extra: Any) -> Any:
        predict = lambda floats: system.predict(params, extra, {**batch, **floats})  # noqa: E731
        prediction, pull = jax.vjp(predict, floats)
        keys = jax.random.split(jax.random.key(1), len(jax.tree.leaves(prediction)))
        cotangents = [
            jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, jax.tree.leaves(prediction), strict=True)
        ]
        return pull(jax.tree.unflatten(jax.tree.structure(prediction), cotangents))[0]

    # Away from a start at which whole branches are zero.
    noise = jax.tree.map(
        lambda x: x + 0.01 * np.random.default_rng(x.size).normal(size=x.shape).astype(x.dtype), state.params
    )
    found = jax.device_get(gradient(floats, noise, state.extra))
    for name, mask in hidden.items():
        assert np.all(found[name][mask] == 0.0), f"{name}: the prediction depends on what it must not see"
        assert np.any(found[name][~mask] != 0.0), f"{name}: nothing depends on it at all; the test says nothing"


def test_read_outs_are_there_untrained(small) -> None:
    system, state, _ = small
    host = jax.device_get(state)
    for name, read in system.readouts.items():
        readout = read(host)
        assert readout is None or json.loads(json.dumps(readout)), name
    assert {name.partition("/")[0] for name in system.agreement} <= set(system.readouts)


def test_a_system_that_reads_out_is_trained_below(small) -> None:
    system, _, _ = small
    assert bool(system.readouts) == (system.name in {*TRAINED, *TOO_LONG})


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TRAINED))
def test_two_starts_agree_on_what_they_read_out(name: str, tmp_path: Path) -> None:
    found = []
    for seed in (1, 2):
        workdir = tmp_path / str(seed)
        command = [
            "-m",
            "experiments.train",
            f"--config={TRAINED[name]}",
            f"--config.seed={seed}",
            f"--workdir={workdir}",
        ]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
        found.append(json.loads((workdir / "result.json").read_text())["readouts"])
    _, config = load_config(TRAINED[name])
    system = build_system(config)
    untrained = jax.device_get(Initial(system.init, system.tx, (config.seed,)).make())
    compared = 0
    for readout, numbers in found[0].items():
        for key, value in numbers.items():
            other = found[1][readout][key]
            if f"{key}_low" in numbers:
                low = max(x[readout][f"{key}_low"] for x in found)
                high = min(x[readout][f"{key}_high"] for x in found)
                assert low <= high, f"{readout}/{key}: {value} and {other}, their intervals do not meet"
            elif (limit := system.agreement.get(f"{readout}/{key}")) is not None:
                assert abs(value - other) <= limit, f"{readout}/{key}: {value} and {other}"
            else:
                continue
            compared += 1
            before = (system.readouts[readout](untrained) or {}).get(key)
            assert before != value, f"{readout}/{key} was not learned: it is what it was before"
    assert compared > 0 or not system.readouts
