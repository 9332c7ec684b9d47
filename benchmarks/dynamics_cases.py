"""What `benchmarks.dynamics` times on our side: two training steps and scans of a world."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers.compare import random_params
from o2t_jax.commands.configs.dynamics import pictures
from o2t_jax.data.simulated import SimulatedSequences
from o2t_jax.models.cores import make_core, rollout
from o2t_jax.physics.envs import get_environment
from o2t_jax.physics.envs.pendulum import Pendulum, PendulumState
from o2t_jax.physics.ode import semi_implicit_step
from o2t_jax.systems.dynamics_pictures import DynamicsPictures
from o2t_jax.training.state import Initial, tree_size
from o2t_jax.training.step import make_train_step

BATCH, STEPS, DT, WIDTHS, RATE = 32, 30, 0.1, (64, 64), 1e-3
SCALE = (1.8, 3.3)  # rad, rad/s: the pendulum's states have about these standard deviations
WORLD_STEPS, WORLD_DT = 100, 0.05


def by_path(tree: Any) -> dict[str, np.ndarray]:
    """Path, joined by / -> array."""
    found = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(key.key for key in path): np.asarray(x) for path, x in found}


class Case:
    """A training step. Attributes: `params`, by path; `batch` and `fields` for the peers; `size` of the network."""

    params: Mapping[str, np.ndarray]
    batch: Mapping[str, np.ndarray]
    fields: dict[str, Any]
    size: int

    _state: Any
    _data: tuple
    _function: Callable  # (state, *data) -> (state, metrics)

    def compile(self) -> float:
        """Compiles the step; returns the seconds that it took."""
        begun = time.perf_counter()
        self._step = jax.jit(self._function, donate_argnums=0).lower(self._state, *self._data).compile()
        return time.perf_counter() - begun

    def step(self) -> Any:
        """One training step, continued from the one before; `compile` comes first."""
        self._state, metrics = self._step(self._state, *self._data)
        return metrics

    def own(self) -> tuple[float, dict[str, np.ndarray]]:
        """Loss and gradient by path at `params`."""
        raise NotImplementedError


class StateCase(Case):
    """Shooting over 30 steps of the pendulum."""

    def __init__(self, threads: int | None) -> None:
        env = get_environment("pendulum")
        core = make_core("first_order_ode", env.layout, widths=WIDTHS, scale=SCALE)
        made = SimulatedSequences(env, STEPS, (DT,), 0).batch("train", np.arange(BATCH))
        self.batch = {name: np.asarray(made[name]) for name in ("states", "actions")}
        shapes = jax.eval_shape(core.init, jax.random.key(0), made["states"][:, 0], made["actions"][:, 0], DT, None)
        params = random_params(shapes["params"])
        self.params, self.size = by_path(params), tree_size(params)
        self.fields = {"widths": WIDTHS, "scale": SCALE, "dt": DT, "lr": RATE, "threads": threads}

        def loss(params: Any, states: jax.Array, actions: jax.Array) -> jax.Array:
            found = rollout(core, params, states[:, 0], actions, DT)
            return jnp.mean(jnp.square((found - states[:, 1:]) / jnp.asarray(SCALE)))

        tx = optax.adam(RATE)

        def step(state: Any, states: jax.Array, actions: jax.Array) -> tuple[Any, jax.Array]:
            params, moments = state
            value, slopes = jax.value_and_grad(loss)(params, states, actions)
            updates, moments = tx.update(slopes, moments, params)
            return (optax.apply_updates(params, updates), moments), value

        self._loss, self._data = loss, (jnp.asarray(self.batch["states"]), jnp.asarray(self.batch["actions"]))
        self._start = jax.tree.map(jnp.array, params)
        self._state = (jax.tree.map(jnp.array, params), tx.init(self._start))
        self._function = step

    def own(self) -> tuple[float, dict[str, np.ndarray]]:
        value, slopes = jax.jit(jax.value_and_grad(self._loss))(self._start, *self._data)
        return float(value), by_path(slopes)


class PictureCase(Case):
    """A step of system `dynamics_pictures`, from a batch that is already made."""

    def __init__(self, threads: int | None, config: Any = None) -> None:
        config = config or pictures.get_config("spatial_newtonian")
        system = DynamicsPictures(config)
        made = jax.tree.map(np.asarray, jax.jit(system.make_batch)(np.int32(0), np.int32(0)))
        shapes = Initial(system.init, system.tx, (0,)).shapes
        params = random_params(shapes.params)
        self.params, self.size = by_path(params), tree_size(params)
        keys = jax.random.split(jax.random.key(1), config.batch)
        drawn = drawn_by(system, keys)
        self.batch = {**made, **{name: np.asarray(x) for name, x in drawn.items()}}
        self.fields = {"threads": threads, **fields_of(system)}
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        start = jax.tree.map(jnp.array, params)
        self._state = blank.replace(params=start, opt_state=jax.jit(system.tx.init)(params))
        self._data, self._system, self._keys, self._given = (jax.device_put(made),), system, keys, params
        self._function = make_train_step(system.loss, system.tx, system.advance)

    def own(self) -> tuple[float, dict[str, np.ndarray]]:
        def loss(params: Any) -> jax.Array:
            return self._system.loss(params, {}, self._data[0], self._keys, jnp.int32(0))[0]

        value, slopes = jax.jit(jax.value_and_grad(loss))(self._given)
        return float(value), by_path(slopes)


def drawn_by(system: DynamicsPictures, keys: jax.Array) -> dict[str, Any]:
    """The random numbers that `models.dynamics.objective.hgn` draws from these keys, for PyTorch."""
    config, sizes = system.config, system.model.sizes
    shape, count = (sizes.side, sizes.side, sizes.channels), config.horizon + 1

    def one(key: jax.Array) -> tuple[Any, ...]:
        of_frames, of_time = jax.random.fold_in(key, 1), jax.random.fold_in(key, 2)
        chosen = jax.random.choice(of_frames, count, (config.decoded,), replace=False)
        return jax.random.normal(key, shape), chosen, jax.random.randint(of_time, (), 1, count)

    noise, chosen, later = jax.jit(jax.vmap(one))(keys)
    return {"noise": noise, "chosen": chosen.astype(jnp.int32), "later": later.astype(jnp.int32)}


def fields_of(system: DynamicsPictures) -> dict[str, Any]:
    """What PyTorch's version needs to know of the system."""
    config, sizes = system.config, system.model.sizes
    others = {
        "actions": system.world.env.actions.size,
        "inner": system.inner,
        "beta": config.beta,
        "free_bits": config.free_bits,
        "consistency": config.consistency,
    }
    return {
        "sizes": sizes._asdict() | others,
        "count": config.horizon + 1,
        "lr": config.lr,
        "clip": config.clip,
        "warm": min(100, config.train_steps // 10),
        "train_steps": max(config.train_steps, 2),
    }


class OneStep(Pendulum):
    """The pendulum with one Runge-Kutta step in a step."""

    SUBSTEPS: ClassVar[int] = 1


class Euler(Pendulum):
    """The pendulum with one semi-implicit Euler step in a step."""

    def step(self, state: Any, action: Any, dt: Any, params: Any) -> Any:
        def pull(angle: Any, velocity: Any) -> Any:
            return self.field(PendulumState(angle, velocity), action, params).velocity

        return PendulumState(*semi_implicit_step(pull, state.angle, state.velocity, dt))


def world_scans(batch: int) -> dict[str, Callable[[], Any]]:
    """Side -> a call that makes `WORLD_STEPS` steps of `batch` pendulums and their observations [T, B, 2]."""
    given = Pendulum()
    actions = given.actions.sample(jax.random.key(0), (WORLD_STEPS, batch))

    def of(env: Pendulum) -> Callable[[], Any]:
        params = env.params
        start = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(1), batch), params)

        def body(state: Any, action: Any) -> tuple[Any, Any]:
            state = jax.vmap(env.step, (0, 0, None, None))(state, action, WORLD_DT, params)
            return state, jax.vmap(env.observe, (0, None))(state, params)

        scan = jax.jit(lambda state: jax.lax.scan(body, state, actions))
        jax.block_until_ready(scan(start))
        return lambda: scan(start)

    return {"ours": of(given), "one rk4": of(OneStep()), "one euler": of(Euler())}


