"""One contract over every registry: entries can be imported; an unknown name is rejected and the nearest suggested."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.models.cores import CORES
from o2t_jax.models.layers import NormAct
from o2t_jax.models.o2t.encoders import ENCODERS, LEVELS, STRIDE
from o2t_jax.models.o2t.inputs import PARA_MAP, Stem
from o2t_jax.physics.environment import Layout
from o2t_jax.physics.envs import ENVIRONMENTS
from o2t_jax.physics.forces import FORCES, ForceForm
from o2t_jax.physics.gravity import LAWS, Law
from o2t_jax.registry import Registry
from o2t_jax.render.scenes import SCENES
from o2t_jax.systems import SYSTEMS, get_builder, o2t
from o2t_jax.systems.view import VIEWS
from o2t_jax.training.progress import Progress
from o2t_jax.training.writers import WRITERS
from tests.systems.small import small_batch, small_config

REGISTRIES: dict[str, Registry] = {
    "systems": SYSTEMS,
    "environments": ENVIRONMENTS,
    "laws": LAWS,
    "forces": FORCES,
    "scenes": SCENES,
    "cores": CORES,
    "encoders": ENCODERS,
    "writers": WRITERS,
    "views": VIEWS,
}
ENTRIES = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


def check_system(name: str, build) -> None:
    assert callable(build) and get_builder(name) is build


def check_environment(name: str, make) -> None:
    assert make().name == name


def check_core(name: str, make) -> None:
    layout = Layout(2, (0,), (1,))
    core = make(layout=layout, widths=(8,))
    state = core.begin(jnp.ones((3, 2)))
    after, _ = core.init_with_output(jax.random.key(0), state, None, 0.1, None)
    assert after.shape == state.shape and core.seen(after).shape == (3, 2)


def check_law(name: str, law: Law) -> None:
    assert law.name == name and law.names
    params = tuple(200.0 + i for i in range(len(law.names)))
    assert np.isfinite(law.g(1.0, params)) and law.potential(0.0, params) == 0.0
    assert law.g(jnp.ones(3), params).shape == (3,)


def check_force(name: str, form: ForceForm) -> None:
    """No force at zero parameters, and a finite one at rest."""
    assert form.name == name and all(param.default == 0.0 for param in form.params)
    velocity = (jnp.array([3.0, 0.0]), jnp.array([-1.0, 0.0]), jnp.array([2.0, 0.0]))
    none, some = (jnp.stack(form.acceleration(velocity, (x,) * len(form.names))) for x in (0.0, 0.5))
    assert none.shape == some.shape == (3, 2) and not np.any(none) and np.all(np.isfinite(some))


def check_scene(name: str, scene) -> None:
    assert scene.name == name and scene.t_max > 0.0


def check_encoder(name: str, make) -> None:
    """The contract of `models.o2t.encoders`, by shapes alone."""
    sizes = {}
    for height, width in ((2 * STRIDE, STRIDE), (STRIDE, 3 * STRIDE)):
        inputs = jnp.zeros((2, 4, height, width, 3)), jnp.zeros((2, 5, PARA_MAP, PARA_MAP))
        for dtype in (jnp.float32, jnp.bfloat16):
            encoder = make(8, 12, True, dtype)
            (h, skips), variables = jax.eval_shape(encoder.init_with_output, jax.random.key(0), *inputs)
            assert h.shape == (2, 12) and h.dtype == jnp.float32
            assert [x.shape[:3] for x in skips] == [(2, height >> i, width >> i) for i in range(LEVELS)]
            assert all(x.dtype == dtype for x in skips)
            assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
            sizes[height, dtype] = [x.shape for x in jax.tree.leaves(variables)]
    assert len({str(shapes) for shapes in sizes.values()}) == 1, "parameters depend on the picture's size"


def check_writer(name: str, make, tmp_path) -> None:
    writer = make(tmp_path, Progress(io.StringIO()), 0)
    writer.write_scalars(1, {"train/loss": 0.5})
    writer.write_images(1, {"test/picture": np.zeros((4, 4, 3), np.uint8)})
    writer.write_texts(1, {"note": "text"})
    writer.flush()
    writer.close()


def check_view(name: str, make) -> None:
    """A view is of a system that there is, and has all that a page asks of one."""
    assert name in SYSTEMS
    assert all(callable(getattr(make, method)) for method in ("begin", "advance", "show"))


CHECKS = {
    "systems": check_system,
    "environments": check_environment,
    "laws": check_law,
    "forces": check_force,
    "scenes": check_scene,
    "cores": check_core,
    "encoders": check_encoder,
    "views": check_view,
}


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_what_is_registered_is_there_and_under_its_own_name(kind: str, name: str, tmp_path) -> None:
    registry = REGISTRIES[kind]
    thing = registry.get(name)
    assert not isinstance(thing, str) and registry[name] is thing and name in registry
    if kind == "writers":
        check_writer(name, thing, tmp_path)
    else:
        CHECKS[kind](name, thing)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_an_unknown_name_is_refused_with_the_nearest(kind: str) -> None:
    registry = REGISTRIES[kind]
    for name in registry:
        with pytest.raises(UsageError) as refusal:
            registry.get(name + "x")
        message = str(refusal.value)
        assert f"{registry.what}='{name}x' is unknown: did you mean '{name}'?" in message and "\n" not in message
        assert all(other in message for other in registry)
    for wrong in ("", None, 3, "completely.different", "::", "a:"):
        with pytest.raises(UsageError, match="choose one of"):
            registry.get(wrong)
    registry.check(next(iter(registry)))
    with pytest.raises(UsageError, match="choose one of"):
        registry.check("completely.different")
    with pytest.raises(UsageError, match="registered already"):
        registry.register(next(iter(registry)), "x:y")


def test_a_thing_of_ones_own_is_imported_where_the_registry_takes_it(tmp_path, monkeypatch) -> None:
    (tmp_path / "own_things.py").write_text("THING = 3\n")
    (tmp_path / "own_broken.py").write_text("import package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    mine: Registry[int] = Registry("thing", {"late": "own_things:THING", "now": 4}, foreign=True)
    assert [mine.get(name) for name in ("late", "now", "own_things:THING")] == [3, 4, 3]
    with pytest.raises(UsageError, match="thing='own_things:NOTHING': module own_things has no 'NOTHING'"):
        mine.get("own_things:NOTHING")
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        mine.get("nowhere.at_all:THING")
    with pytest.raises(ModuleNotFoundError, match="package_that_is_not_there"):  # not the user's name: its own error
        mine.get("own_broken:THING")
    with pytest.raises(UsageError, match="is unknown"):
        Registry("thing", {"now": 4}).get("own_things:THING")


def test_registries_that_a_config_needs_import_no_jax() -> None:
    modules = "o2t_jax.systems, o2t_jax.physics.forces, o2t_jax.models.o2t.encoders, o2t_jax.training.writers"
    code = f"import sys, {modules}; print('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


class Strided(nn.Module):
    """A user's encoder with its own widths: plain strided convolutions."""

    base_ch: int
    latent_dim: int
    remat: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pictures, para_maps):
        x, skips = NormAct(self.dtype)(Stem(self.base_ch, self.dtype)(pictures, para_maps)), []
        for level in range(LEVELS):
            skips.append(x)
            x = nn.silu(nn.Conv(5 + level, (3, 3), strides=2, dtype=self.dtype)(x))
        return nn.Dense(self.latent_dim)(jnp.mean(x.astype(jnp.float32), axis=(1, 2))), skips


def test_the_network_takes_an_encoder_of_ones_own() -> None:
    config = small_config()
    config.encoder = "tests.test_registries:Strided"
    system = o2t.build(config)
    params, extra = jax.eval_shape(system.init, jax.random.key(0))
    assert "Conv_4" in params["encoder"] and "level1_res1" not in params["encoder"]

    def loss(params, extra, batch):
        return system.loss(params, extra, batch, jnp.zeros((4, 2), jnp.uint32), jnp.int32(0))

    gradient_of = jax.value_and_grad(loss, has_aux=True)
    (_, (metrics, _)), gradient = jax.eval_shape(gradient_of, params, extra, small_batch())
    assert "g0" in metrics and "encoder" in gradient
    config.encoder = "unett"
    with pytest.raises(UsageError, match="encoder='unett' is unknown: did you mean 'unet'"):
        o2t.build(config)
