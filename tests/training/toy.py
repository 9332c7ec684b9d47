"""A foreign system for the contract's test: a line through noisy points; two optimisers, a running mean, own data."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.results import Picture, Score
from o2t_jax.systems.base import BatchesByStep, Sum, System


class Toy(System):
    name = "toy"

    def __init__(self, config):
        self.config, self.evaluators = config, {"test": self.test}
        self.tx = optax.multi_transform({"w": optax.adam(config.lr), "b": optax.sgd(0.1, 0.9)}, {"w": "w", "b": "b"})
        self.sample_spec = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), self.points(0))

    def init(self, key):
        params = {"w": 0.1 * jax.random.normal(key, (3,)), "b": jnp.zeros(())}
        return params, {"mean_x": jnp.zeros(3)}

    def loss(self, params, extra, batch, keys, step):
        noise = 0.01 * jax.vmap(jax.random.normal)(keys)
        error, high = (batch["x"] @ params["w"] + params["b"] + noise - batch["y"]) ** 2, batch["y"] > 0
        metrics = {"loss_high": (jnp.sum(error * high), jnp.sum(high)), "b": params["b"]}
        return error.mean(), (metrics, {"x": Sum(batch["x"].sum(0)), "count": Sum(jnp.float32(len(error)))})

    def advance(self, extra, params, statistics, step, key):
        return {"mean_x": 0.9 * extra["mean_x"] + 0.1 * statistics["x"] / statistics["count"]}

    def points(self, step):
        x = np.random.default_rng((self.config.seed, step)).normal(size=(self.config.batch, 3)).astype(np.float32)
        return {"x": x, "y": x @ np.array([1.0, -2.0, 0.5], np.float32) + np.float32(self.config.slope)}

    def test(self, state):
        loss = jnp.mean((self.points(10**9)["x"] @ state.params["w"] - 1.0) ** 2)
        yield "loss", Score(loss, baselines={"always 0": 1.0}, better="lower")
        yield "picture", Picture(np.full((8, 8, 3), 128, np.uint8))

    def train_iterator(self, request):
        return BatchesByStep(self.points, request)
