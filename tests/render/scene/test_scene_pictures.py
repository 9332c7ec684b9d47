"""Rays meet solids where geometry says, and pictures show what stands where."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.render.scene.finish import finish
from o2t_jax.render.scene.pictures import Shapes, View, pictures
from o2t_jax.render.scene.solids import FAR, Solid, box_hit, box_normal, capsule_hit, capsule_normal

TURN = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]) @ np.array(
    [[1.0, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]
)
CENTRE = np.array([0.3, 4.0, 0.2])
RNG = np.random.default_rng(0)
RAYS = RNG.normal(size=(3, 400)) * 0.15 + np.array([[0.0], [1.0], [0.0]])
RAYS = (RAYS / np.linalg.norm(RAYS, axis=0)).astype(np.float32)
ORIGIN = np.zeros_like(RAYS)


def outside_capsule(point: np.ndarray, radius: float, half: float) -> np.ndarray:
    local = TURN.T @ (point - CENTRE[:, None])
    local[2] -= np.clip(local[2], -half, half)
    return np.linalg.norm(local, axis=0) - radius


def outside_box(point: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.max(np.abs(TURN.T @ (point - CENTRE[:, None])) - size[:, None], axis=0)


@pytest.mark.parametrize("kind", ["capsule", "sphere", "box"])
def test_a_hit_lies_on_the_surface_and_nothing_is_before_it(kind: str):
    size = np.array({"capsule": [0.3, 0.5, 0.0], "sphere": [0.4, 0.0, 0.0], "box": [0.3, 0.2, 0.4]}[kind])
    solid = Solid(CENTRE, TURN, size)
    hit, normal = (box_hit, box_normal) if kind == "box" else (capsule_hit, capsule_normal)
    at = np.asarray(hit(solid, ORIGIN, RAYS))
    outside = (lambda p: outside_box(p, size)) if kind == "box" else (lambda p: outside_capsule(p, size[0], size[1]))
    seen = at < FAR
    assert 40 < seen.sum() < 380
    assert np.abs(outside(at * RAYS)[seen]).max() < 1e-3
    for share in np.linspace(0.0, 1.0, 60):
        assert outside(np.where(seen, share * at - 1e-3, 8.0 * share) * RAYS).min() > -2e-3
    out = np.asarray(normal(solid, at * RAYS))[:, seen]
    assert np.linalg.norm(out, axis=0) == pytest.approx(1.0, abs=1e-3)
    assert np.sum(out * RAYS[:, seen], axis=0).max() < 1e-2
    if kind != "box":
        assert outside((at * RAYS)[:, seen] + 0.1 * out) == pytest.approx(0.1, abs=2e-3)


def shapes(x: float) -> Shapes:
    eye = np.eye(3)[None, None]
    ball = Solid(np.array([[[x, 0.0, 1.0]]]), eye, np.array([[[0.4, 0.0, 0.0]]]))
    nothing = Solid(np.array([[[0.0, 0.0, -9.0]]]), eye, np.full((1, 1, 3), 1e-3))
    return Shapes(ball, np.array([[0.9, 0.1, 0.1]]), nothing, np.zeros((1, 3)))


def red_of(picture: np.ndarray) -> np.ndarray:
    return np.argwhere((picture[..., 0] > 1.6 * picture[..., 1].astype(float)) & (picture[..., 0] > 60))


@pytest.mark.parametrize("x", [-0.5, 0.0, 0.5])
def test_a_ball_is_seen_where_it_is_with_its_size_and_shadow(x: float):
    view = View((0.0, -4.0, 1.0), 90.0, 0.0, 45.0)
    picture = pictures(shapes(x), view, 96, 128)[0]
    focal = 48 / np.tan(np.radians(22.5))
    pixels = red_of(picture)
    assert pixels.mean(axis=0) + 0.5 == pytest.approx([48.0, 64.0 + focal * x / 4.0], abs=0.8)
    assert len(pixels) == pytest.approx(np.pi * (focal * 0.4 / np.sqrt(16.0 - 0.16)) ** 2, rel=0.05)
    plain = pictures(shapes(50.0), view, 96, 128)[0]
    darker = (plain.astype(int) - picture).sum(axis=-1) > 90
    darker[pixels[:, 0], pixels[:, 1]] = False
    assert darker[60:].sum() > 20  # its shadow on the floor


def test_finishing_keeps_the_picture_and_writes_the_caption():
    frames = pictures(shapes(0.0), View((0.0, -4.0, 1.0), 90.0, 0.0), 96, 128).repeat(3, axis=0)
    done, bare = finish(frames, "a red ball"), finish(frames, "")
    assert done.shape == frames.shape and done.dtype == np.uint8
    assert np.abs(done[:, :50].astype(int) - bare[:, :50]).max() == 0
    assert np.abs(done[:, 50:].astype(int) - bare[:, 50:]).max() > 100
    assert bare[0, 1, 1].mean() < frames[0, 1, 1].mean()  # vignette
    assert len(red_of(bare[-1])) == pytest.approx(len(red_of(frames[-1])), rel=0.1)
