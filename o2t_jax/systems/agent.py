"""System `agent`: an actor and a critic that learn a task in the dream of a world model (docs/agent.md).

The world model is that of system `video`; `init_from` names its finished run. Nothing here changes it: the loss stops
its gradient, and the optimiser leaves it alone. `simulator=True` trains the same actor in the true simulator instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.data.video.clips import ACTIONS
from o2t_jax.models.video.agent import Actor, Critic, Policy, drawn, drawn_sign, imagine, losses, one_sided
from o2t_jax.models.video.model import State, follow, run
from o2t_jax.physics.video.tasks import TASKS
from o2t_jax.systems import agent_config, base_config
from o2t_jax.systems.agent_simulator import Simulated, simulated_start, simulated_step
from o2t_jax.systems.agent_tests import AgentTests
from o2t_jax.systems.base import BatchesByStep, Best, DataRequest, Gather, System
from o2t_jax.systems.video import Video, as_floats
from o2t_jax.types import Array, Batch, BatchIterator, PyTree

WORLD = tuple(part for part in agent_config.PARTS if part != "codebook")


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, agent_config.FIELDS)
    agent_config.validate(config)
    return Agent(config)


class Agent(Video):
    """See `o2t_jax.training.contract.System`. Parameters: those of system `video`, actor, critic.

    `extra`: `codebook`; `target`, the running mean of the critic's parameters; `range`, of the returns.
    """

    name = "agent"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("tasks/score_random", "max")
    size_fields = ("batch", "dream_steps", "hidden")
    headline_tables = {}  # noqa: RUF012 (typed in the base)
    loss_curves = ("train/returned", "tasks/score_random")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.task = TASKS[config.sets]()
        self.headline_scores = tuple(f"tasks/score_{name}" for name in self.task.tests)
        self.actor, self.critic = Actor(ACTIONS), Critic()
        self.length = config.context + 1
        rate = optax.cosine_decay_schedule(config.lr, config.train_steps)
        adam = optax.adam(rate)
        one = optax.chain(optax.clip_by_global_norm(config.actor_clip), adam) if config.actor_clip else adam
        self.tx = optax.multi_transform(
            {"actor": one, "critic": one, "world": optax.set_to_zero()},
            lambda params: {name: name if name in ("actor", "critic") else "world" for name in params},
        )
        self.evaluators = {"tasks": AgentTests(self).tasks}
        self.periods = {}
        self.sample_sources = ()
        size = config.size
        self.sample_spec = {
            "pictures": jax.ShapeDtypeStruct((self.length, size, size), jnp.uint8),
            "actions": jax.ShapeDtypeStruct((self.length - 1, ACTIONS), jnp.float32),
        }

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Windows of real clips, of twice as many those first after which the episode goes on; the first share of a
        batch stands still (a picture is all there is of a ball at rest)."""
        pool = self.data.pool(request.progress)
        size, last = self.config.batch, self.config.context - 1
        still = round(self.config.resting * size)

        def batch(step: int) -> dict[str, np.ndarray]:
            found = pool.batch(request.seeds[0], step, 2 * size, self.length)
            first = np.argsort(-found["continues"][:, last], kind="stable")[:size]
            found = {name: found[name][first] for name in self.sample_spec}
            found["pictures"][:still] = found["pictures"][:still, :1]
            found["actions"][:still] = 0.0
            return found

        return BatchesByStep(batch, request)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of all parts, codebook, target critic and range."""
        of_world, of_actor, of_critic = jax.random.split(jnp.asarray(key), 3)
        params, extra = super().init(of_world)
        latents = jnp.zeros((1, 8, 8, self.model.quantiser.size))
        state = State(run(self.model, params, "still", latents), latents)
        critic = self.critic.init(of_critic, state)["params"]
        params = {**params, "actor": self.actor.init(of_actor, state)["params"], "critic": critic}
        return params, {**extra, "target": critic, "range": {"low": jnp.zeros(()), "high": jnp.zeros(())}}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """See `models.video.agent.losses`."""
        config = self.config
        world = jax.lax.stop_gradient({name: params[name] for name in WORLD})
        of_noise, of_start = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        noise = jax.vmap(lambda key: jax.random.normal(key, (config.dream_steps, ACTIONS)))(of_noise)
        act = lambda state: self.policy(params, state)  # noqa: E731
        signs = self.task.signs
        draw = drawn_sign if signs else drawn
        if config.simulator:
            start = simulated_start(self, world, extra, of_start)
            move, seen = (lambda where, push: simulated_step(self, world, extra, where, push)), _seen
            dream = imagine(move, seen, act, start, noise, draw)
        else:
            begin = self.filtered(world, extra, as_floats(batch["pictures"][:, : config.context]), batch["actions"])
            dream = imagine(lambda state, push: self.moved(world, state, push), _itself, act, begin, noise, draw)
        spread = jnp.maximum(1.0, extra["range"]["high"] - extra["range"]["low"])
        rates = (config.gamma, config.lam, config.entropy)
        found = losses(dream, self.value, params["critic"], extra["target"], spread, *rates, through=not signs)
        metrics = {
            "actor": jnp.mean(found.actor),
            "critic": jnp.mean(found.critic),
            "returned": jnp.mean(found.returns[:, 0]),
            "entropy": jnp.mean(found.entropy),
        }
        return metrics["actor"] + metrics["critic"], (metrics, {"returns": Gather(found.returns.reshape(-1))})

    def advance(
        self, extra: PyTree, params: PyTree, statistics: Mapping[str, Array], step: Array, key: Array
    ) -> PyTree:
        """Moves the target critic and the range of returns; the codebook stays."""
        low, high = jnp.percentile(statistics["returns"], jnp.array([5.0, 95.0]))
        keep = jnp.where(jnp.asarray(step) == 0, 0.0, self.config.range_decay)
        spread = {"low": low, "high": high}
        return {
            **extra,
            "target": optax.incremental_update(params["critic"], extra["target"], 1.0 - self.config.target_decay),
            "range": {name: keep * extra["range"][name] + (1.0 - keep) * x for name, x in spread.items()},
        }

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Array:
        """The push [B, 2] after the first C of the batch's pictures."""
        seen = as_floats(batch["pictures"][:, : self.config.context])
        return self.best_push(params, self.filtered(params, extra, seen, batch["actions"]))

    def best_push(self, params: PyTree, state: State) -> jax.Array:
        """The push [B, 2] at the middle of the policy."""
        mean = self.policy(params, state).mean
        return one_sided(jnp.where(mean[..., 0] > 0.0, 1.0, -1.0), ACTIONS) if self.task.signs else jnp.tanh(mean)

    def policy(self, params: PyTree, state: State) -> Policy:
        """Of the actor in these states."""
        return self.actor.apply({"params": params["actor"]}, state)  # pyright: ignore[reportReturnType]

    def value(self, weights: PyTree, state: State) -> jax.Array:
        """Returns [B] that the critic of these weights expects."""
        return self.critic.apply({"params": weights}, state)  # pyright: ignore[reportReturnType]

    def filtered(self, params: PyTree, extra: PyTree, pictures: Array, actions: Array) -> State:
        """The state after pictures [B, C, S, S] 0 to 1 and the pushes between them, the first C - 1 of [B, n, 2]."""
        return self.remembered(params, self.coded(params, extra, pictures).codes, actions)

    def remembered(self, params: PyTree, codes: Array, actions: Array) -> State:
        """The state after C pictures' codes [B, C, 8, 8, D]."""
        codes = jnp.asarray(codes)
        return follow(self.model, params, codes[:, :-1], actions, 1)[1]._replace(latents=codes[:, -1])

    def moved(self, params: PyTree, state: State, push: Array) -> tuple[State, jax.Array, jax.Array]:
        """A dream's step: the state after a push, its reward [B], the probability [B] that the episode goes on."""
        after = run(self.model, params, "step", state.memory, state.latents, push)
        reward, logit = run(self.model, params, "judged", after.latents)
        return after, reward, jax.nn.sigmoid(logit)

    def summary(self, metrics: Mapping[str, float]) -> str:
        """What the dream returns, and the losses."""
        names = ("returned", "actor", "critic", "entropy")
        return ", ".join(f"{name} {metrics[name]:.4g}" for name in names if name in metrics)


def _itself(state: State) -> State:
    return state


def _seen(where: Simulated) -> State:
    return where.state


__all__ = ["WORLD", "Agent", "build"]