def gymnax_scans(batch: int) -> dict[str, Callable[[], Any]]:
    """As `world_scans`, of gymnax's Pendulum-v1: observations and rewards. Raises: ImportError where it is missing."""
    import gymnax  # type: ignore[import-not-found]

    env, params = gymnax.make("Pendulum-v1")
    of_start, of_actions, of_steps = jax.random.split(jax.random.key(0), 3)
    actions = jax.random.uniform(of_actions, (WORLD_STEPS, batch), minval=-2.0, maxval=2.0)
    keys = jax.random.split(of_steps, batch)
    _, start = jax.vmap(env.reset, (0, None))(jax.random.split(of_start, batch), params)

    def of(step: Callable) -> Callable[[], Any]:
        def body(now: Any, action: jax.Array) -> tuple[Any, Any]:
            state, keys = now
            # The step itself draws no random numbers; those of a reset must differ from step to step.
            if step == env.step:
                keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
            seen, state, reward, _, _ = jax.vmap(step, (0, 0, 0, None))(keys, state, action, params)
            return (state, keys), (seen, reward)

        scan = jax.jit(lambda now: jax.lax.scan(body, now, actions))
        jax.block_until_ready(scan((start, keys)))
        return lambda: scan((start, keys))

    return {"gymnax": of(env.step_env), "gymnax with reset": of(env.step)}
