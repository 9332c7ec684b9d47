"""The selective recurrence: both forms against a plain loop and each other; a layer that never looks ahead."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops, scans
from o2t_jax.models.motion.ssm import Mamba, MambaStack, SSMSizes
from tests.models.cpu.compare import compare

SIZES = SSMSizes(width=8, states=4, layers=2, shared_rates=False, scan="auto", dropout=0.0)


def inputs(time: int, batch: int = 2, inner: int = 6, states: int = 3, shared: bool = False) -> tuple[jax.Array, ...]:
    rng = np.random.default_rng(time)
    x, step = rng.normal(size=(batch, time, inner)), rng.uniform(0.01, 0.5, (batch, time, inner))
    b, c = rng.normal(size=(2, batch, time, states))
    rate = -rng.uniform(0.5, 3.0, (states, 1 if shared else inner))
    return tuple(jnp.asarray(v, jnp.float32) for v in (x, step, b, c, rate))


def by_loop(x, step, b, c, rate) -> np.ndarray:
    """The definition, in float64."""
    x, step, b, c, rate = (np.asarray(v, np.float64) for v in (x, step, b, c, rate))
    h, found = np.zeros((len(x), b.shape[-1], x.shape[-1])), []
    for t in range(x.shape[1]):
        h = np.exp(step[:, t, None] * rate) * h + (step[:, t] * x[:, t])[:, None] * b[:, t, :, None]
        found.append(np.einsum("bne,bn->be", h, c[:, t]))
    return np.stack(found, axis=1)


@pytest.mark.parametrize("form", [scans.sequential, scans.associative])
@pytest.mark.parametrize("shared", [False, True])
def test_a_form_is_the_recurrence(form, shared) -> None:
    given = inputs(37, shared=shared)
    np.testing.assert_allclose(form(*given), by_loop(*given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("time", [1, 50, scans.LONG + 5])
def test_both_forms_have_the_same_values_and_gradients(time) -> None:
    compare(scans.sequential, scans.associative, *inputs(time))


def test_the_backend_decides_which_form_is_taken() -> None:
    given = inputs(8)
    jaxpr = {}
    for form in ops.FORMS:
        with ops.using(form):
            jaxpr[form] = str(jax.make_jaxpr(lambda *v: ops.selective_scan(*v))(*given))
    assert "scan[" in jaxpr["cpu"] and "scan[" not in jaxpr["plain"]


def test_no_output_depends_on_a_later_input() -> None:
    model = MambaStack(SIZES)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 12, 8)), jnp.float32)
    params = jax.jit(model.init)(jax.random.key(0), x)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.asarray(model.apply(params, x))[0, 6])))(x)
    size = np.abs(np.asarray(slope))[0].sum(-1)
    assert np.all(size[7:] == 0.0)
    assert np.all(size[:7] > 0.0)  # and all earlier ones are remembered


def test_a_layer_of_the_documents_size_has_its_parameters() -> None:
    """445,984, as counted in the original: d 256, N 32, one set of rates for all channels."""
    sizes = SSMSizes(width=256, states=32, layers=1, shared_rates=True, scan="auto", dropout=0.0)
    shapes = jax.eval_shape(Mamba(sizes).init, jax.random.key(0), jnp.zeros((1, 4, 256)))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 445_984


def test_steps_and_rates_start_where_the_paper_has_them() -> None:
    params: Any = jax.jit(Mamba(SIZES).init)(jax.random.key(0), jnp.zeros((1, 4, 8)))["params"]
    step = np.asarray(jax.nn.softplus(params["step"]["bias"]))
    assert np.all((step > 0.00099) & (step < 0.101))
    np.testing.assert_allclose(np.exp(params["log_rate"])[:, 0], np.arange(1, 5), rtol=1e-6)
