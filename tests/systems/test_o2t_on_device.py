"""`render_backend=device` in the O2T system: which configs it means, what it refuses, a run and its resumption."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import pytest

from o2t_jax.commands import train
from o2t_jax.data.o2t.on_device.samples import DeviceSamples
from o2t_jax.errors import UsageError
from o2t_jax.systems.o2t import build
from o2t_jax.training import checkpoint
from o2t_jax.training.contract import DataRequest, Plan
from tests.systems.small import small_config


def device_config(**changes):
    config = small_config()
    config.update({"render_backend": "device"} | changes)
    return config


def test_a_pair_config_gets_the_device_s_samples():
    system = build(device_config())
    data = system.train_iterator(DataRequest(None, Plan(16, 4, 1, 1), lambda *_: None, lambda batch: batch))
    assert isinstance(data, DeviceSamples) and system.pool_on_device
    assert data.maker.image_size == (32, 32) and data.maker.size == system.config.initial_fill
    assert any(
        "drawn, cast and kept on the device; at most 12 shots" in note for note in system.notes(Plan(16, 4, 1, 1))
    )


@pytest.mark.parametrize(
    "changes", [{"scene": "fall"}, {"integrator": "benchmark"}, {"sampler": "flights", "survey_stride": 1}]
)
def test_other_configs_cast_single_pictures_and_are_told(changes):
    system = build(device_config(**changes))
    assert not system.pool_on_device
    assert any("samples made on the host" in note for note in system.notes(Plan(16, 4, 1, 1)))


def test_several_devices_and_a_free_buffer_are_refused_with_one_line(monkeypatch):
    with pytest.raises(UsageError, match=r"buffer=free .*remove --config\.buffer=free") as error:
        build(device_config(buffer="free")).check()
    assert "\n" not in str(error.value)
    monkeypatch.setattr(jax, "local_device_count", lambda: 4)
    with pytest.raises(UsageError, match=r"4 are used: set --config\.parallel=1 or --config\.render_backend=opencv"):
        build(device_config()).check()
    build(device_config(parallel=1)).check()
    with pytest.raises(UsageError, match=r"candidates=1 must be at least 2.*--config\.candidates=2"):
        build(device_config(candidates=1))


@pytest.mark.slow
def test_a_run_resumes_bit_for_bit(tmp_path: Path, capsys):
    def run(workdir: Path) -> str:
        arguments = ["--config=smoke", "--config.render_backend=device", f"--workdir={workdir}"]
        assert train.main([*arguments, "--config.keep_checkpoints=4"]) == 0
        return capsys.readouterr().out

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert "drawn, cast and kept on the device" in run(whole)
    shutil.copytree(whole, broken)
    for gone in (broken / "checkpoints" / "6", broken / "result.json"):
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert "from step 3 to 6" in run(broken)
    for tree in ("params", "opt_state", "extra"):
        one, other = (checkpoint.read_tree(checkpoint.find_step(place, 6), tree) for place in (whole, broken))
        assert jax.tree.all(jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), one, other)), tree
    assert json.loads((whole / "result.json").read_text())["step"] == 6
    logged = {name for line in (whole / "metrics.jsonl").read_text().splitlines() for name in json.loads(line)}
    assert {"data/rejects", "data/invalid", "data/cast", "data/fraction_DIS"} <= logged
