"""The one switch between the plain operations and those of a CPU, and what holds for every operation."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models import ops
from o2t_jax.models.cpu import TWINS

from .cpu.compare import compare


def test_a_cpus_forms_are_those_of_operations_with_the_same_arguments() -> None:
    assert TWINS.keys() <= ops.OPS.keys()
    for name, twin in TWINS.items():
        assert inspect.signature(twin) == inspect.signature(ops.OPS[name]), name


def test_only_the_switch_knows_of_a_cpus_forms_and_nobody_asks_for_the_device_while_tracing() -> None:
    library = Path(ops.__file__).parents[1]
    sources = {path.relative_to(library): path.read_text() for path in library.rglob("*.py")}
    knows = {path for path, text in sources.items() if "models.cpu" in text and path.parts[:2] != ("models", "cpu")}
    assert knows == {Path("models/ops.py")}
    asks = {path for path, text in sources.items() if path.parts[0] == "models" and "default_backend" in text}
    assert asks <= {Path("models/ops.py")}
    assert sources[Path("models/ops.py")].count("default_backend") == 1, "in a docstring"


def test_nothing_is_installed_until_somebody_asks() -> None:
    assert ops.form() == "plain" and ops.form_for("cpu") == "cpu"
    assert {ops.form_for(platform) for platform in ("gpu", "tpu", "cuda", "METAL")} == {"plain"}


def test_a_block_has_its_form_and_the_process_another() -> None:
    seen = []

    def look() -> None:
        seen.append(ops.form())

    ops.use("cpu")
    with ops.using("plain"):
        assert ops.form() == "plain"
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert ops.form() == "cpu" and seen == ["cpu"]
    ops.use("plain")
    with pytest.raises(RuntimeError), ops.using("cpu"):
        raise RuntimeError
    assert ops.form() == "plain"


def test_an_unknown_form_is_refused_and_changes_nothing() -> None:
    with pytest.raises(ValueError, match="form='gpu' is unknown: choose one of plain, cpu"):
        ops.use("gpu")
    assert ops.form() == "plain"


def test_a_jitted_function_is_traced_anew_for_another_form() -> None:
    traced = []

    @jax.jit
    def rotation(skew):
        traced.append(ops.form())
        return ops.cayley(skew)

    def solves() -> bool:
        return "custom_call" in rotation.lower(jnp.zeros((4, 4))).as_text()

    rotation(jnp.zeros((4, 4)))
    for form, solve in (("cpu", False), ("plain", True), ("cpu", False)):
        with ops.using(form):
            assert solves() == solve
            rotation(jnp.zeros((4, 4)))
    ops.use("cpu")
    assert not solves()
    assert set(traced) == {"plain", "cpu"}


@pytest.mark.parametrize("dim", [2, 48])
def test_elimination_is_the_solve(dim: int) -> None:
    skew = np.triu(np.random.default_rng(0).normal(size=(dim, dim)), 1)
    compare(TWINS["cayley"], ops.cayley, jnp.asarray(skew - skew.T, jnp.float32))


@pytest.mark.parametrize(("side", "taps"), [(24, 5), (24, 9), (200, 7), (200, 33)])
@pytest.mark.parametrize("box", [True, False])
def test_filters(side: int, taps: int, box: bool) -> None:
    """Products, shifts and running sums against convolutions, and all against NumPy's."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, side, side + 8))
    weights = np.ones(taps) if box else np.exp(-(np.linspace(-1, 1, taps) ** 2))
    wanted = maps
    for axis in (-2, -1):
        wanted = np.apply_along_axis(lambda line: np.convolve(line, weights, "same"), axis, wanted)
    for form in ops.FORMS:
        with ops.using(form):
            found = ops.separable(jnp.asarray(maps, jnp.float32), weights)
        np.testing.assert_allclose(found, wanted, atol=2e-4 * np.abs(wanted).max(), err_msg=form)


def test_bilinear_samples() -> None:
    """Both forms: pixel centres give the pixels, halves their means, the border its nearest."""
    maps = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 3)), jnp.float32)
    places = jnp.asarray([[[2.5, 1.5], [3.0, 1.5], [-4.0, 2.5], [6.0, 5.0], [5.5, 4.5]]] * 2)
    for form in ops.FORMS:
        with ops.using(form):
            values, inside = ops.bilinear(maps, places)
        corner = maps[:, 4, 5]
        wanted = [maps[:, 1, 2], 0.5 * (maps[:, 1, 2] + maps[:, 1, 3]), maps[:, 2, 0], corner, corner]
        np.testing.assert_allclose(values, jnp.stack(wanted, axis=1), atol=1e-6, err_msg=form)
        assert inside[0].tolist() == [True, True, False, False, True]
    rng = np.random.default_rng(1)
    pixels = jnp.asarray(rng.uniform(-1, 7, size=(2, 4, 5, 2)), jnp.float32)
    compare(lambda m, p: TWINS["bilinear"](m, p)[0], lambda m, p: ops.bilinear(m, p)[0], maps, pixels)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_stem_of_the_planes_is_the_stem_of_the_channels_they_make(dtype) -> None:
    """Values, and the gradients by everything that is trained."""
    rng = np.random.default_rng(0)
    height, width = 32, 64
    shapes = (2, 4, height, width, 3), (2, 5, 8, 8), (3, 3, ops.INPUT_CHANNELS, 4), (4,)
    pictures, maps, kernel, bias = (jnp.asarray(rng.uniform(size=shape), jnp.float32) for shape in shapes)

    def through(stem):
        # The gradient by a picture is nobody's, and needs no second form.
        return lambda maps, kernel, bias: stem(pictures, maps, kernel.astype(dtype), bias.astype(dtype)).astype(
            jnp.float32
        )

    if dtype == jnp.float32:
        compare(through(TWINS["stem"]), through(ops.stem), maps, kernel - 0.5, bias, scale=100.0)
    else:
        found, wanted = through(TWINS["stem"])(maps, kernel, bias), through(ops.stem)(maps, kernel, bias)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("channels", [4, 16, 24])
def test_the_plain_group_norm_is_flax_s(channels: int) -> None:
    import flax.linen as nn

    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(0.5, 2.0, size=(2, 6, 10, channels)), jnp.float32)
    scale, shift = (jnp.asarray(rng.normal(size=channels), jnp.float32) for _ in range(2))
    wanted = nn.GroupNorm(4).apply({"params": {"scale": scale, "bias": shift}}, x)
    np.testing.assert_allclose(ops.group_norm(x, scale, shift, 4), wanted, atol=1e-5)
    np.testing.assert_allclose(ops.group_norm(x, scale, shift, 4, silu=True), nn.silu(wanted), atol=1e-5)
