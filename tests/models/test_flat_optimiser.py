"""The flat optimiser does what optax's does, whatever arrays a tree holds."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import given, settings
from hypothesis import strategies as st

from o2t_jax.models.flat_optimiser import clip_by_norm, flat_adam
from o2t_jax.models.o2t_optimiser import Rates, make_optimiser, schedule
from o2t_jax.training.state import TrainState
from o2t_jax.training.step import make_train_step

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
@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=8))
def test_it_moves_every_array_as_optax_does(shapes):
    params = numbers(shapes, 0)
    plain = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b1=0.8, b2=0.98))
    found, wanted = steps(flat_adam(1.0, b1=0.8, b2=0.98), params, shapes), steps(plain, params, shapes)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-3, 1e3), st.sampled_from([0.0, 1e-4, 1.0, 1e4]))
def test_a_clip_is_optax_s(limit, size):
    updates = jax.tree.map(lambda x: size * x, numbers(SHAPES, 0))
    tx = optax.clip_by_global_norm(limit)
    found, wanted = clip_by_norm(updates, limit), tx.update(updates, tx.init(updates))[0]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, wanted)


def test_the_network_s_group_is_adamw():
    params = numbers(SHAPES, 0)
    rates = Rates(network=0.1, weight_decay=0.3, clip=1.0)
    adamw = optax.adamw(schedule(rates.network, 5), weight_decay=rates.weight_decay)
    wanted = steps(optax.chain(optax.clip_by_global_norm(rates.clip), adamw), params, SHAPES)
    found = steps(make_optimiser(rates, 5), params, SHAPES)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, wanted)


def test_arrays_of_one_shape_are_cut_out_by_one_kernel():
    """Equal to the last constant: what XLA compiles once and uses for all of them."""
    many = 12
    params = numbers([(3, 5)] * many, 0)
    tx = flat_adam(1.0)
    program = jax.jit(tx.update).lower(params, tx.init(params), params).compile().as_text()
    bodies = []
    for body in program.split("\n\n"):
        name, _, lines = body.strip().partition("{\n")
        if "dynamic-slice" in lines and not name.startswith("ENTRY"):
            bodies.append(_plain(lines))
    assert len(bodies) == many and len(set(bodies)) == 1


def _plain(lines: str) -> str:
    """A computation's operations with their constants, without the names, the places in the source and in which order
    it takes its arguments: of one array's, XLA chooses another.
    """
    names: dict[str, str] = {}
    places: dict[str, str] = {}
    lines = re.sub(r", metadata={[^}]*}", "", lines)
    lines = re.sub(
        r"parameter\(\d+\)", lambda place: places.setdefault(place.group(0), f"argument {len(places)}"), lines
    )
    return re.sub(r"%[\w.\-]+", lambda name: names.setdefault(name.group(0), f"%{len(names)}"), lines)


def test_a_steps_gradients_are_joined_once_for_the_optimiser_and_for_their_norm():
    shapes = [(3, 5), (7,), (2, 2), (11,)] * 10  # of a few arrays XLA would join them anew wherever they are read
    params = numbers(shapes, 0)
    size = sum(x.size for x in jax.tree.leaves(params))

    def loss(params, extra, batch, keys, step):
        return sum(jnp.sum(jnp.sin(x)) for x in jax.tree.leaves(params)) * jnp.mean(batch["x"]), ({}, {})

    tx = optax.chain(flat_adam(1.0), optax.scale_by_learning_rate(0.1))
    state = TrainState.create(params=params, tx=tx, key=jax.random.PRNGKey(0))
    program = jax.jit(make_train_step(loss, tx)).lower(state, {"x": jnp.ones(2)}).compile().as_text()
    assert len(re.findall(rf"= f32\[{size}\]\S* concatenate\(", program)) == 1
