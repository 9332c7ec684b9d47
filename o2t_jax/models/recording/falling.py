"""What a film's object does next: frames -> state -> Newton's mechanics, with the law in the weights -> a picture.

The tower sees the object in K frames; its place and velocity follow by least squares along the law's own path; the
layer moves them on to the target's time; the object of the input frames is laid over the background there. Lengths are
in heights of the picture (right, up), times in units that the data choose: numbers of order one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from o2t_jax.models.cores import unroll
from o2t_jax.models.o2t.loss import huber
from o2t_jax.models.o2t.mask_tower import swap_loss
from o2t_jax.models.o2t.matting import gaussian_blur
from o2t_jax.models.recording.swapping import FilmTower, centres, moved, object_swap

ROUNDS = 3  # of least squares; two are exact without drag
LEAST_AREA = 2.0  # px of a mask that is seen
START = 3.0  # of the tower's logits
BLUR = 2.0  # px, over which the change is added up for its peak
SURE = (0.2, 0.8)  # of the mask, below and above which it counts as 0 and 1


class Motion(NamedTuple):
    """`place` and `speed` [B, 2], right and up."""

    place: jax.Array
    speed: jax.Array


class Seen(NamedTuple):
    """`mask` [B, K, H, W] in 0..1, `place` [B, K, 2] heights (right, up), `seen` [B, K] 0 or 1; of JAX or numpy."""

    mask: Any
    place: Any
    seen: Any


class LawLayer(nn.Module):
    """r'' = gravity - drag |r'| r'. The weights are the law; all start at zero. One `lax.scan` of midpoint steps."""

    steps: int
    drag: bool

    @nn.compact
    def __call__(self, start: Motion, elapsed: Float[Array, " batch"]) -> Motion:
        """The motion `elapsed` later (it may be negative)."""
        gravity = self.param("gravity", nn.initializers.zeros, (2,))
        drag = self.param("drag", nn.initializers.zeros, ()) if self.drag else 0.0

        def pull(speed: jax.Array) -> jax.Array:
            norm = jnp.sqrt(jnp.sum(jnp.square(speed), axis=-1, keepdims=True) + 1e-12)
            return gravity - drag * norm * speed

        def step(now: Motion, action: None, dt: Any, context: None) -> Motion:
            middle = now.speed + 0.5 * dt * pull(now.speed)
            return Motion(now.place + dt * middle, now.speed + dt * pull(middle))

        return unroll(step, start, None, elapsed[:, None] / self.steps, steps=self.steps)[0]


class FilmModel(nn.Module):
    """See the module. `steps` of a flight; `drag`, whether there may be any; `reach` px, within which of the place that
    differs most from the background the one object lies: what else moves, or flickers, is not it."""

    features: int
    steps: int
    drag: bool
    reach: float

    def setup(self) -> None:
        self.tower = FilmTower(self.features, START)
        self.layer = LawLayer(self.steps, self.drag)

    def see(self, frames: Float[Array, "B K H W 3"], still: Float[Array, "H W 3"]) -> Seen:
        """What the tower sees in each frame, by itself."""
        b, k, h, w, _ = frames.shape
        flat = frames.reshape(b * k, h, w, 3)
        mask = self.tower(flat, jnp.broadcast_to(still, flat.shape))
        mask = mask * self._near(jax.lax.stop_gradient(mask * jnp.sum(jnp.square(flat - still), axis=-1)))
        sure = jnp.clip((mask - SURE[0]) / (SURE[1] - SURE[0]), 0.0, 1.0)
        place = centres(sure).reshape(b, k, 2) * jnp.array([1.0, -1.0]) / h
        mask = mask.reshape(b, k, h, w)
        return Seen(mask, place, (jnp.sum(sure, axis=(1, 2)) > LEAST_AREA).astype(mask.dtype).reshape(b, k))

    def _near(self, change: Float[Array, "N H W"]) -> Float[Array, "N H W"]:
        """Weights 1 near the peak of `change`, falling to 0 at `reach`."""
        _, h, w = change.shape
        peak = jnp.argmax(gaussian_blur(change, BLUR).reshape(len(change), -1), axis=1)[:, None, None]
        away = jnp.hypot(jnp.arange(w) - peak % w, jnp.arange(h)[:, None] - peak // w)
        return jnp.clip((1.0 - away / self.reach) / 0.25, 0.0, 1.0)

    def motion(self, place: Float[Array, "B K 2"], times: Float[Array, "B K"]) -> Motion:
        """Place and speed at the last of `times`: the path of the law that is nearest to the places."""
        b, k, _ = place.shape
        since = times - times[:, -1:]
        middle = jnp.mean(since, axis=1, keepdims=True)
        away = since - middle
        found = Motion(jnp.zeros((b, 2)), jnp.zeros((b, 2)))
        for _ in range(ROUNDS):
            each = jax.tree.map(lambda x: jnp.repeat(x, k, axis=0), found)
            left = place - self.layer(each, since.reshape(-1)).place.reshape(b, k, 2)
            slope = jnp.einsum("bk,bkc->bc", away, left) / jnp.sum(jnp.square(away), axis=1)[:, None]
            found = Motion(found.place + jnp.mean(left, axis=1) - slope * middle, found.speed + slope)
        return found

    def later(self, seen: Seen, times: Float[Array, "B K"], target: Float[Array, " B"]) -> Float[Array, "B 2"]:
        """The place at the time `target`."""
        return self.layer(self.motion(seen.place, times), target - times[:, -1]).place

    def __call__(
        self, frames: Float[Array, "B K H W 3"], still: Float[Array, "H W 3"], times: Any
    ) -> tuple[Float[Array, "B H W 3"], Seen, Float[Array, "B 2"]]:
        """The picture at the last of `times` [B, K + 1], what was seen in the K `frames`, and the predicted place."""
        seen = self.see(frames, still)
        place = self.later(seen, times[:, :-1], times[:, -1])
        return lay(frames, seen, still, place), seen, place


def lay(
    frames: Float[Array, "B K H W 3"], seen: Seen, still: Float[Array, "H W 3"], place: Float[Array, "B 2"]
) -> Float[Array, "B H W 3"]:
    """The background with the object at `place`: the mean of the masked object over the K frames, each moved there."""
    b, k, h, w, _ = frames.shape
    shift = (place[:, None] - seen.place) * h * jnp.array([1.0, -1.0])
    mask = seen.mask[..., None]
    layers = jnp.concatenate([frames * mask, mask], axis=-1).reshape(b * k, h, w, 4)
    # What is moved in from beyond the border is background.
    inside = jnp.pad(layers, ((0, 0), (1, 1), (1, 1), (0, 0)))
    placed = moved(inside, shift.reshape(-1, 2))[:, 1:-1, 1:-1].reshape(b, k, h, w, 4).mean(axis=1)
    return still * (1.0 - placed[..., 3:]) + placed[..., :3]


class Weights(NamedTuple):
    """Of the loss's terms; `huber`, heights, from which a distance counts linearly."""

    swap: float
    law: float
    area: float
    huber: float


