"""The optimiser's groups: which parameter trains how, and in what shape the moments are kept."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.models.flat_adam import flat_adam
from o2t_jax.models.o2t.optimiser import Rates, group_of, make_optimiser, schedule

SHAPES = [(), (3,), (4,), (2, 3), (3, 2), (2, 2, 1)]


def numbers(shapes, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {f"{i:02d}": {"x": jnp.asarray(rng.normal(size=shape), jnp.float32)} for i, shape in enumerate(shapes)}


def steps(tx: optax.GradientTransformation, params: dict, shapes) -> dict:
    state = tx.init(params)
    for seed in range(1, 4):
        updates, state = tx.update(numbers(shapes, seed), state, params)
        params = optax.apply_updates(params, updates)
    return params


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=8), st.sampled_from([0.1, 1.0, 100.0]))
def test_flat_adam_moves_every_array_as_optax_does(shapes, clip) -> None:
    params = numbers(shapes, 0)
    plain = optax.chain(optax.clip_by_global_norm(clip), optax.scale_by_adam(b1=0.8, b2=0.98))
    found, wanted = steps(flat_adam(clip, b1=0.8, b2=0.98), params, shapes), steps(plain, params, shapes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def test_no_gradient_at_all_moves_nothing() -> None:
    params, tx = numbers(SHAPES, 0), flat_adam(1.0)
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params))
    assert all(np.all(np.asarray(x) == 0.0) for x in jax.tree.leaves(updates))


def test_the_network_s_group_is_adamw():
    params = numbers(SHAPES, 0)
    rates = Rates(network=0.1, weight_decay=0.3, clip=1.0)
    adamw = optax.adamw(schedule(rates.network, 5), weight_decay=rates.weight_decay)
    wanted = steps(optax.chain(optax.clip_by_global_norm(rates.clip), adamw), params, SHAPES)
    found = steps(make_optimiser(rates, 5), params, SHAPES)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def parameters() -> dict:
    """A network's parts, by their names in O2T."""
    shapes = {"tower": {"w": (2, 3)}, "layer": {"g0": (), "alpha": (5,), "gravity_mlp": {"k": (4,)}, "nn_branch": (3,)}}
    shapes["encoder"] = {"w": (7, 2)}
    return jax.tree.map(jnp.ones, shapes, is_leaf=lambda x: isinstance(x, tuple))


def test_every_parameter_has_its_group() -> None:
    groups = {
        jax.tree_util.keystr(path): group_of(path) for path, _ in jax.tree_util.tree_leaves_with_path(parameters())
    }
    assert groups == {
        "['encoder']['w']": "network",
        "['layer']['alpha']": "alpha",
        "['layer']['g0']": "g0",
        "['layer']['gravity_mlp']['k']": "alpha",
        "['layer']['nn_branch']": "network",
        "['tower']['w']": "tower",
    }


def test_the_state_holds_two_moments_a_parameter_and_counts() -> None:
    """What a checkpoint keeps of the optimiser: nothing in it is there for a compiler."""
    params = parameters()
    state = make_optimiser(Rates(0.1, 0.0, 1.0, tower=0.1, g0=0.1, alpha=0.1), 5).init(params)
    sizes = sorted(x.size for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating))
    assert sizes == sorted([1, 9, 6, 17] * 2)
    assert sum(sizes) == 2 * sum(x.size for x in jax.tree.leaves(params))
    assert all(x.shape == () for x in jax.tree.leaves(state) if not jnp.issubdtype(x.dtype, jnp.floating))
