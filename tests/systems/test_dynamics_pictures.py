"""System `dynamics_pictures`: what trains, what the modes do, what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.errors import UsageError
from o2t_jax.systems.base import build_system
from o2t_jax.training.checkpoint import open_workdir
from o2t_jax.training.state import Initial

ROOT = Path(__file__).resolve().parent.parent.parent


def smoke(**changes):
    """The smoke config with these fields."""
    _, config = load_config("dynamics/pictures:smoke")
    config.update(changes)
    return config


def test_detached_mode_stops_latents_and_groups_are_trained_or_not():
    """The predictor's loss reaches the predictor alone; parts whose train_* is False do not move."""
    system = build_system(smoke(mode="detached", train_encoder=False, horizon=1))
    rng = np.random.default_rng(0)
    shapes, _ = jax.eval_shape(system.init, jax.random.key(0))
    params = jax.tree.map(lambda x: jnp.asarray(0.1 * rng.normal(size=x.shape), x.dtype), shapes)
    batch = {name: rng.uniform(0, 255, (2, *x.shape)).astype(x.dtype) for name, x in system.sample_spec.items()}

    def gradient_and_moves(params):
        keys = jax.random.split(jax.random.key(0), 2)
        of_predictor = lambda params: system.loss(params, {}, batch, keys, jnp.int32(0))[1][0]["predictor"]  # noqa: E731
        moved, state = [], system.tx.init(params)
        for _ in range(2):  # the learning rate starts at zero
            moves, state = system.tx.update(jax.tree.map(jnp.ones_like, params), state, params)
            moved.append(moves)
        return jax.grad(of_predictor)(params), moved[-1]

    # Run once: compiled without optimisation.
    compiled = jax.jit(gradient_and_moves).lower(params).compile({"xla_backend_optimization_level": "0"})
    found, moved = compiled(params)
    assert _parts(found) == {"predictor"}
    assert _parts(moved) == {"decoder", "predictor"}


def _parts(tree):
    """Names of the parts that have an entry other than zero."""
    return {part for part, leaves in tree.items() if any(np.any(x) for x in jax.tree.leaves(leaves))}


def test_pictures_are_a_function_of_seed_and_step_and_pools_repeat():
    system = build_system(smoke(n_seqs=3, picture_channels=1, batch=16))
    make = jax.jit(system.make_batch)
    one, again, other = make(0, 5), make(0, 5), make(1, 5)
    np.testing.assert_array_equal(one["frames"], again["frames"])
    assert np.any(one["frames"] != other["frames"]) and one["frames"].shape == (16, 5, 16, 16, 1)
    assert len(np.unique(np.asarray(one["frames"]).reshape(16, -1), axis=0)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictor": "spatial_hamilton"}, "did you mean 'spatial_hamiltonian'"),
        ({"integrator": "leap"}, "did you mean 'leapfrog'"),
        ({"predictor": "spatial_jump", "integrator": "rk4"}, "has none"),
        ({"dt": (0.0,)}, "above 0"),
        ({"dt": (0.7,)}, "at most 0.5"),
        ({"dt_values": (0.3,)}, "hold=1"),
        ({"size": 24}, "latent_side=4"),
        ({"encoder_widths": (8,)}, "2 entries"),
        ({"latent_channels": 5}, "even"),
        ({"vary": ("dampin:0:1",)}, "did you mean 'damping'"),
        ({"train_encoder": False, "train_decoder": False, "train_predictor": False}, "nothing is left"),
        ({"mode": "hgm"}, "did you mean 'hgn'"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    with pytest.raises(UsageError, match=message) as caught:
        build_system(smoke(**change))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_recipe_in_two_phases_trains_the_predictor_of_a_frozen_autoencoder(tmp_path):
    """As the page has it: the second phase leaves the autoencoder of the first as it is."""
    command = ["--config=dynamics/pictures:smoke", "--config.mode=detached", "--config.device=cpu"]
    phases = {
        "vae": ["--config.train_predictor=False", "--config.predictor_weight=0"],
        "law": [
            f"--config.init_from={tmp_path / 'vae'}",
            "--config.init_parts=encoder,transform,decoder",
            "--config.train_encoder=False",
            "--config.train_decoder=False",
        ],
    }
    for name, changes in phases.items():
        run = [sys.executable, "-m", "o2t_jax.commands.train", *command, *changes, f"--workdir={tmp_path / name}"]
        subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    first, second = (open_workdir(tmp_path / name).state.params for name in phases)
    fresh = Initial(build_system(smoke()).init, optax.sgd(1.0), (0,)).make().params

    def same(one, other, part):
        return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one[part], other[part])), strict=True))

    assert [same(first, second, part) for part in ("encoder", "transform", "decoder", "predictor")] == [True] * 3 + [
        False
    ]
    assert [same(first, fresh, part) for part in ("encoder", "transform", "decoder", "predictor")] == [False] * 3 + [
        True
    ]
