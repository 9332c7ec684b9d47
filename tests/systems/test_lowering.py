"""What a GPU or a TPU is given: the plain form of the full-size step, and nothing of a CPU's."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter

import jax
import pytest
from flax.traverse_util import flatten_dict

from o2t_jax.commands._config import load_config
from o2t_jax.models import cpu, ops
from o2t_jax.systems.o2t import build
from o2t_jax.training.parallel import AXIS
from o2t_jax.training.state import Initial
from o2t_jax.training.step import make_train_step

BATCH = 8
# A convolution forward: its kernel's type is the second one. (Gradients have other orders of dimensions.)
FORWARD = re.compile(
    r"stablehlo\.convolution\(.*dim_numbers = \[b, 0, 1, f\]x\[0, 1, i, o\]->\[b, 0, 1, f\].*"
    r": \(tensor<[^>]*>, tensor<([\dx]+)x(bf16|f32)>\)"
)


def cpu_names() -> set[str]:
    """The jitted functions of a CPU's forms: each is a function of that name in a lowered program."""
    names = set()
    for module in pkgutil.iter_modules(cpu.__path__, cpu.__name__ + "."):
        members = vars(importlib.import_module(module.name)).items()
        names |= {name for name, value in members if hasattr(value, "lower") and callable(value)}
    return names


def functions_of(text: str) -> set[str]:
    return {re.sub(r"_\d+$", "", name) for name in re.findall(r"func\.func private @(\w+)\(", text)}


def kernels_of(text: str, dtype: str) -> Counter:
    """Shapes of the kernels of one type, and how many forward convolutions read them."""
    return Counter(tuple(map(int, shape.split("x"))) for shape, found in FORWARD.findall(text) if found == dtype)


def traced_step(system, batch_size: int, mapped: bool) -> jax.stages.Traced:
    state = Initial(system.init, system.tx, (0,)).shapes
    batch = {name: jax.ShapeDtypeStruct((batch_size, *x.shape), x.dtype) for name, x in system.sample_spec.items()}
    if not mapped:
        return jax.jit(make_train_step(system.loss, system.tx, system.advance)).trace(state, batch)
    step = jax.pmap(make_train_step(system.loss, system.tx, system.advance, axis_name=AXIS), axis_name=AXIS)
    devices = jax.local_device_count()
    share = jax.tree.map(lambda x: jax.ShapeDtypeStruct((devices, *x.shape), x.dtype), (state, batch))
    return jax.jit(step).trace(*share)


@pytest.mark.parametrize("mapped", [False, True], ids=["jitted", "pmapped"])
def test_the_full_size_step_lowers_for_tpu_and_cuda_in_plain_form(mapped: bool) -> None:
    _, config = load_config("a100")
    system = build(config)
    params, _ = jax.eval_shape(system.init, jax.random.PRNGKey(0))
    shapes = {path: x.shape for path, x in flatten_dict(params, sep="/").items()}
    guide = Counter(
        shape for path, shape in shapes.items() if path.startswith(("encoder", "decoder")) and len(shape) == 4
    )
    assert (3, 3, 23, config.base_ch // 2) in guide and guide.total() == 56
    traced = traced_step(system, BATCH, mapped)
    for platform in ("tpu", "cuda"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert not functions_of(text) & cpu_names(), platform
        assert kernels_of(text, "bf16") == guide, "the guide's convolutions, each once, and no other"
        tower = {shape for path, shape in shapes.items() if path.startswith("tower") and len(shape) == 4}
        others = kernels_of(text, "f32").keys() - tower
        assert all(sorted(shape)[:3] == [1, 1, 1] for shape in others), "beside the tower's, blurs alone"
        assert "LuDecomposition" in text or "getrf" in text, "W_ROT by a linear solve"
        assert not mapped or "all_reduce" in text


def test_this_test_sees_a_cpus_forms() -> None:
    _, config = load_config("smoke")
    with ops.using("cpu"):
        text = traced_step(build(config), config.batch, False).lower(lowering_platforms=("cuda",)).as_text()
    assert {"_conv3_forward", "_conv3_backward", "_group_norm_forward", "add_bias"} <= functions_of(text) & cpu_names()
    assert (3, 3, 23, config.base_ch // 2) not in kernels_of(text, "f32")
    assert "getrf" not in text
