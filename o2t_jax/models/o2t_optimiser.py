"""O2T's optimiser: the network by AdamW; g0, alpha and the mask tower in groups of their own.

The height MLP of a(z) trains with the network: alpha scales it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import optax

NETWORK, TOWER, G0, ALPHA = "network", "tower", "g0", "alpha"


class Rates(NamedTuple):
    """Peak learning rates and the network's regularisation; None for a law rate trains it with the network."""

    network: float
    weight_decay: float
    clip: float
    tower: float | None = None
    g0: float | None = None
    alpha: float | None = None


def schedule(rate: float, train_steps: int, hold: float = 0.0) -> optax.Schedule:
    """`rate` for the first `hold` share of the run, then a cosine to zero at its end."""
    held = int(hold * train_steps)
    cosine = optax.cosine_decay_schedule(rate, max(train_steps - held, 1))
    return optax.join_schedules([optax.constant_schedule(rate), cosine], [held]) if held else cosine


def _adam(rate: float, train_steps: int, hold: float) -> optax.GradientTransformation:
    # No decay: zero is not a likelier law than any other. Its own clip: a picture's gradient must not scale the law's.
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule(rate, train_steps, hold)))


def make_optimiser(rates: Rates, train_steps: int) -> optax.GradientTransformation:
    """AdamW with a cosine to the run's end and gradient clipping for the network (the guide's recipe).

    The mask tower, g0 and alpha have Adam of their own where their rate is set. With g0 in the network's group at rate
    1e-4 it can move by about the sum of the rates, 2.5 m/s^2 in 50,000 steps.
    """
    network = optax.chain(
        optax.clip_by_global_norm(rates.clip),
        optax.adamw(schedule(rates.network, train_steps), weight_decay=rates.weight_decay),
    )
    groups = {NETWORK: network}
    own = {TOWER: (rates.tower, 0.0), G0: (rates.g0, 0.4), ALPHA: (rates.alpha, 0.4)}
    for name, (rate, hold) in own.items():
        if rate is not None:
            groups[name] = _adam(rate, train_steps, hold)

    def label(path: Any, leaf: Any) -> str:
        del leaf
        names = [str(getattr(entry, "key", entry)) for entry in path]
        if names[0] == "tower" and TOWER in groups:
            return TOWER
        if names[0] == "layer" and names[1] in groups:
            return names[1]
        return NETWORK

    def labels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(label, params)

    return optax.multi_transform(groups, labels)
