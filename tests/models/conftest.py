"""One small model and one batch for all tests of this folder: compiling is what takes time here."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.geometry.camera import (
    intrinsics_for,
    pixel_directions,
    pixel_grid,
    relative_para,
    right_eye,
    world_to_camera,
)
from o2t_jax.geometry.para import FUTURE
from o2t_jax.models.o2t.loss import initial_extra, to_float
from o2t_jax.models.o2t.network import O2TModel
from tests.defaults import o2t_model

SIZE, DT, K_MAX, N_MAX = 32, 0.1, 3, 6
GRAVITY = 7.0
SKY, BALL = np.array([0.9, 0.93, 0.97]), np.array([0.5, 0.2, 0.2])


def draw(position: np.ndarray, radius: float, para: np.ndarray, size: int) -> np.ndarray:
    """A flat disc of the sphere's true outline on a two-tone background, uint8 [size, size, 3]."""
    intrinsics = intrinsics_for(size, size)
    rays = pixel_directions(pixel_grid(intrinsics), world_to_camera(para[4], para[5]), intrinsics)
    offset = position - para[1:4]
    along = rays @ offset
    across = np.sqrt(np.maximum(offset @ offset - along**2, 0.0))
    cover = np.clip((radius - across) * intrinsics.focal / np.maximum(along, 0.1) + 0.5, 0, 1) * (along > 0.1)
    ground = np.where(rays[..., 2:] < 0, 0.8, 1.0) * SKY
    return np.round(255 * (ground + cover[..., None] * (BALL - ground))).astype(np.uint8)


def make_batch(count: int = 4, seed: int = 0, size: int = SIZE, turn: float = 0.0, move=(0.0, 0.0)) -> dict:
    """FUTURE samples of one falling ball; `turn` (deg) and `move` (m) displace the whole world."""
    rng = np.random.default_rng(seed)
    rows = []
    angle = np.radians(turn)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for _ in range(count):
        k = int(rng.integers(2, K_MAX + 1))
        n = int(rng.integers(k + 1, N_MAX + 1))
        start = np.array([4.0, 0.0, 3.0]) + rng.uniform(-0.3, 0.3, 3)
        velocity = np.array([*rng.uniform(-0.5, 0.5, 2), rng.uniform(1.0, 3.0)])
        eye, azimuth, elevation = np.array([0.0, 0.0, 2.0]), rng.uniform(-3, 3), 15.0
        # The world's turn and move act on everything that has a place.
        eye = np.concatenate([rotate @ eye[:2] + move, eye[2:]])
        start = np.concatenate([rotate @ start[:2] + move, start[2:]])
        velocity = np.concatenate([rotate @ velocity[:2], velocity[2:]])
        azimuth += turn
        right, _, _ = right_eye(eye, azimuth, elevation, 0.5)
        times = np.array([0.0, 0.0, k * DT, k * DT, n * DT])
        para = np.array(
            [[t, *p, azimuth, elevation] for t, p in zip(times, [eye, right, eye, right, eye], strict=True)]
        )
        para[4, 4:] += rng.uniform(-3, 3, 2)
        positions = start + velocity * times[:, None] - np.array([0, 0, 0.5 * GRAVITY]) * times[:, None] ** 2
        pictures = np.stack([draw(p, 0.35, c, size) for p, c in zip(positions, para, strict=True)])
        rows.append({"pictures": pictures, "para": relative_para(para).astype(np.float32), "k": k, "n": n})
    batch = {key: np.stack([np.asarray(r[key]) for r in rows]) for key in rows[0]}
    batch["k"], batch["n"] = batch["k"].astype(np.int32), batch["n"].astype(np.int32)
    batch["mode"] = np.full(count, FUTURE, np.int32)
    return batch


def make_model(**changes) -> O2TModel:
    return o2t_model(**{"base_ch": 8, "dt": DT, "k_max": K_MAX, "n_max": N_MAX, **changes})


def init(model: O2TModel, batch: dict, key: int = 0):
    """Random parameters of the model's own shapes, all away from zero: Flax' initialisers would cost a compilation."""
    shapes = jax.eval_shape(
        model.init,
        jax.random.key(0),
        to_float(jnp.asarray(batch["pictures"][:, :4])),
        batch["para"],
        batch["k"],
        batch["n"],
        initial_extra()["visited"],
    )["params"]
    return random_like(shapes, key)


def random_like(shapes, key: int = 0):
    """Arrays of `shapes`, drawn in numpy (the same on every machine and version), as large as a layer's weights are."""
    rng = np.random.default_rng(key)

    def fill(x):
        fan_in = np.prod(x.shape[:-1]) if len(x.shape) > 1 else 100.0
        return jnp.asarray(rng.normal(size=x.shape) / np.sqrt(fan_in), jnp.float32)

    return jax.tree.map(fill, shapes)


@pytest.fixture(scope="session")
def batch():
    return make_batch()


@pytest.fixture(scope="session")
def camera_model(batch):
    model = make_model()
    return model, init(model, batch)


@pytest.fixture(scope="session")
def free_model(batch):
    model = make_model(gauge="free", compose=False)
    return model, init(model, batch)
