"""The O2T network: the guide's (`guide`), and the gauge that ties its latent to metres.

There are two gauges. `free` is exactly the guide's model: nothing ties the latent to metres, and g0 need not equal the
world's. `camera` overwrites the latent's used slots by numbers measured in the pictures, evolves them by the learned
law, and draws them through the known target camera; g0 and alpha get gradient only by this path. Its four stages:

    look      pictures -> masks of moving objects -> a direction to the ball in each picture
    measure   directions -> points in metres at t1 and t2 -> the velocity that the learned law needs between them
    evolve    position, velocity and the encoder's latent -> n steps of the PhysLayer -> the point at the target's time
    draw      that point -> a sphere before a warped background, through the target's camera

Its parts: `mask_tower`, `matting`, `circle_fit`, `stereo`, `drawing`. All use the operations of `models.ops`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from o2t_jax.geometry.camera import Intrinsics, intrinsics_for, window_intrinsics
from o2t_jax.geometry.para import LEFT_1, RIGHT_1, TARGET
from o2t_jax.models.o2t import phys_layer as phys
from o2t_jax.models.o2t.circle_fit import fit_outline
from o2t_jax.models.o2t.drawing import Lenses, compose, draw_spheres, to_logit, warp_background
from o2t_jax.models.o2t.guide import SEEN, GuideModel, blend
from o2t_jax.models.o2t.mask_tower import MaskTower
from o2t_jax.models.o2t.matting import coverage, coverage_through_scales, shrink
from o2t_jax.models.o2t.stereo import (
    Sighting,
    Slots,
    camera_poses,
    height_first,
    height_last,
    locate,
    triangulate_slots,
)

Gauge = Literal["camera", "free"]


class Observed(NamedTuple):
    """The network's inputs; shapes in `O2TModel.__call__`."""

    pictures: jax.Array
    para: jax.Array
    k: jax.Array
    n: jax.Array
    visited: jax.Array
    window: jax.Array | None


class Looked(NamedTuple):
    """The objects found in the pictures. "As data": without gradient."""

    live_mask: jax.Array
    """Masks [B, 2, H, W] of the left eye, with gradient, for the tower's own loss alone."""
    mask: jax.Array
    """Masks [B, 4, H, W] of the inputs, as data."""
    inputs: Sighting
    """Over [B, 4], as data."""
    target: Sighting
    """Sighting in the target's own picture, [B, 1] as data, for the loss; [B, 0] if that picture is not given."""


class State(NamedTuple):
    """The used slots at t1: `slots` in metres, and `particle`, the same with the velocity."""

    slots: Slots
    particle: phys.Particle


class Future(NamedTuple):
    """The state at the target's time."""

    point: jax.Array
    """Positions [B, K, 3] m, (x, y, z), by the physics branch: the law's only path to the loss."""
    latent: jax.Array
    """Both branches blended, [B, D] in the rotated frame; without gradient to the law."""
    departure: jax.Array
    """[B]: mean square over the latent of the NN branch's contribution to used slots in the blend."""


class Canvas(NamedTuple):
    """The decoder's picture input: extra `channels` [B, H, W, E], and `logits` to correct, [B, H, W, 3] or zero."""

    channels: jax.Array
    logits: jax.Array | float


class Measured(NamedTuple):
    """The camera gauge's additional outputs (all in the frame of camera 1)."""

    mask: jax.Array
    """`Looked.live_mask`."""
    slots: Slots
    velocity: jax.Array
    """[B, K, 3] m/s at t1, (x, y, z)."""
    predicted: jax.Array
    """`Future.point`."""
    departure: jax.Array
    """`Future.departure`."""
    target: Sighting
    """`Looked.target`."""


class Outputs(NamedTuple):
    """`prediction` float32 [B, H, W, 3] in 0..1; `measured` is None in the free gauge."""

    prediction: jax.Array
    measured: Measured | None


