"""The O2T loss: pictures for the network, point-to-ray distances for the law. It uses only pictures, cameras and times.

- picture: w (0.7 MSE + 0.3 L1) on the target (O2T guide, 'Training'); w is 1, or larger where the target differs from
  the first picture (`motion_weight`). L1 is smoothed within half a grey level: where the background is composed, most
  errors are rounding, and their sign would make the gradient differ between machines.
- swap: trains the mask tower on the left eye's inputs (`mask_tower.swap_loss`).
- law: the physics branch's predicted position must lie on the ray to the ball that the tower sees in the *target*
  picture. The distance is in metres (a pixel residual times depth), so that near and far balls have equal weight and
  noisy depths bias g0 less. It is a Huber loss, so that the gradient of a wrong sighting is bounded.
- departure: the NN branch's contribution to used slots; alpha: L2 on the height term's weights.

Every term is a mean over samples of a per-sample number: micro-batches and devices average to the same value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.geometry.para import FUTURE, MODES, TARGET
from o2t_jax.models.o2t.mask_tower import swap_loss
from o2t_jax.models.o2t.network import O2TModel, Outputs
from o2t_jax.models.o2t.phys_layer import HEIGHT_BINS, height_counts
from o2t_jax.models.o2t.stereo import camera_poses
from o2t_jax.physics.forces import FORCES, NONE

MSE_SHARE, L1_SHARE = 0.7, 0.3
HALF_GREY = 0.5 / 255.0


class LossWeights(NamedTuple):
    """Weights of the terms (see the module's docstring); `huber` in m; `alpha_start` a share of the run.

    `visited_rate`: share of a step in the running histogram of heights.
    """

    swap: float
    law: float
    departure: float
    alpha: float
    huber: float
    motion: float
    alpha_start: float
    visited_rate: float


def initial_extra() -> dict[str, jax.Array]:
    """The state's collections without gradient: the visited heights (`phys_layer.bin_centres`)."""
    return {"visited": jnp.zeros((HEIGHT_BINS,), jnp.float32)}


def to_float(pictures: jax.Array) -> jax.Array:
    """uint8 -> float32 in 0..1."""
    return pictures.astype(jnp.float32) * (1.0 / 255.0)


def picture_loss(prediction: jax.Array, target: jax.Array, first: jax.Array, motion: float) -> jax.Array:
    """[B]: weighted 0.7 MSE + 0.3 L1 (smoothed) over pixels and channels; weights have mean one per sample."""
    error = prediction - target
    absolute = huber(jnp.abs(error), HALF_GREY) / HALF_GREY
    per_pixel = jnp.mean(MSE_SHARE * jnp.square(error) + L1_SHARE * absolute, axis=-1)
    if motion <= 0.0:
        return jnp.mean(per_pixel, axis=(1, 2))
    weight = 1.0 + motion * jnp.clip(2.0 * jnp.sum(jnp.abs(target - first), axis=-1), 0.0, 1.0)
    return jnp.sum(weight * per_pixel, axis=(1, 2)) / jnp.sum(weight, axis=(1, 2))


def ray_distance(points: jax.Array, origin: jax.Array, direction: jax.Array) -> jax.Array:
    """Distance [...] in m of `points` [..., 3] from the rays (`origin`, unit `direction`) [..., 3]."""
    offset = points - origin
    across = offset - direction * jnp.sum(offset * direction, axis=-1, keepdims=True)
    return jnp.sqrt(jnp.sum(across * across, axis=-1) + 1e-12)


def huber(distance: jax.Array, delta: float) -> jax.Array:
    """Quadratic up to `delta`, linear with slope `delta` beyond."""
    inside = jnp.minimum(distance, delta)
    return 0.5 * inside**2 + delta * (distance - inside)


def law_loss(batch: Any, outputs: Outputs, delta: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Deviation of the predicted positions from the target's sighting: Huber loss, 0/1 weight, distance in m; each [B].

    The weight is 1 for FUTURE samples in which every slot was seen in all five pictures. The sighting has no gradient.
    """
    assert outputs.measured is not None
    sighting = outputs.measured.target
    origin, _ = camera_poses(batch["para"][:, TARGET:])
    distance = ray_distance(outputs.measured.predicted[:, 0], origin[:, 0], sighting.direction[:, 0])
    present = outputs.measured.slots.present[:, 0] * sighting.seen[:, 0]
    weight = present * (batch["mode"] == FUTURE)
    return huber(distance, delta) * weight, weight, distance


def make_loss(model: O2TModel, weights: LossWeights, train_steps: int) -> Any:
    """Builds `loss(params, extra, batch, step) -> (loss, (metrics, heights))`.

    `metrics`: see `o2t_jax.training.contract.LossFn`. `heights`: the arguments of `visit` as sums over the batch,
    {"heights": [HEIGHT_BINS], "samples": []}; empty in the free gauge.
    """

    def loss(params: Any, extra: Any, batch: Any, step: jax.Array) -> Any:
        if model.gauge == "camera":
            params = _hold_alpha(params, step >= weights.alpha_start * train_steps)
        pictures = to_float(batch["pictures"])
        outputs = model.apply(
            {"params": params},
            pictures,
            batch["para"],
            batch["k"],
            batch["n"],
            extra["visited"],
            batch.get("window"),
        )
        picture = picture_loss(outputs.prediction, pictures[:, TARGET], pictures[:, 0], weights.motion)
        total = jnp.mean(picture)
        metrics = {"picture_loss": total, **_by_mode("loss", picture, batch["mode"])}
        visits = {}
        layer = params["layer"]
        metrics["g0"] = layer["g0"]
        if model.force != NONE.name:
            metrics |= dict(zip(FORCES[model.force].names, layer["force"], strict=True))
        if outputs.measured is not None:
            left = pictures[:, :TARGET:2]
            # The same camera's view at other times if the samples contain it, else its other picture.
            others = to_float(batch["backgrounds"])[:, :TARGET:2] if "backgrounds" in batch else left[:, ::-1]
            swap = swap_loss(outputs.measured.mask, left, others)
            law, seen, distance = law_loss(batch, outputs, weights.huber)
            departure = jnp.mean(outputs.measured.departure)
            total = total + weights.swap * jnp.mean(swap) + weights.law * jnp.mean(law)
            total = total + weights.departure * departure
            total = total + weights.alpha * jnp.sum(jnp.square(layer["alpha"]))
            visits = {"heights": _heights(outputs, seen), "samples": jnp.float32(len(picture))}
            metrics |= {
                "swap_loss": jnp.mean(swap),
                "law_loss": (jnp.sum(law), jnp.sum(seen)),
                "law_distance_m": (jnp.sum(distance * seen), jnp.sum(seen)),
                "present": jnp.mean(outputs.measured.slots.present),
                "nn_departure": departure,
            }
        metrics["loss"] = total
        return total, (metrics, visits)

    return loss


def _hold_alpha(params: Any, active: jax.Array) -> Any:
    layer = dict(params["layer"])
    # Held at its value (zero in a new run), so that the trained law is also the one that is read out.
    layer["alpha"] = jnp.where(active, layer["alpha"], jax.lax.stop_gradient(layer["alpha"]))
    return {**params, "layer": layer}


def _by_mode(name: str, values: jax.Array, mode: jax.Array) -> dict[str, tuple[jax.Array, jax.Array]]:
    chosen = {label: (mode == i).astype(jnp.float32) for i, label in enumerate(MODES)}
    return {f"{name}_{label}": (jnp.sum(values * m), jnp.sum(m)) for label, m in chosen.items()}


def _heights(outputs: Outputs, seen: jax.Array) -> jax.Array:
    """[HEIGHT_BINS]: counts of the heights at t1, t2 and the target, over the samples that train the law."""
    assert outputs.measured is not None
    measured = outputs.measured
    heights = jnp.stack([measured.slots.first[..., 2], measured.slots.second[..., 2], measured.predicted[..., 2]])
    weight = jnp.broadcast_to(measured.slots.present * seen[:, None], heights.shape)
    heights, weight = jax.lax.stop_gradient((heights, weight))
    return height_counts(heights.reshape(-1), weight.reshape(-1))


def visit(visited: Any, heights: Any, samples: Any, rate: float) -> jax.Array:
    """Moving average of the height counts per sample. It is linear in them, so it is normalised only where used."""
    return (1.0 - rate) * visited + rate * heights / samples
