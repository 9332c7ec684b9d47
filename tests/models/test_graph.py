"""The graph of a network is that of its program: parts, what flows, loops, and nothing that does not matter."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from o2t_jax.commands import architecture
from o2t_jax.commands._config import load_config
from o2t_jax.models.graph import graph_of
from o2t_jax.systems.base import build_system


class Net(nn.Module):
    """`first` feeds `second` through a function without parameters; `loop` goes on from `first`; `skip` goes round."""

    @nn.compact
    def __call__(self, x, skip, unused):
        first = nn.Dense(3, name="first")(x)
        second = nn.Dense(2, name="second")(jax.jit(jnp.tanh)(first))
        loop = nn.Dense(3, name="loop")
        for _ in range(4):
            first = loop(first)
        return jax.lax.scan(lambda c, y: (c + y, y), jnp.zeros(2), second)[0], first.sum() + skip


def test_parts_and_edges_are_those_of_the_program() -> None:
    spec = jax.ShapeDtypeStruct((5, 4), jnp.float32)
    inputs = {"x": spec, "skip": jax.ShapeDtypeStruct((), jnp.float32), "unused": spec}
    params = jax.eval_shape(lambda: Net().init(jax.random.key(0), jnp.zeros((5, 4)), 0.0, jnp.zeros((5, 4))))
    graph = graph_of(lambda params, **given: Net().apply(params, **given), params, **inputs)
    assert graph.inputs == ("x", "skip")
    assert [(part.name, part.given, part.made, part.calls) for part in graph.parts] == [
        ("first", ("5x4",), ("5x3",), 1),
        ("second", ("5x3",), ("5x2",), 1),
        ("loop", ("5x3",), ("5x3",), 4),
    ]
    assert set(graph.edges) == {
        ("x", "first"),
        ("first", "second"),
        ("first", "loop"),
        ("loop", "loop"),
        ("second", "output"),
        ("loop", "output"),
        ("skip", "output"),
    }


def test_no_picture_goes_round_the_codes() -> None:
    _, config = load_config("video/cpu:smoke")
    graph, sizes = architecture.graph_of_system(build_system(config))
    assert ("pictures", "encoder") in graph.edges and ("dynamics", "decoder") in graph.edges
    assert [target for source, target in graph.edges if source == "pictures"] == ["encoder"]
    assert set(sizes) >= {part.name for part in graph.parts}


def test_the_command_draws_and_refuses(tmp_path, capsys) -> None:
    out = tmp_path / "net.svg"
    assert architecture.main([f"--out={out}", "--config=toy"]) == 0
    assert "<svg" in out.read_text()
    assert architecture.main([f"--out={tmp_path / 'net.doc'}", "--config=toy"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dynamics/pendulum:port_hamiltonian", "discs/cpu:relative"])
def test_other_systems_have_parts_too(name) -> None:
    _, config = load_config(name)
    assert architecture.graph_of_system(build_system(config))[0].parts