class O2TModel(GuideModel, kw_only=True):
    """The guide's network in either gauge; see the module's docstring.

    Samples may be windows of pictures of `camera_size` px.
    """

    gauge: Gauge
    used_slots: int
    k_max: int
    shoot_rounds: int
    matting: bool
    outline: bool
    compose: bool
    camera_size: int
    force: str
    tower_type: Callable[[], nn.Module] = MaskTower

    def setup(self) -> None:
        if self.gauge == "free":
            self.make_parts()
        else:
            self.make_parts(self.used_slots, zero_last=self.compose, force=self.force)
            self.tower = self.tower_type()

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

        Args: `pictures` float32 [B, 4, H, W, 3] in 0..1, or [B, 5, H, W, 3] for a loss: the target's own picture serves
        only to locate the ball, together with the others; `para` float32 [B, 5, 6], relative to camera 1; `k`, `n`
        int32 [B], steps from t1 to t2 and to the target; `visited` the height histogram of the state; `window` float32
        [B, 5, 2] if the pictures are windows: their top left pixels (u0, v0).
        """
        if self.gauge == "free":
            return Outputs(super().__call__(pictures[:, SEEN], para, n, visited), None)
        observed = Observed(pictures, para, k, n, visited, window)
        latent, matrix, skips = self.encode(pictures[:, SEEN], para)
        looked = self.look(observed)
        state = self.measure(observed, looked)
        future = self.evolve(observed, state, latent)
        canvas = self.draw(observed, looked, state.slots, future.point)
        h = self.to_decoder(matrix, future.latent, para)
        prediction = nn.sigmoid(self.decoder(h, skips, canvas.channels) + canvas.logits)
        velocity = height_last(state.particle.velocity)
        measured = Measured(looked.live_mask, state.slots, velocity, future.point, future.departure, looked.target)
        return Outputs(prediction, measured)

    # The camera gauge, stage by stage.

    def look(self, observed: Observed) -> Looked:
        """Masks and sightings in all given pictures."""
        pictures, window = observed.pictures, observed.window
        count = pictures.shape[1]
        live_mask, mask = self._masks_of_all(pictures)
        window = None if window is None else window[:, :count]
        sightings = self._locate(mask, pictures, observed.para[:, :count], window)
        inputs, target = (jax.tree.map(lambda x, at=at: x[:, at], sightings) for at in (SEEN, slice(TARGET, None)))
        # The target's own picture is not used in the prediction: from here on it is `target`, for the loss.
        return Looked(live_mask, mask[:, SEEN], inputs, target)

    def measure(self, observed: Observed, looked: Looked) -> State:
        """Points in metres by triangulation, and the velocity at t1 by shooting through the learned law."""
        slots = triangulate_slots(looked.inputs, observed.para[:, SEEN])
        gravity = phys.gravity_curve(self.layer.law(), observed.visited)
        first, second = height_first(slots.first), height_first(slots.second)
        force = self.layer.force_field()
        velocity = phys.shoot(first, second, observed.k, self.k_max, gravity, self.dt, self.shoot_rounds, force)
        return State(slots, phys.Particle(first, velocity))

    def evolve(self, observed: Observed, state: State, latent: jax.Array) -> Future:
        """n steps of both branches, from the rotated `latent` [B, D] with the measured numbers in its used rows."""
        n = observed.n
        values, rows = phys.to_latent(state.particle, self.layer.slots)
        present = jnp.any(state.slots.present > 0, axis=-1)[:, None]
        start = jnp.where(rows & present, self.start_from(values, latent), latent)
        evolved = self.layer(start, n, observed.visited)
        read = self.read_from(evolved, observed)
        point = height_last(phys.from_latent(read, self.layer.slots, self.used_slots).position)
        # No gradient to the law beyond this point: only the projected positions may carry it.
        held = phys.Evolved(evolved.nn, jnp.where(rows, jax.lax.stop_gradient(evolved.phys), evolved.phys))
        added = phys.blend_weight(n.astype(latent.dtype))[:, None] * (held.nn - held.phys)
        departure = jnp.mean(jnp.square(added) * rows, axis=-1) * present[:, 0]
        return Future(point, blend(held, n), departure)

    def start_from(self, values: jax.Array, latent: jax.Array) -> jax.Array:
        """Initial numbers of the used rows: the measured `values` [B, D]. (`ablations` replace this.)"""
        del latent
        return values

    def read_from(self, evolved: phys.Evolved, observed: Observed) -> jax.Array:
        """The numbers that the law's loss reads, [B, D]: the physics branch alone. (`ablations` replace this.)"""
        del observed
        return evolved.phys

    def draw(self, observed: Observed, looked: Looked, slots: Slots, point: jax.Array) -> Canvas:
        """Spheres at `point` [B, K, 3] m before the background of the inputs, as the target's camera sees them."""
        pictures, cameras, target = observed.pictures[:, SEEN], observed.para[:, SEEN], observed.para[:, TARGET]
        lens = self.lens(pictures.shape[2], pictures.shape[3], observed.window)
        lenses = Lenses(lens.pick(SEEN), lens.pick(TARGET))
        drawn = draw_spheres(point, slots, pictures, cameras, target, lenses)
        channels = jnp.moveaxis(drawn.coverage, 1, -1)
        if not self.compose:
            return Canvas(channels, 0.0)
        background = warp_background(pictures, looked.mask, cameras, target, lenses)
        picture = compose(background, drawn)
        return Canvas(jnp.concatenate([channels, picture, background], axis=-1), to_logit(picture))

    # Finding the ball.

    def lens(self, height: int, width: int, window: jax.Array | None) -> Intrinsics:
        """Intrinsics of whole pictures, or of windows at `window` [B, P, 2] (u0, v0)."""
        return intrinsics_for(height, width) if window is None else window_intrinsics(self.camera_size, height, window)

    def masks(self, pictures: jax.Array) -> jax.Array:
        """The tower's masks of the ball: [B, P, H, W] in 0..1, from `pictures` float32 [B, P, H, W, 3]."""
        b, p, h, w, c = pictures.shape
        return jax.nn.sigmoid(self.tower(pictures.reshape(b * p, h, w, c))).reshape(b, p, h, w)

    def _masks_of_all(self, pictures: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Masks [B, 2, H, W] of the left eye, with gradient, and, as data, of all pictures [B, 4 or 5, H, W]."""
        # Only the left eye's pictures train the tower; the others are similar and would double the cost.
        live = self.masks(pictures[:, LEFT_1:TARGET:2])
        others = self.masks(jnp.concatenate([pictures[:, RIGHT_1:TARGET:2], pictures[:, TARGET:]], axis=1))
        pairs = jnp.stack([live, others[:, :2]], axis=2).reshape(len(live), TARGET, *live.shape[2:])
        return live, jax.lax.stop_gradient(jnp.concatenate([pairs, others[:, 2:]], axis=1))

    def sight(self, pictures: jax.Array, para: jax.Array, window: jax.Array | None = None) -> Sighting:
        """Sightings, as data, in `pictures` float32 [B, P, H, W, 3] by the cameras of `para` [B, P, 6]."""
        return self._locate(self.masks(pictures), pictures, para, window)

    def _locate(self, mask: jax.Array, pictures: jax.Array, para: jax.Array, window: jax.Array | None) -> Sighting:
        _, rotation = camera_poses(para)
        # The tower is trained by its own loss only (`mask_tower.swap_loss`): no error of the law may move a sighting.
        fixed = jax.lax.stop_gradient(mask)
        share = coverage(fixed, pictures) if self.matting else fixed
        lens = self.lens(mask.shape[-2], mask.shape[-1], window)
        sighting = locate(share, rotation, lens)
        if self.outline:
            sighting = fit_outline(share, sighting, rotation, lens)
        return jax.lax.stop_gradient(sighting)

    def sight_close(self, pictures: jax.Array, factor: int) -> Sighting:
        """Sightings, in their cameras' axes, of the one large object in whole `pictures` float32 [N, H, W, 3].

        The tower sees them `factor` (a power of two) times smaller, so that the object has the size it was trained on;
        matting returns its mask to full size. The centroid is used, not the outline: it averages over all pixels of a
        rim that is hundreds of pixels long.
        """
        mask = jax.nn.sigmoid(self.tower(shrink(pictures, factor)))
        # The tower is trained with one colour per object and gives a highlight half a mask. Half a mask must be enough,
        # or the object has a hole. The background has almost none, and matting determines the rim.
        share = coverage_through_scales(1.0 - (1.0 - mask) ** 2, pictures)
        return locate(share, jnp.eye(3), intrinsics_for(*pictures.shape[1:3]))
