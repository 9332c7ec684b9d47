"""Actor and critic: returns by hand, densities that are ones, gradients that go where they should."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from o2t_jax.models.video.agent import Critic, Dream, Policy, drawn, drawn_sign, imagine, lambda_returns, losses
from o2t_jax.models.video.model import State

GAMMA, LAM = 0.9, 0.8


def test_lambda_returns_are_those_of_a_computation_by_hand() -> None:
    rewards, goes_on, values = (np.array([x]) for x in ((1.0, 2.0, 3.0), (1.0, 0.5, 1.0), (4.0, 5.0, 6.0)))
    third = 3.0 + 0.9 * 6.0
    second = 2.0 + 0.9 * 0.5 * (0.2 * 5.0 + 0.8 * third)
    first = 1.0 + 0.9 * (0.2 * 4.0 + 0.8 * second)
    np.testing.assert_allclose(lambda_returns(rewards, goes_on, values, GAMMA, LAM)[0], [first, second, third])


def test_limits_of_lambda_are_one_step_and_the_whole_sum() -> None:
    random = np.random.default_rng(0)
    rewards, values = random.normal(size=(2, 4, 5))
    goes_on = np.ones((4, 5))
    np.testing.assert_allclose(
        lambda_returns(rewards, goes_on, values, GAMMA, 0.0), rewards + GAMMA * values, rtol=1e-5
    )
    whole = sum(GAMMA**k * rewards[:, k] for k in range(5)) + GAMMA**5 * values[:, -1]
    np.testing.assert_allclose(lambda_returns(rewards, goes_on, values, GAMMA, 1.0)[:, 0], whole, rtol=1e-5)
    # What comes after an end does not count.
    goes_on[:, 1] = 0.0
    cut = rewards[:, 0] + GAMMA * rewards[:, 1]
    np.testing.assert_allclose(lambda_returns(rewards, goes_on, values, GAMMA, 1.0)[:, 0], cut, rtol=1e-5)


def test_the_policys_density_integrates_to_one() -> None:
    policy = Policy(jnp.array([0.4]), jnp.array([-0.3]))
    push = jnp.linspace(-0.9999, 0.9999, 20_001)[:, None]
    noise = (jnp.arctanh(push) - policy.mean) / jnp.exp(policy.log_std)
    again, log_prob, _ = drawn(policy, noise)
    np.testing.assert_allclose(again, push, atol=1e-4)
    assert float(jnp.trapezoid(jnp.exp(log_prob), push[:, 0])) == pytest.approx(1.0, abs=2e-3)


def test_one_of_two_pushes_is_drawn_as_often_as_the_policy_says() -> None:
    mean = jnp.array([-0.8, 0.0, 0.3])
    policy = Policy(jnp.stack([mean, mean], axis=-1), jnp.zeros((3, 2)))
    noise = jax.random.normal(jax.random.key(0), (20_000, 3, 2))
    push, log_prob, entropy = jax.vmap(lambda x: drawn_sign(policy, x))(noise)
    share = 1.0 / (1.0 + np.exp(-2.0 * np.asarray(mean)))
    np.testing.assert_allclose(jnp.mean(push[..., 0] > 0.0, axis=0), share, atol=0.015)
    np.testing.assert_allclose(np.exp(log_prob), np.where(push[..., 0] > 0.0, share, 1.0 - share), rtol=1e-5)
    np.testing.assert_allclose(entropy[0], -share * np.log(share) - (1.0 - share) * np.log(1.0 - share), rtol=1e-5)
    assert not np.any(push[..., 1])


def test_the_gradient_of_log_probabilities_is_that_of_the_expected_return() -> None:
    start = State(jnp.zeros((8192, 8, 8, 1)), jnp.zeros((8192, 8, 8, 1)))
    step = lambda state, push: (state, 3.0 * push[:, 0], jnp.zeros(len(push)))  # noqa: E731
    value = lambda weights, state: jnp.full(len(state.latents), weights)  # noqa: E731
    noise = jax.random.normal(jax.random.key(1), (8192, 1, 2))

    def loss(mean):
        act = lambda state: Policy(jnp.broadcast_to(mean, (8192, 2)), jnp.zeros((8192, 2)))  # noqa: E731
        dream = imagine(step, lambda state: state, act, start, noise, drawn_sign)
        zero = jnp.zeros(())
        return jnp.mean(losses(dream, value, zero, zero, jnp.float32(1.0), 1.0, 1.0, 0.0, through=False).actor)  # pyright: ignore[reportArgumentType]

    share = 1.0 / (1.0 + np.exp(-0.4))  # of pushes that earn 3, the others cost 3: 2 share - 1 times 3 is expected
    assert float(jax.grad(loss)(jnp.float32(0.2))) == pytest.approx(-6.0 * 2.0 * share * (1.0 - share), rel=0.05)


@pytest.fixture(scope="module")
def made():
    """A world in which a push adds itself to the latents, and the reward is minus their square."""
    critic, start = Critic(), State(jnp.ones((3, 8, 8, 1)), jnp.full((3, 8, 8, 1), 0.5))
    weights = critic.init(jax.random.key(0), start)["params"]
    weights = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), weights)

    def step(state: State, push: jax.Array):
        after = State(state.memory, state.latents + push[:, :1, None, None])
        return after, -jnp.mean(jnp.square(after.latents), axis=(1, 2, 3)), jnp.full(len(push), 0.9)

    def both(mean, critic_weights, target):
        act = lambda state: Policy(jnp.broadcast_to(mean, (3, 1)), jnp.full((3, 1), -4.0))  # noqa: E731
        dream = imagine(step, lambda state: state, act, start, jnp.zeros((3, 4, 1)))
        value = lambda weights, state: critic.apply({"params": weights}, state)  # noqa: E731
        return losses(dream, value, critic_weights, target, jnp.float32(1.0), GAMMA, LAM, 0.0), dream  # pyright: ignore[reportArgumentType]

    return both, weights


def test_the_actor_learns_through_the_dream_and_the_critic_beside_it(made) -> None:
    both, weights = made
    zero = jnp.zeros(1)
    size = lambda tree: sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(tree))  # noqa: E731
    actor = jax.grad(lambda *args: jnp.mean(both(*args)[0].actor), argnums=(0, 1))(zero, weights, weights)
    critic = jax.grad(lambda *args: jnp.mean(both(*args)[0].critic), argnums=(0, 1, 2))(zero, weights, weights)
    assert float(actor[0][0]) > 0.0  # a smaller latent is better: the mean must fall
    assert size(actor[1]) == 0.0
    assert size(critic[0]) == 0.0 and size(critic[1]) > 0.0 and size(critic[2]) == 0.0


def test_a_dream_is_what_its_steps_say(made) -> None:
    both, weights = made
    found, dream = both(jnp.array([0.3]), weights, weights)
    assert isinstance(dream, Dream) and dream.states.latents.shape[:2] == (3, 5)
    there = 0.5 + np.tanh(0.3) * np.arange(5)
    np.testing.assert_allclose(dream.states.latents[0, :, 0, 0, 0], there, rtol=1e-5)
    np.testing.assert_allclose(dream.rewards[0], -np.square(there[1:]), rtol=1e-5)
    assert found.returns.shape == (3, 4)
