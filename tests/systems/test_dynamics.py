"""System `dynamics`: what is refused, stored sets, and a model that knows the law makes no error at any step."""

from __future__ import annotations

import json
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.commands import evaluate, generate, report, sweep, train
from o2t_jax.commands._config import load_config
from o2t_jax.errors import UsageError
from o2t_jax.models.cores import CORES
from o2t_jax.models.cores.ode import INTEGRATORS, OdeCore
from o2t_jax.physics.envs import ENVIRONMENTS
from o2t_jax.systems import dynamics_config, dynamics_tests, fields_of
from o2t_jax.systems.base import build_system

SMOKE = "dynamics/smoke"


def smoke(variant="newtonian", **changes):
    """The smoke config with these fields."""
    _, config = load_config(f"{SMOKE}:{variant}")
    for name, value in changes.items():
        dynamics_config.put(config, name.replace("__", "."), value)
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env__name": "pendulm"}, "env.name='pendulm' is unknown: did you mean 'pendulum'"),
        ({"env__name": "oscillator"}, "does not fit this config's fields env"),
        ({"model": "newtonain"}, "did you mean 'newtonian'"),
        ({"model": "jump", "reversible": True}, "reversible=True with model=jump"),
        ({"dt": (0.0,)}, "dt=0.0: a step must be a number of seconds above 0"),
        ({"dt": (0.1, 0.9)}, "dt=0.9 s is outside the range of 'pendulum': above 0, at most 0.5 s"),
        ({"dt_values": (0.9,)}, "dt=0.9 s is outside the range"),
        ({"vary": ("dampin:0:1",)}, "did you mean 'damping'"),
        ({"vary": ("damping:0",)}, "is not NAME:LOW:HIGH"),
        ({"env__damping": 0.3}, "env.damping=0.3 would have no effect"),
        ({"vary": ("damping:0.1:0.1",)}, "give the lower limit first"),
        ({"test_horizon": 0.15}, "test_horizon=0.15 s is shorter than a step of 0.2 s"),
        ({"dt_values": (0.123, 0.5)}, "have a common grid of 0.001 s"),
        ({"hold": 1e-5}, "is not a multiple of 1 ms"),
        ({"long_steps": -1}, "long_steps=-1 must not be negative"),
        ({"vary": ()}, "context=inferred needs a parameter that varies"),
        ({"noise": 0.0}, "context=inferred with noise=0"),
        ({"window": 25}, "window=25 must be 0 to 20"),
        ({"steps": 6}, r"steps=6 is below window \+ horizon = 7"),
        ({"integrator": "rk5"}, "integrator='rk5' is unknown: did you mean 'rk4'"),
        ({"noise": -1.0}, "must not be negative"),
        ({"context": "knwon"}, "context='knwon' is unknown: did you mean 'known'"),
        ({"dataset": "nowhere", "n_seqs": 5}, "holds its own sequences"),
    ],
)
def test_what_is_refused_in_one_line(changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        build_system(smoke(**changes))
    assert "\n" not in str(caught.value)


def test_a_model_of_positions_and_velocities_is_refused_where_there_are_none():
    config = dynamics_config.default("double_pendulum", "newtonian")
    with pytest.raises(UsageError, match="core newtonian needs positions and velocities: this state has canonical"):
        build_system(config)


def test_configs_name_all_worlds_and_models():
    assert set(dynamics_config.PARAMETERS) == set(ENVIRONMENTS) - {"ballistic", "room"}
    integrator = next(f for g in fields_of("dynamics") for f in g.fields if f.name == "integrator")
    assert sorted(integrator.choices) == sorted(INTEGRATORS)
    assert sorted(CORES) == sorted(dynamics_config.MODELS)
    for name in CORES:
        assert load_config(f"dynamics/spaceship:{name}")[1].model == name


class Truth(OdeCore):
    """The pendulum's own equation, with its friction as the context."""

    @nn.compact
    def rate(self, state, action, context):
        self.param("unused", nn.initializers.zeros, ())
        angle, velocity = state[:, 0], state[:, 1]
        turn = -9.81 * jnp.sin(angle) + action[:, 0] - (0.275 + 0.225 * context[:, 0]) * velocity
        return jnp.stack([velocity, turn], axis=-1)


def test_the_true_law_makes_no_error_at_any_step(monkeypatch):
    """So dt, held actions, contexts and the window's place are passed on as they should; persistence errs."""
    monkeypatch.setitem(CORES._entries, "jump", Truth)
    config = smoke("jump", context="known", dt_values=(0.05, 0.1, 0.2, 0.5), inner=0.01, long_steps=0)
    system = build_system(config)
    table = dict(system.evaluators["test"](SimpleNamespace(params={"core": {"unused": jnp.zeros(())}})))["rollouts"]
    for row in table.rows:
        limit = row["error"] < 1e-6 if row["method"] == "jump" else row["error"] > 1e-3
        assert limit, row


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A set, and a run of the smoke config on it."""
    folder = tmp_path_factory.mktemp("dynamics")
    counts = ["--train=40", "--validation=4", "--test=4"]
    assert generate.main([f"--config={SMOKE}", f"--out={folder / 'set'}", *counts]) == 0
    common = [f"--config={SMOKE}", f"--config.dataset={folder / 'set'}", "--config.writers=jsonl"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamics_tests, "_CALIBRATION", 100)
        assert train.main([*common, f"--workdir={folder / 'runs' / 'one'}"]) == 0
        yield folder


def test_a_run_on_a_stored_set_leaves_its_tables_and_a_foreign_set_is_refused(run, capsys):
    names = {path.name for path in (run / "runs" / "one" / "tables").iterdir()}
    assert {"test_rollouts.json", "long_long.json"} <= names
    rows = json.loads((run / "runs" / "one" / "tables" / "test_rollouts.json").read_text())["rows"]
    assert {row["dt"] for row in rows} == {0.1, 0.2}
    other = ["--config=dynamics/oscillator", f"--config.dataset={run / 'set'}", f"--workdir={run / 'other'}"]
    assert train.main(other) == 2
    assert "is a set of another kind: its env is pendulum, and oscillator is wanted" in capsys.readouterr().err
    assert not (run / "other").exists()


def test_a_run_is_measured_at_another_horizon_and_a_folder_of_runs_reported(run, capsys):
    workdir = f"--workdir={run / 'runs' / 'one'}"
    assert evaluate.main([workdir, "--set=dt_values=0.05", "--set=test_horizon=0.5", "--set=long_steps=0"]) == 0
    out = capsys.readouterr().out
    assert "0.05" in out and "best linear" in out
    for text, message in (
        ("test_horizn=3", "did you mean 'test_horizon'"),
        ("test_horizon=far", "is not a value like"),
        ("width=9", "fields that can be changed are"),
    ):
        assert evaluate.main([workdir, f"--set={text}"]) == 2
        assert message in capsys.readouterr().err
    assert report.main([f"--workdir={run / 'runs'}", f"--out={run / 'report.html'}"]) == 0
    assert report.main([f"--workdir={run / 'set'}"]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_variants_of_a_sweep_are_configs_of_their_own(capsys, tmp_path):
    arguments = SimpleNamespace(argv=(f"--config={SMOKE}", "--config.width=4"), config=smoke(), loaded=None)
    runs = sweep.plan_runs(arguments, "lr=1e-3", 2, "jump, lstm")
    assert [r.name for r in runs] == [f"{v}-lr=1e-3-seed{s}" for v in ("jump", "lstm") for s in (0, 1)]
    assert runs[0].arguments[:2] == (f"--config={SMOKE}:jump", "--config.width=4")
    assert runs[2].fields == {"variant": "lstm", "lr": "1e-3"}
    assert sweep.main([f"--config={SMOKE}", "--variants=jumpp", f"--out={tmp_path}"]) == 2
    assert "model='jumpp' is unknown: did you mean 'jump'" in capsys.readouterr().err


def test_an_inferred_context_is_what_explains_the_window(monkeypatch):
    """Through the true law it is the friction, as far as 20 noisy steps tell; nothing after the window is used."""
    monkeypatch.setitem(CORES._entries, "jump", Truth)
    system = build_system(smoke("jump", window=20, steps=24, batch=200))
    params = jax.jit(system.init)(jax.random.key(0))[0] | {"core": {"unused": jnp.zeros(())}}
    batch = jax.jit(system.make_batch)(jnp.int32(0), jnp.int32(0))
    read = jax.jit(system.read_window)
    context = read(params, batch)[1][:, 0]
    assert np.corrcoef(context, batch["known"][:, 0])[0, 1] > 0.8
    np.testing.assert_array_equal(
        read(params, {**batch, "states": batch["states"].at[:, 21:].set(9.0)})[1][:, 0], context
    )


def test_no_gradient_of_the_rollout_reaches_the_window_past_its_end():
    """The smoothed start sees the future in the loss; what is predicted does not (see also test_every_system)."""
    system = build_system(smoke())
    params, _ = jax.jit(system.init)(jax.random.key(0))
    batch = jax.jit(system.make_batch)(jnp.int32(0), jnp.int32(0))
    slope = jax.jit(jax.grad(lambda s: jnp.sum(system.read_window(params, {**batch, "states": s})[0])))(batch["states"])
    w = system.config.window
    assert np.any(slope[:, : w + 1]) and not np.any(slope[:, w + 1 :])
