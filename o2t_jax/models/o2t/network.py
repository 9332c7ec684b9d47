"""The O2T network: pictures -> h48 -> W_ROT -> PhysLayer -> blend -> W_ROT^T -> + h_PARA -> decoder -> picture.

Two gauges. `free` is the guide's model to the letter: nothing ties the latent to metres, and g0 has no reason to be the
world's. `camera` overwrites the latent's used slots by what the metric block measures, evolves them by the learned
law, and draws them through the known target camera: g0 and alpha get gradient only that way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.geometry.camera import Intrinsics, intrinsics_for, window_intrinsics
from o2t_jax.models.layers import MLP
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.models.o2t.circle_fit import fit_outline
from o2t_jax.models.o2t.decoder import Decoder
from o2t_jax.models.o2t.drawing import Lenses, compose, draw_spheres, to_logit, warp_background
from o2t_jax.models.o2t.encoder import Encoder
from o2t_jax.models.o2t.inputs import ParaMaps, scale_para
from o2t_jax.models.o2t.matting import coverage, coverage_through_scales, shrink
from o2t_jax.models.o2t.metric import (
    MaskTower,
    Metric,
    Sighting,
    camera_poses,
    height_first,
    height_last,
    locate,
    measure,
)
from o2t_jax.models.o2t.rotation import CayleyRotation, rotate
from o2t_jax.types import LEFT_1, RIGHT_1, TARGET

Gauge = Literal["camera", "free"]
SEEN = slice(0, TARGET)  # the pictures that a prediction is made of
# What the law is learned by: the physics branch of what was measured. The others are ablations, which mix into it the
# NN branch, or what knows the target's camera and time: h_PARA, or the encoder's own numbers (added to the measured).
LawBranch = Literal["phys", "blend", "h_para", "encoder"]


class MetricOutputs(NamedTuple):
    """What the camera gauge adds (all in the frame of camera 1)."""

    mask: jax.Array
    """Masks [B, 2, H, W] of the left eye, with gradient; what follows them uses them as data."""
    metric: Metric
    velocity: jax.Array
    """[B, K, 3] m/s at t1, (x, y, z)."""
    predicted: jax.Array
    """Positions [B, K, 3] m at the target's time by `law_branch`: the law's only way to the loss."""
    departure: jax.Array
    """[B]: mean over the latent of the square of what the NN branch adds to used slots in the blend."""
    target: Sighting
    """What the target's own picture shows, [B, 1] as data, for the loss; [B, 0] where it was not given."""


class Outputs(NamedTuple):
    """`prediction` float32 [B, H, W, 3] in 0..1; `metric` is None in the free gauge."""

    prediction: jax.Array
    metric: MetricOutputs | None


