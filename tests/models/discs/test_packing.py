"""Packed rows give what all rows give: values and gradients, whatever part of them matters."""

from __future__ import annotations

from functools import partial
from math import ceil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.discs.classic import Encoder
from o2t_jax.models.discs.packing import LEAST, SHARES, Places, masked
from o2t_jax.models.layers import MLP

SHAPE, INPUTS = (6, 5, 8), 7
TOTAL = int(np.prod(SHAPE))


@pytest.mark.parametrize("network", [Encoder(16, 2), MLP((16, 16))], ids=["no biases", "biases"])
def test_values_and_gradients_are_the_same(network):
    assert TOTAL >= LEAST
    rng = np.random.default_rng(0)
    x, weight = (jnp.asarray(rng.normal(size=(*SHAPE, n)), jnp.float32) for n in (INPUTS, 16))
    params = network.init(jax.random.key(0), x)

    @jax.jit
    def both(params, x, mask):
        def total(params, x, pack: bool):
            found = network.apply(params, x, mask, method=lambda net, x, mask: masked(net, x, mask, pack))
            return jnp.sum(found * weight), found

        return tuple(jax.value_and_grad(total, (0, 1), has_aux=True)(params, x, pack) for pack in (True, False))

    counts = {0, 1, TOTAL}
    for share in SHARES:
        counts |= {int(share * TOTAL) - 1, int(share * TOTAL), int(share * TOTAL) + 1}
    for count in sorted(counts):
        mask = np.zeros(TOTAL, bool)
        mask[rng.permutation(TOTAL)[:count]] = True
        packed, dense = both(params, x, mask.reshape(SHAPE))
        for one, other in zip(jax.tree.leaves(packed), jax.tree.leaves(dense), strict=True):
            assert np.abs(one - other).max() <= 1e-5 * max(1.0, np.abs(other).max()), count
        assert (packed[0][1].reshape(TOTAL, -1)[~mask] == 0.0).all()


def test_places_are_those_that_matter_in_order():
    mask = jnp.asarray([0, 1, 1, 0, 1, 0], bool)
    places = Places.of(mask, jnp.cumsum(mask), 4)
    assert places.rows[:3].tolist() == [1, 2, 4] and places.used.tolist() == [True, True, True, False]
    assert places.slots[mask].tolist() == [0, 1, 2]


class Rows(nn.Module):
    """Gives the number of rows that it is called with."""

    def __call__(self, x):
        return jnp.full_like(x, x.shape[0])


def test_the_network_works_on_the_smallest_part_that_has_room():
    @partial(jax.jit, static_argnums=1)
    def run(mask, pack):
        return Rows().apply({}, mask, method=lambda net, mask: masked(net, jnp.ones((*SHAPE, 1)), mask, pack))

    sizes = [ceil(share * TOTAL) for share in SHARES]
    for count, rows in [(1, sizes[0]), (sizes[0], sizes[0]), (sizes[0] + 1, sizes[1]), (sizes[-1] + 1, TOTAL)]:
        mask = (np.arange(TOTAL) < count).reshape(SHAPE)
        assert run(mask, True).max() == rows and run(mask, False).max() == TOTAL
        assert (run(mask, True) > 0).sum() == count
