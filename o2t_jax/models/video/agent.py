"""Actor and critic over the world model's memory and latents, and what they learn from in a dream: pure functions.

Source: Hafner et al. 2023 (lambda-returns, a critic whose running mean gives the targets, returns scaled by running
percentiles, entropy). The gradient of an actor of any push comes through the dream (Hafner et al. 2020); that of an
actor of two pushes, which has none there, from log-probabilities (Williams 1992).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from o2t_jax.models.video.model import State
from o2t_jax.models.video.vision import Pooled
from o2t_jax.types import Array, PyTree

_LOW, _HIGH, _START = -4.0, 0.7, 1.0  # logarithm of the policy's standard deviation: its limits, and where it starts
_MOST = 2.5  # of the mean before the hyperbolic tangent: a policy that is saturated has no gradient to come back by
S = TypeVar("S")


class Policy(NamedTuple):
    """A Gaussian before the hyperbolic tangent: `mean`, `log_std` [..., A]."""

    mean: Array
    log_std: Array


class Actor(nn.Module):
    """Memory and latents -> a policy. Attribute: `actions`, numbers of a push."""

    actions: int

    @nn.compact
    def __call__(self, state: State) -> Policy:
        """Of states [B] -> [B, A]."""
        found = Pooled(2 * self.actions, name="pooled")(jnp.concatenate(state, axis=-1))
        mean, spread = jnp.split(found, 2, axis=-1)
        return Policy(_MOST * jnp.tanh(mean / _MOST), _LOW + (_HIGH - _LOW) * nn.sigmoid(spread + _START))


class Critic(nn.Module):
    """Memory and latents -> the return that the policy gets from there."""

    @nn.compact
    def __call__(self, state: State) -> jax.Array:
        """Of states [B] -> [B]."""
        return Pooled(1, name="pooled")(jnp.concatenate(state, axis=-1))[:, 0]


class Drawn(NamedTuple):
    """`push` [..., A], its `log_prob` [...], the `entropy` [...] of what it was drawn from or an estimate of it."""

    push: jax.Array
    log_prob: jax.Array
    entropy: jax.Array


def drawn(policy: Policy, noise: Float[Array, "*batch actions"]) -> Drawn:
    """A push in (-1, 1) from standard normal noise; differentiable in all."""
    before = policy.mean + jnp.exp(policy.log_std) * noise
    push = jnp.tanh(before)
    normal = -0.5 * jnp.square(noise) - policy.log_std - 0.5 * math.log(2.0 * math.pi)
    # log(1 - tanh^2), which does not overflow.
    squeeze = 2.0 * (math.log(2.0) - before - jax.nn.softplus(-2.0 * before))
    log_prob = jnp.sum(normal - squeeze, axis=-1)
    return Drawn(push, log_prob, -log_prob)


def drawn_sign(policy: Policy, noise: Float[Array, "*batch actions"]) -> Drawn:
    """A push of (1, 0, ...) or (-1, 0, ...): the first with the probability sigmoid(2 mean). The push has no
    gradient."""
    logit = 2.0 * policy.mean[..., 0]
    right = jax.scipy.stats.norm.cdf(noise[..., 0]) < jax.nn.sigmoid(logit)
    sign = jnp.where(right, 1.0, -1.0)
    return Drawn(one_sided(sign, noise.shape[-1]), jax.nn.log_sigmoid(sign * logit), _entropy(logit))


def one_sided(sign: Float[Array, "*batch"], actions: int) -> jax.Array:
    """Pushes [..., A] whose first number is `sign`, the others 0."""
    return jnp.pad(jnp.asarray(sign)[..., None], [(0, 0)] * jnp.ndim(sign) + [(0, actions - 1)])


def _entropy(logit: jax.Array) -> jax.Array:
    """Of a choice of two."""
    return jax.nn.softplus(logit) - logit * jax.nn.sigmoid(logit)


def lambda_returns(
    rewards: Float[Array, "batch steps"],
    continues: Float[Array, "batch steps"],
    values: Float[Array, "batch steps"],
    gamma: float,
    lam: float,
) -> jax.Array:
    """Returns [B, H] of the states before each step.

    Step k comes to a state with reward r_k, probability c_k to go on, and value v_k:
    R_k = r_k + gamma c_k ((1 - lam) v_k + lam R_{k+1}), where R_H = v_{H-1} (Sutton & Barto 2018, eq. 12.20).
    """
    rewards, continues, values = jnp.asarray(rewards), jnp.asarray(continues), jnp.asarray(values)
    after, found = values[:, -1], []
    for k in reversed(range(rewards.shape[1])):
        after = rewards[:, k] + gamma * continues[:, k] * ((1.0 - lam) * values[:, k] + lam * after)
        found.append(after)
    return jnp.stack(found[::-1], axis=1)


class Dream(NamedTuple):
    """H steps: `states` [B, H + 1, ...]; `rewards`, `continues` of the states come to, `log_probs` of pushes and
    `entropies` [B, H]."""

    states: State
    rewards: jax.Array
    continues: jax.Array
    log_probs: jax.Array
    entropies: jax.Array


def imagine(
    step: Callable[[S, jax.Array], tuple[S, jax.Array, jax.Array]],
    seen: Callable[[S], State],
    act: Callable[[State], Policy],
    start: S,
    noise: Float[Array, "batch steps actions"],
    draw: Callable[[Policy, jax.Array], Drawn] = drawn,
) -> Dream:
    """Acts H times from `start`, without a loop in the program (see `model.follow`).

    Args: `step(where, push) -> (where, reward [B], continues [B])`, a world model or a simulator; `seen(where)`, what
    the policy sees of it; `draw`, `drawn` or `drawn_sign`.
    """
    where, states, tracks = start, [seen(start)], []
    for k in range(noise.shape[1]):
        push, log_prob, entropy = draw(act(states[-1]), noise[:, k])
        where, reward, on = step(where, push)
        states.append(seen(where))
        tracks.append((reward, on, log_prob, entropy))
    joined = (jnp.stack(track, axis=1) for track in zip(*tracks, strict=True))
    return Dream(State(*(jnp.stack(parts, axis=1) for parts in zip(*states, strict=True))), *joined)


class Losses(NamedTuple):
    """Of each dream [B]: `actor`, `critic`; `returns` [B, H], without gradient; `entropy` [B]."""

    actor: jax.Array
    critic: jax.Array
    returns: jax.Array
    entropy: jax.Array


def losses(
    dream: Dream,
    value: Callable[[PyTree, State], jax.Array],
    critic: PyTree,
    target: PyTree,
    spread: Array,
    gamma: float,
    lam: float,
    entropy: float,
    through: bool = True,
) -> Losses:
    """What actor and critic learn from dreams.

    Args: `value(parameters, states [N]) -> [N]`; `critic`, `target`, parameters of the critic and their running mean;
    `spread` [], of the returns, at least 1; `through`, whether the actor's gradient comes through the dream, or from
    the log-probability of a push and how much better than the critic's value it was. The actor's loss has no gradient
    for the critic, nor the other way round.
    """
    b, steps = dream.rewards.shape
    flat = lambda states: State(*(x.reshape(-1, *x.shape[2:]) for x in states))  # noqa: E731
    values = value(target, flat(State(*(x[:, 1:] for x in dream.states)))).reshape(b, steps)
    returns = lambda_returns(dream.rewards, dream.continues, values, gamma, lam)
    there = jnp.cumprod(gamma * dream.continues, axis=1)
    # How much of a dream is left at each step: what comes after its end counts for nothing.
    weight = jax.lax.stop_gradient(jnp.concatenate([jnp.ones((b, 1)), there[:, :-1]], axis=1))
    still = jax.lax.stop_gradient(State(*(x[:, :-1] for x in dream.states)))
    wanted = jax.lax.stop_gradient(returns)
    missed = value(critic, flat(still)).reshape(b, steps) - wanted
    better = returns if through else -jax.lax.stop_gradient(missed) * dream.log_probs
    actor = -weight * (better / spread + entropy * dream.entropies)
    return Losses(
        jnp.mean(actor, axis=1),
        jnp.mean(weight * jnp.square(missed), axis=1),
        wanted,
        jnp.mean(jax.lax.stop_gradient(dream.entropies), axis=1),
    )


__all__ = [
    "Actor",
    "Critic",
    "Drawn",
    "Dream",
    "Losses",
    "Policy",
    "drawn",
    "drawn_sign",
    "imagine",
    "lambda_returns",
    "losses",
    "one_sided",
]