class O2TModel(nn.Module):
    """All parts of the guide; see the module's docstring for the two gauges.

    Shapes: any height and width divisible by 32. Samples may be windows of pictures of `camera_size` px.
    `n` counts from t1, 0..n_max; t = n dt.
    """

    base_ch: int = 32
    latent_dim: int = 48
    gauge: Gauge = "camera"
    used_slots: int = 1
    dt: float = 0.02
    n_max: int = 20
    k_max: int = 1
    shoot_rounds: int = 2
    law_branch: LawBranch = "phys"
    matting: bool = True
    outline: bool = True
    compose: bool = True
    remat: bool = False
    dtype: Any = jnp.float32
    camera_size: int = 0
    tower_type: Callable[[], nn.Module] = MaskTower

    def setup(self) -> None:
        used = self.used_slots if self.gauge == "camera" else 0
        self.inputs = ParaMaps()
        self.encoder = Encoder(self.base_ch, self.latent_dim, self.remat, self.dtype)
        self.rotation = CayleyRotation(self.latent_dim)
        self.layer = phys.PhysLayer(self.latent_dim, self.dt, self.n_max, used)
        self.h_para = MLP((64, self.latent_dim))
        drawn = self.gauge == "camera" and self.compose
        self.decoder = Decoder(self.base_ch, self.remat, zero_last=drawn, dtype=self.dtype)
        if self.gauge == "camera":
            self.tower = self.tower_type()

    def lens(self, height: int, width: int, window: jax.Array | None) -> Intrinsics:
        """Intrinsics of whole pictures, or of windows at `window` [B, P, 2] (u0, v0)."""
        return intrinsics_for(height, width) if window is None else window_intrinsics(self.camera_size, height, window)

    def masks(self, pictures: jax.Array) -> jax.Array:
        """Where the tower finds the ball: [B, P, H, W] in 0..1, of `pictures` float32 [B, P, H, W, 3]."""
        b, p, h, w, c = pictures.shape
        return jax.nn.sigmoid(self.tower(pictures.reshape(b * p, h, w, c))).reshape(b, p, h, w)

    def sight(self, pictures: jax.Array, para: jax.Array, window: jax.Array | None = None) -> Sighting:
        """Sightings, as data, in `pictures` float32 [B, P, H, W, 3] by the cameras of `para` [B, P, 6]."""
        return self._locate(self.masks(pictures), pictures, para, window)

    def _locate(self, mask: jax.Array, pictures: jax.Array, para: jax.Array, window: jax.Array | None) -> Sighting:
        _, rotation = camera_poses(para)
        # The tower answers to its own loss alone (`metric.swap_loss`): no error of the law may move a sighting.
        fixed = jax.lax.stop_gradient(mask)
        share = coverage(fixed, pictures) if self.matting else fixed
        lens = self.lens(mask.shape[-2], mask.shape[-1], window)
        sighting = locate(share, rotation, lens)
        if self.outline:
            sighting = fit_outline(share, sighting, rotation, lens)
        return jax.lax.stop_gradient(sighting)

    def sight_close(self, pictures: jax.Array, factor: int) -> Sighting:
        """Sightings, in their cameras' axes, of the one large thing in whole `pictures` float32 [N, H, W, 3].

        The tower sees them `factor` (a power of two) times smaller, so that the thing has the size it was trained on;
        matting brings its mask back to full size. By the centroid, not the outline: it weighs all pixels of a rim that
        is hundreds of them long.
        """
        mask = jax.nn.sigmoid(self.tower(shrink(pictures, factor)))
        # A highlight gets half a mask from a tower that was trained with one colour a thing: that must be enough, or
        # the thing has a hole. The background has next to none, and the rim is the matting's.
        share = coverage_through_scales(1.0 - (1.0 - mask) ** 2, pictures)
        return locate(share, jnp.eye(3), intrinsics_for(*pictures.shape[1:3]))

    def __call__(
        self,
        pictures: jax.Array,
        para: jax.Array,
        k: jax.Array,
        n: jax.Array,
        visited: jax.Array,
        window: jax.Array | None = None,
    ) -> Outputs:
        """Predicts the target picture.

        Args: `pictures` float32 [B, 4, H, W, 3] in 0..1, for a loss [B, 5, H, W, 3]: of the target's own picture the
        ball is located, together with the others', and nothing else is made; `para` float32 [B, 5, 6], relative to
        camera 1; `k`, `n` int32 [B], steps from t1 to t2 and to the target; `visited` the height histogram of the
        state; `window` float32 [B, 5, 2] where the pictures are windows: their top left pixels (u0, v0).
        """
        h48, skips = self.encoder(pictures[:, :TARGET], self.inputs(para))
        matrix = self.rotation()
        r = rotate(matrix, h48)
        if self.gauge == "free":
            evolved = self.layer(r, n, visited)
            latent = self._blend(evolved, n)
            return Outputs(nn.sigmoid(self.decoder(self._unrotate(matrix, latent, para), skips)), None)
        return self._camera_gauge(pictures, para, k, n, visited, window, r, matrix, skips)

    def _camera_gauge(
        self,
        pictures: jax.Array,
        para: jax.Array,
        k: jax.Array,
        n: jax.Array,
        visited: jax.Array,
        window: jax.Array | None,
        r: jax.Array,
        matrix: jax.Array,
        skips: list[jax.Array],
    ) -> Outputs:
        lens = self.lens(pictures.shape[2], pictures.shape[3], window)
        lenses = Lenses(lens.pick(slice(0, TARGET)), lens.pick(TARGET))
        live_mask, mask = self._masks_of_all(pictures)
        count = pictures.shape[1]
        sightings = self._locate(mask, pictures, para[:, :count], None if window is None else window[:, :count])
        seen, target = jax.tree.map(lambda x: x[:, SEEN], sightings), jax.tree.map(lambda x: x[:, TARGET:], sightings)
        # Past this point the target's own picture has no part in the prediction.
        pictures, mask = pictures[:, SEEN], mask[:, SEEN]
        metric = measure(seen, para[:, SEEN])
        particle = self._particle(metric, k, visited)
        values, rows = phys.to_latent(particle, self.layer.slots)
        values = values + r if self.law_branch == "encoder" else values
        present = jnp.any(metric.present > 0, axis=-1)[:, None]
        state = jnp.where(rows & present, values, r)
        evolved = self.layer(state, n, visited)
        read = self._blend(evolved, n) if self.law_branch == "blend" else evolved.phys
        if self.law_branch == "h_para":
            read = read + self.h_para(scale_para(para[:, 4]))
        predicted = phys.from_latent(read, self.layer.slots, self.used_slots).position
        # Past this point the law is data: only the projected positions may carry its gradient.
        held = phys.Evolved(evolved.nn, jnp.where(rows, jax.lax.stop_gradient(evolved.phys), evolved.phys))
        latent = self._blend(held, n)
        weight = phys.blend_weight(n.astype(evolved.nn.dtype))[:, None]
        departure = jnp.mean(jnp.square(weight * (held.nn - held.phys)) * rows, axis=-1) * present[:, 0]
        h = self._unrotate(matrix, latent, para)
        centre = height_last(predicted)
        prediction = self._show(centre, metric, mask, pictures, para, lenses, h, skips)
        velocity = height_last(particle.velocity)
        return Outputs(prediction, MetricOutputs(live_mask, metric, velocity, centre, departure, target))

    def _masks_of_all(self, pictures: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Masks [B, 2, H, W] of the left eye, with gradient, and, as data, of all pictures [B, 4 or 5, H, W]."""
        # The left eye's pictures train the tower; the others look alike and would double the cost.
        live = self.masks(pictures[:, LEFT_1:TARGET:2])
        others = self.masks(jnp.concatenate([pictures[:, RIGHT_1:TARGET:2], pictures[:, TARGET:]], axis=1))
        pairs = jnp.stack([live, others[:, :2]], axis=2).reshape(len(live), TARGET, *live.shape[2:])
        return live, jax.lax.stop_gradient(jnp.concatenate([pairs, others[:, 2:]], axis=1))

    def _particle(self, metric: Metric, k: jax.Array, visited: jax.Array) -> phys.Particle:
        gravity = phys.gravity_curve(self.layer.law(), visited)
        first, second = height_first(metric.first), height_first(metric.second)
        velocity = phys.shoot(first, second, k, self.k_max, gravity, self.dt, self.shoot_rounds)
        return phys.Particle(first, velocity)

    def _show(
        self,
        centre: jax.Array,
        metric: Metric,
        mask: jax.Array,
        pictures: jax.Array,
        para: jax.Array,
        lenses: Lenses,
        h: jax.Array,
        skips: list[jax.Array],
    ) -> jax.Array:
        drawn = draw_spheres(centre, metric, pictures, para[:, :4], para[:, 4], lenses)
        channels = jnp.moveaxis(drawn.coverage, 1, -1)
        if not self.compose:
            return nn.sigmoid(self.decoder(h, skips, channels))
        background = warp_background(pictures, mask, para[:, :4], para[:, 4], lenses)
        picture = compose(background, drawn)
        extra = jnp.concatenate([channels, picture, background], axis=-1)
        return nn.sigmoid(self.decoder(h, skips, extra) + to_logit(picture))

    def _blend(self, evolved: phys.Evolved, n: jax.Array) -> jax.Array:
        weight = phys.blend_weight(n.astype(evolved.nn.dtype))[:, None]
        return weight * evolved.nn + (1.0 - weight) * evolved.phys

    def _unrotate(self, matrix: jax.Array, latent: jax.Array, para: jax.Array) -> jax.Array:
        return rotate(matrix.T, latent) + self.h_para(scale_para(para[:, 4]))
