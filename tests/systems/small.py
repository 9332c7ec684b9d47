"""A small O2T system that sees the tests' red ball; as a program, its gradient on all devices there are, to a file.

python -m tests.systems.small FILE.npz
"""

from __future__ import annotations

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.commands._config import load_config
from o2t_jax.models.o2t.mask_tower import MaskTower
from o2t_jax.systems import o2t
from o2t_jax.systems.o2t import O2TSystem, build
from o2t_jax.training.parallel import make_parallel
from o2t_jax.training.state import Initial, TrainState
from o2t_jax.training.step import make_gradients
from tests.models.conftest import make_batch, random_like


def small_config():
    _, config = load_config("smoke")
    config.update({"dt": 0.1, "k_min": 2, "k_max": 3, "n_max": 6, "alpha_start": 0.0})
    return config


class Seeing(nn.Module):
    """A tower that sees the test's red ball: to a random one nothing is there, and most of the loss would not run.

    A hundredth of the model's own tower is in it, so that this has its part of every gradient.
    """

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        return 60.0 * (pictures[..., 0] - pictures[..., 1] - 0.13) + 0.01 * MaskTower(name="own")(pictures)


def small_system() -> O2TSystem:
    with pytest.MonkeyPatch.context() as patch:
        make = o2t.make_model
        patch.setattr(o2t, "make_model", lambda config: make(config).clone(tower_type=Seeing))
        return build(small_config())


def small_state(system: O2TSystem) -> TrainState:
    """Parameters made in numpy: the same on every machine and version, and away from their zero starts."""
    shapes = Initial(system.init, system.tx, (0,)).shapes
    params = random_like(shapes.params)
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return blank.replace(params=params, opt_state=jax.jit(system.tx.init)(params))


def small_batch() -> dict[str, np.ndarray]:
    return make_batch(4)


def main(path: str) -> None:
    system, parallel = small_system(), make_parallel()
    gradients = parallel.compile(lambda axis: make_gradients(system.loss, axis_name=axis), donate=False)
    found, (_, statistics) = gradients(parallel.replicate(small_state(system)), parallel.put(small_batch()))
    leaves = jax.tree.leaves(parallel.to_host((found, statistics)))
    np.savez(path, *leaves, devices=parallel.num_devices)


if __name__ == "__main__":
    main(sys.argv[1])
