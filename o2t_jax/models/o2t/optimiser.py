"""O2T's optimiser: AdamW for the network; own groups for the law (g0, height term, force) and the mask tower."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import optax

from o2t_jax.models.flat_adam import flat_adam

NETWORK, TOWER, G0, ALPHA, FORCE = "network", "tower", "g0", "alpha", "force"
G0_DECAY = 0.002  # of its rate over the run


class Rates(NamedTuple):
    """Peak learning rates and the network's regularisation; None for a law rate trains it with the network."""

    network: float
    weight_decay: float
    clip: float
    tower: float | None = None
    g0: float | None = None
    alpha: float | None = None
    force: float | None = None


def schedule(rate: float, train_steps: int, hold: float = 0.0) -> optax.Schedule:
    """`rate` for the first `hold` share of the run, then a cosine to zero at its end."""
    held = int(hold * train_steps)
    cosine = optax.cosine_decay_schedule(rate, max(train_steps - held, 1))
    return optax.join_schedules([optax.constant_schedule(rate), cosine], [held]) if held else cosine


def _adam(rate: optax.Schedule, b1: float = 0.9, b2: float = 0.999) -> optax.GradientTransformation:
    # No decay: zero is no likelier than any other law. Its own clip: a picture's gradient must not scale the law's.
    return optax.chain(flat_adam(1.0, b1, b2), optax.scale_by_learning_rate(rate))


def group_of(path: Any) -> str:
    """The group of the parameter at a key path of JAX: tower, g0, alpha, force or network."""
    names = [str(getattr(entry, "key", entry)) for entry in path]
    if names[0] == "tower":
        return TOWER
    if names[0] == "layer" and names[1] in ("g0", "alpha", "gravity_mlp"):
        return G0 if names[1] == "g0" else ALPHA
    if names[:2] == ["layer", "force"]:
        return FORCE
    return NETWORK


def make_optimiser(rates: Rates, train_steps: int) -> optax.GradientTransformation:
    """AdamW with a cosine to the run's end and gradient clipping for the network (the guide's recipe).

    The mask tower, g0 and alpha have Adam of their own where their rate is set. With g0 in the network's group at rate
    1e-4 it can move by about the sum of the rates, 2.5 m/s^2 in 50,000 steps.
    """
    # The decay is not flattened: the parameters would have to be joined for it.
    network = optax.chain(
        flat_adam(rates.clip),
        optax.add_decayed_weights(rates.weight_decay),
        optax.scale_by_learning_rate(schedule(rates.network, train_steps)),
    )
    groups = {NETWORK: network}
    if rates.tower is not None:
        groups[TOWER] = _adam(schedule(rates.tower, train_steps))
    if rates.alpha is not None:
        groups[ALPHA] = _adam(schedule(rates.alpha, train_steps, hold=0.4))
    if rates.g0 is not None:
        # Large steps first, then a long average: a strong gravity is a hundred steps of the first rate away, and a weak
        # one must be found to a hundredth. A short memory forgets how steep the loss was far from the law.
        decay = optax.exponential_decay(rates.g0, train_steps, G0_DECAY)
        groups[G0] = _adam(decay, b1=0.8, b2=0.98)
    if rates.force is not None:
        decay = optax.exponential_decay(rates.force, train_steps, G0_DECAY)
        groups[FORCE] = _adam(decay, b1=0.8, b2=0.98)

    def label(path: Any, leaf: Any) -> str:
        del leaf
        group = group_of(path)
        return group if group in groups else NETWORK

    def labels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(label, params)

    return optax.multi_transform(groups, labels)