def losses(
    model: FilmModel, weights: Weights, params: Any, frames: Any, still: Any, times: Any, share: Any
) -> tuple[Float[Array, " B"], dict[str, Float[Array, " B"]]]:
    """The loss of each sample and its parts.

    Args: `frames` [B, K + 1, H, W, 3] in 0..1, the target last; `times` [B, K + 1]; `share` [] of the training that is
    done. Masks are learned by swaps: first by one colour each, then by the object of another frame (`swapping`). The
    law is learned by the distance of the predicted place from where the tower sees the object in the target, as in O2T:
    no gradient passes into what is seen. The picture's error trains all.
    """
    run = lambda method, *args: model.apply({"params": params}, *args, method=method)  # noqa: E731
    b, k = times.shape[0], times.shape[1] - 1
    h, w = frames.shape[2:4]
    seen = run("see", frames, still)
    inputs = Seen(*(x[:, :k] for x in seen))
    known = jnp.prod(seen.seen, axis=1)
    scale = jnp.mean(jnp.square(frames - still)) + 1e-7
    late = jnp.clip(4.0 * share - 1.0, 0.0, 1.0)

    place = run("later", inputs, times[:, :k], times[:, k])
    picture = jnp.mean(jnp.square(lay(frames[:, :k], inputs, still, place) - frames[:, k]), axis=(1, 2, 3)) * known
    behind = jnp.broadcast_to(still, frames.shape)
    one = swap_loss(seen.mask, frames, behind)
    flat = frames.reshape(b * (k + 1), h, w, 3)
    mask = seen.mask.reshape(-1, h, w)
    others = tuple(jnp.roll(x, 1, axis=1).reshape(flat.shape[:1] + x.shape[2:]) for x in (seen.mask, frames))
    swap = object_swap(mask, flat, others, behind.reshape(flat.shape), jnp.ones((h, w)))  # type: ignore[arg-type]
    swap = jnp.mean(swap.reshape(b, k + 1), axis=1)
    cost = jnp.mean(seen.mask, axis=(1, 2, 3))

    stopped = jax.lax.stop_gradient(seen)
    there = run("later", Seen(*(x[:, :k] for x in stopped)), times[:, :k], times[:, k])
    miss = jnp.sqrt(jnp.sum(jnp.square(there - stopped.place[:, k]), axis=-1) + 1e-12)
    law = huber(miss, weights.huber) / weights.huber * known
    total = (weights.swap * ((1.0 - late) * one + late * swap) + late * picture) / scale
    total = total + weights.area * cost + weights.law * late * law
    parts = {"picture": picture / scale, "swap": swap / scale, "law": law, "miss": miss * known, "seen": known}
    return total, parts


__all__ = ["FilmModel", "LawLayer", "Motion", "Seen", "Weights", "lay", "losses"]
