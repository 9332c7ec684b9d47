"""The law read off a trained model of `dynamics`: the form from its field, the parameters from its data.

The data are noisy sequences of the training split that the seed's training drew from, with noise of their own. Where
bodies come near each other an integrated trajectory magnifies noise beyond use: sequences with a distance below
`NEAREST` are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.config import Config
from o2t_jax.data.stored import open_set
from o2t_jax.data.windows import Windows
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.dynamics.law.decision import decide
from o2t_jax.evaluation.dynamics.law.form import read_form
from o2t_jax.evaluation.dynamics.law.readout import readout
from o2t_jax.evaluation.dynamics.law.shooting import Observed
from o2t_jax.evaluation.dynamics.law.terms import kind_of, nearest_approach
from o2t_jax.evaluation.dynamics.law.worlds import LAWS
from o2t_jax.models.cores import VectorCore
from o2t_jax.models.cores.ode import OdeCore
from o2t_jax.physics.environment import Environment
from o2t_jax.types import PyTree

SEQUENCES = 120  # of the training split
STEPS = 30  # at most, of each
NEAREST = 1.0  # m, between bodies in the plane
Field = Callable[[Any, Any], np.ndarray]


class Model(Protocol):
    """What the read-out needs of the system."""

    config: Config
    env: Environment
    dts: tuple[float, ...]
    windows: Windows
    core: VectorCore


def field_of(system: Model, params: PyTree) -> Field:
    """field(states [N, D], actions [N, A]) -> rates [N, D]: the trained model's.

    Parameters that vary are at the middle of their ranges. A model that is no equation gives the change in a step over
    dt, which is the rate to first order only.
    """
    core, dt = system.core, system.dts[0]
    names = len(system.env.ranges)
    size = {"none": 0, "known": names, "inferred": system.config.context_size}[system.config.context]

    @jax.jit
    def field(states: Any, actions: Any) -> jax.Array:
        context = jnp.zeros((len(states), size)) if size else None
        if isinstance(core, OdeCore):
            return core.apply({"params": params["core"]}, states, actions, context, method="rate")  # type: ignore[return-value]
        after = core.apply({"params": params["core"]}, core.begin(states), actions, dt, context)
        return (core.seen(after) - states) / dt  # type: ignore[arg-type]

    return lambda states, actions: np.asarray(field(jnp.float32(states), jnp.float32(actions)), np.float64)


def data_of(system: Model, seed: int) -> tuple[Observed, np.ndarray]:
    """Noisy sequences of the training split, or of the stored set; the noise is drawn anew.

    Returns: the data; the indices [S] of those that were kept. Raises: UsageError where too few are left.
    """
    sequences, dt = system.windows.data, system.dts[0]
    count = system.config.n_seqs or SEQUENCES * (3 if kind_of(system.env.layout) == "planar" else 1)
    if system.config.dataset:
        with open_set(system.config.dataset) as stored:
            count = min(count, stored.size("train"))
            made = stored.read("train", np.arange(count))
    else:
        made = sequences.batch("train", np.arange(count), seed)
    steps = min(STEPS, sequences.steps)
    clean = np.asarray(made["states"], np.float64)[:, : steps + 1]
    noise = np.random.default_rng((seed, 7)).standard_normal(clean.shape)
    states, actions = clean + system.config.noise * noise, np.asarray(made["actions"], np.float64)[:, :steps]
    apart = nearest_approach(system.env.layout, states) >= NEAREST
    keep = np.flatnonzero(apart & np.isclose(np.asarray(made["dt"]), dt))[:SEQUENCES]
    if len(keep) < 4:
        raise UsageError(
            f"{len(keep)} of {count} sequences of {system.env.name} are usable: set --config.n_seqs higher"
        )
    return Observed.of(states[keep], actions[keep], dt), keep


def law_of(system: Model, params: PyTree, seed: int) -> dict[str, Any]:
    """The read-out of a law as JSON types; see `evaluation.dynamics.law.readout`."""
    data, _ = data_of(system, seed)
    layout, law = system.env.layout, LAWS.get(system.env.name)
    form = read_form(field_of(system, params), data.states[:, :-1], data.actions, layout)
    varying = [term for name, term in (law.varying if law else ()) if name in system.env.ranges]
    whole = law.whole if law else None
    noise = system.config.noise or None
    decision = decide(data, layout, form, noise=noise, varying=varying, whole=whole)
    return readout(decision, layout, world=system.env.name, params=system.env.params)


__all__ = ["data_of", "field_of", "law_of"]
