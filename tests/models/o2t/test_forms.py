"""The whole network in the plain form and in a CPU's: equal values, and equal gradients by all that is trained."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.o2t.optimiser import group_of
from o2t_jax.models.o2t.phys_layer import HEIGHT_BINS
from o2t_jax.training.step import make_gradients
from tests.models.conftest import init, make_model
from tests.systems.small import Seeing, small_batch, small_state, small_system


def norm(tree) -> float:
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(x, np.float64))) for x in jax.tree.leaves(tree))))


def in_both_forms(function, *arguments) -> list:
    """What a function gives in either form, compiled anew for each."""
    found = []
    for form in ops.FORMS:
        with ops.using(form):
            found.append(jax.jit(function)(*arguments))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("gauge", ["camera", "free"])
def test_float64_values_and_gradients_are_equal(gauge: str, batch) -> None:
    """All numbers the network gives, weighted at random, and the gradient by each parameter array."""
    rng = np.random.default_rng(0)
    model = make_model(gauge=gauge, compose=gauge == "camera", tower_type=Seeing)
    single = init(model, batch)
    model = model.clone(dtype=jnp.float64)
    with jax.enable_x64(True):
        params, cameras = (
            jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), tree) for tree in (single, batch["para"])
        )
        pictures = jnp.asarray(batch["pictures"], jnp.float64) / 255.0
        visited = jnp.zeros(HEIGHT_BINS).at[:40].set(1.0)
        k, n = jnp.asarray(batch["k"]), jnp.asarray(batch["n"])

        def outputs(params):
            out = model.apply({"params": params}, pictures, cameras, k, n, visited)
            return [x for x in jax.tree.leaves(out) if jnp.issubdtype(x.dtype, jnp.floating)]

        weights = [jnp.asarray(rng.normal(size=x.shape)) for x in jax.eval_shape(outputs, params)]

        def weighted(params):
            made = outputs(params)
            assert all(x.dtype == jnp.float64 for x in made)
            return sum(jnp.sum(w * x) for w, x in zip(weights, made, strict=True)), made

        plain, cpu = in_both_forms(jax.value_and_grad(weighted, has_aux=True), params)
    for (path, wanted), found in zip(jax.tree_util.tree_leaves_with_path(plain), jax.tree.leaves(cpu), strict=True):
        largest = max(float(np.abs(wanted).max()), 1.0)
        assert float(np.abs(found - wanted).max()) < 1e-8 * largest, jax.tree_util.keystr(path)
    assert norm(plain[1]["layer"]["nn_branch"]) > 0
    assert gauge == "free" or abs(float(plain[1]["layer"]["g0"])) > 1e-3, (
        "the ball is not seen: this compares too little"
    )


@pytest.mark.slow
def test_float32_steps_gradients_are_equal_by_group() -> None:
    """A step of the whole system, in which everything is seen, by the optimiser's groups."""
    system = small_system()
    state, batch = small_state(system), jax.tree.map(jnp.asarray, small_batch())
    (plain, (metrics, _)), (cpu, (others, _)) = in_both_forms(make_gradients(system.loss), state, batch)
    assert float(metrics["present"]) == 1.0, "everything is seen"
    for name, value in metrics.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-3, atol=1e-6, err_msg=name)
    groups: dict[str, tuple[list, list]] = {}
    paths = jax.tree_util.tree_leaves_with_path(plain)
    for (path, wanted), found in zip(paths, jax.tree.leaves(cpu), strict=True):
        wanted_of, found_of = groups.setdefault(group_of(path), ([], []))
        wanted_of.append(wanted)
        found_of.append(found)
    assert set(groups) == {"network", "tower", "g0", "alpha"}
    for group, (wanted, found) in groups.items():
        difference = [a - b for a, b in zip(wanted, found, strict=True)]
        assert norm(difference) <= 1e-3 * norm(wanted) and norm(wanted) > 0, group
