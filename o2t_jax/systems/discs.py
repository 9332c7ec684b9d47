"""System `discs`: a neural physics engine. Discs in a room collide; a model predicts their next frame (docs/discs.md).

It is trained on windows of three frames: from the first two it predicts the third. Roll-outs feed it its own
predictions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from o2t_jax.config import Config
from o2t_jax.data.discs.scenes import DiscScenes
from o2t_jax.data.discs.windows import PoolBatches, WindowPool
from o2t_jax.data.stored import open_set
from o2t_jax.models.discs import MODELS, Step
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.systems import base_config, discs_config, discs_films
from o2t_jax.systems.base import Best, DataRequest, System
from o2t_jax.systems.discs_held_out import frames_of
from o2t_jax.systems.discs_questions import DiscQuestions
from o2t_jax.systems.discs_tests import DiscTests
from o2t_jax.types import Array, Batch, BatchIterator, PyTree

_READ = 4096  # scenes of a stored set that are read at a time


def build(config: Config) -> System:
    """The system of a config. Raises UsageError for invalid fields."""
    base_config.validate(config, discs_config.FIELDS)
    discs_config.validate(config)
    system = Discs(config)
    jax.eval_shape(system.init, jax.random.key(0))
    return system


class Discs(System):
    """See `o2t_jax.training.contract.System`."""

    name = "discs"
    sample_spec: Mapping[str, jax.ShapeDtypeStruct]
    best = Best("validation/mse_ratio", "min")
    test_fields = ("test_scenes", "rollout_steps", "final_tests")
    loss_curves = ("train/loss", "validation/mse")
    headline_scores = ("test/mse_ratio", "test/collision_mse_ratio", "test/cosine_share")

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world = DiscWorld(**config.env.to_dict())
        self.scenes = DiscScenes(self.world, config.frames, config.seed)
        self.sample_sources = (self.scenes,)
        self.model = make_model(config)
        self.tx = optimiser(config)
        tests = DiscTests(self)
        self.evaluators = {"validation": tests.validation, "test": tests.test}
        if config.final_tests:
            questions = DiscQuestions(tests)
            self.evaluators |= {"general": questions.general, "law": questions.law}
            if len(set(config.env.masses)) > 1:
                self.evaluators["mass"] = questions.mass
        self.periods = {name: config.train_steps for name in self.evaluators if name != "validation"}
        spec = self.scenes.spec
        taken = {name: spec[name] for name in ("mass", "radius", "present", "walls/ends", "walls/present")}
        moving = {
            name: jax.ShapeDtypeStruct((3, *spec[name].shape[1:]), jnp.float32) for name in ("position", "velocity")
        }
        self.sample_spec = moving | taken | {"weight": jax.ShapeDtypeStruct((), jnp.float32)}

    def check(self) -> None:
        """Opens the stored set, verifies its sums and that it is of this world."""
        if self.config.dataset:
            open_set(self.config.dataset, verify=True).require(self.scenes).close()

    def pool(self, split: str, count: int, share: float = 0.0, world: DiscWorld | None = None) -> WindowPool:
        """Windows of scenes 0 to `count` - 1 of a split: made, or for training read from the stored set.

        Args: `share`, see `WindowPool`; `world`, another one than the config's.
        """
        scenes = self.scenes if world is None else dataclasses.replace(self.scenes, world=world)
        if not self.config.dataset or split == "test":
            return WindowPool(scenes.make(split, np.arange(count)), scenes.world.speed, share)
        with open_set(self.config.dataset).require(scenes) as stored:
            numbers = np.arange(min(count, stored.size(split)))
            parts = [stored.read(split, numbers[i : i + _READ]) for i in range(0, len(numbers), _READ)]
        whole = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
        return WindowPool(whole, scenes.world.speed, share)

    def model_for(self, world: DiscWorld) -> Any:
        """The model with the units of that world: its size, speed limit and dt."""
        return self.model.clone(dt=world.dt, size=world.size, speed=world.speed)

    def train_iterator(self, request: DataRequest) -> BatchIterator:
        """Windows of the pool of `n_scenes` scenes, or of as many of the stored set."""
        pool = self.pool("train", self.config.n_scenes, self.config.collision_share)
        size = self.config.batch // request.process_count
        share = slice(request.process_index * size, (request.process_index + 1) * size)
        return PoolBatches(pool, self.config.batch, request.seeds, request.position, share)

    def init(self, key: Array) -> tuple[PyTree, PyTree]:
        """Parameters of the model, and no `extra`."""
        one = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in self.sample_spec.items()}
        return self.model.init(jnp.asarray(key), frames_of(one))["params"], {}

    def predict(self, params: PyTree, extra: PyTree, batch: Batch) -> Step:
        """Position and velocity in the third frame of a window, from the first two."""
        return self.model.apply({"params": params}, frames_of(batch))  # type: ignore[return-value]

    def hidden(self, batch: Batch) -> dict[str, Array]:
        """The third frame."""
        mask = np.zeros(np.shape(batch["position"]), bool)
        mask[:, 2] = True
        return {"position": mask, "velocity": mask}

    def loss(self, params: PyTree, extra: PyTree, batch: Batch, keys: Array, step: Array) -> Any:
        """Squared error of velocity over the speed limit, mean over discs, with the windows' weights."""
        rngs = {"dropout": jnp.asarray(keys)[0]} if self.config.dropout else {}
        found: Step = self.model.apply({"params": params}, frames_of(batch), train=True, rngs=rngs)  # type: ignore[assignment]
        there = jnp.asarray(batch["present"]) & jnp.isfinite(jnp.asarray(batch["mass"]))
        error = jnp.mean(jnp.square((found.velocity - batch["velocity"][:, 2]) / self.world.speed), axis=-1)
        each = jnp.sum(jnp.where(there, error, 0.0), axis=1) / jnp.maximum(jnp.sum(there, axis=1), 1)
        return jnp.mean(batch["weight"] * each), ({}, {})

    def preview(self, seed: int, steps: int, height: int) -> tuple[np.ndarray, float]:
        """A random scene as a film: uint8 [steps + 1, height, W, 3], W as the room's shape asks, and frames/s."""
        source = dataclasses.replace(self.scenes, frames=max(steps + 1, 3), seed=seed)
        scenes = source.make("train", np.arange(1))
        scene, position = discs_films.scene_of(scenes, 0), scenes["position"][0, : steps + 1]
        return discs_films.pictures(scene, position, self.world.size, height), 1.0 / self.world.dt

    def truth(self) -> dict[str, Any]:
        """The world's constants."""
        return {"env": self.config.env.to_dict()}

    def notes(self, plan: Any) -> list[str]:
        """The model's size."""
        params = jax.eval_shape(self.init, jax.random.key(0))[0]
        return [f"model: {self.config.model}, {sum(x.size for x in jax.tree.leaves(params)):,} parameters"]


def make_model(config: Config) -> Any:
    """The config's model, with those of the config's fields that it has."""
    kind = MODELS.get(config.model)
    known = kind.__dataclass_fields__
    given = {name: config[name] for name in known if name in config}
    given |= {"dt": config.env.dt, "size": tuple(config.env.size), "speed": config.env.speed}
    given |= {"widths": (config.width,) * config.depth, "dtype": None if config.precision == "float32" else "bfloat16"}
    return kind(**{name: x for name, x in given.items() if name in known})


def optimiser(config: Config) -> optax.GradientTransformation:
    """AdamW with warm-up and cosine, or RMSprop with a rate that decays in steps, as in the document."""
    if config.optimiser == "adamw":
        steps = config.train_steps
        rate = optax.warmup_cosine_decay_schedule(0.0, config.lr, max(int(config.warmup * steps), 1), steps)
        rule = optax.adamw(rate, weight_decay=config.weight_decay)
    else:
        rate = optax.exponential_decay(
            config.lr, config.decay_every, config.decay, transition_begin=config.decay_after, staircase=True
        )
        rule = optax.rmsprop(rate, decay=0.99, eps=1e-8, eps_in_sqrt=False)  # as PyTorch has it
    return optax.chain(optax.clip_by_global_norm(config.clip), rule) if config.clip else rule


__all__ = ["Discs", "build", "make_model", "optimiser"]
