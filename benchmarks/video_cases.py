"""What `benchmarks.video` times on our side: training steps of world model and agent, and a predicted frame."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.dynamics_cases import Case, by_path
from benchmarks.peers.compare import random_params
from o2t_jax.commands.configs.video import agent, cpu
from o2t_jax.data.video.clips import ACTIONS
from o2t_jax.models.video.model import State, run
from o2t_jax.systems.agent import Agent
from o2t_jax.systems.video import Video
from o2t_jax.training.state import Initial, TrainState, tree_size
from o2t_jax.training.step import _ADVANCE, _step_key, make_train_step, sample_keys

CLIPS = 32  # of each set; a step does not take longer with more
HEADS = ("reward_head/", "continue_head/")  # not trained on these sets: the peer has none


class WorldCase(Case):
    """A step of system `video` with the quantiser `ema`, at random weights of which none is zero.

    Args: `batch`, windows as `Video.sample_spec`; clips of the config's sets without it.
    """

    def __init__(self, threads: int | None, config: Any = None, batch: Any = None) -> None:
        config = config or cpu.get_config()
        if batch is None:
            config.clips = CLIPS
            batch = Video(config).data.pool().batch(0, 0, config.batch, config.context + config.horizon)
        self.system = system = Video(config)
        key = jax.random.PRNGKey(0)
        given = random_params(jax.eval_shape(system.init, key)[0])
        extra = {"codebook": system.model.quantiser.init(key)}
        self._start = TrainState.create(params=given, tx=system.tx, key=key, extra=extra)
        self._state, self._data = jax.tree.map(jnp.array, self._start), (jax.device_put(batch),)
        self._function = make_train_step(system.loss, system.tx, system.advance)
        self.params = without_heads(by_path(given))
        self.size = tree_size(self.params)
        held = {name: np.asarray(x) for name, x in self._start.extra["codebook"].items()}
        self.batch = {**batch, **held, **drawn_by(system, self._start, batch)}
        self.fields = {"threads": threads, **fields_of(system)}

    def own(self) -> tuple[float, dict[str, np.ndarray]]:
        """Loss and gradient by path of the first step, from the program that is timed; `compile` comes first."""
        state, metrics = self._step(jax.tree.map(jnp.array, self._start), *self._data)
        # The first moment after one step is a tenth of the clipped gradient.
        clip, norm = self.system.config.clip, float(metrics["grad_norm"])
        scale = 10.0 * (max(1.0, norm / clip) if clip else 1.0)
        moments = by_path(optax.tree_utils.tree_get(state.opt_state, "mu"))
        return float(metrics["loss"]), without_heads({name: scale * x for name, x in moments.items()})


class AgentCase(Case):
    """A step of system `agent`: a dream, and one update of actor and critic, from random pictures."""

    def __init__(self, config: Any = None) -> None:
        config = config or agent.get_config()
        system = Agent(config)
        rng = np.random.default_rng(0)
        shapes = {name: (config.batch, *x.shape) for name, x in system.sample_spec.items()}
        batch = {
            "pictures": rng.integers(0, 256, shapes["pictures"], dtype=np.uint8),
            "actions": rng.uniform(-1.0, 1.0, shapes["actions"]).astype(np.float32),
        }
        self._state, self._data = Initial(system.init, system.tx, (0,)).make(), (jax.device_put(batch),)
        self._function = make_train_step(system.loss, system.tx, system.advance)
        self.size = sum(tree_size(self._state.params[name]) for name in ("actor", "critic"))


class FrameCase(Case):
    """One frame on in a dream of `count` clips: the dynamics and the decoder of system `video`."""

    def __init__(self, count: int, config: Any = None) -> None:
        system = Video(config or cpu.get_config())
        params = jax.jit(system.init)(jax.random.key(0))[0]
        latents = jax.random.normal(jax.random.key(1), (count, 8, 8, system.model.quantiser.size))
        self._state = State(run(system.model, params, "still", latents), latents)
        self._data = params, jnp.zeros((count, ACTIONS))
        self.size = sum(tree_size(params[name]) for name in ("dynamics", "decoder"))

        def frame(state: State, params: Any, push: jax.Array) -> tuple[State, jax.Array]:
            after = run(system.model, params, "step", state.memory, state.latents, push)
            return after, run(system.model, params, "decode", after.latents)

        self._function = frame


def without_heads(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the peer has of arrays by path."""
    return {name: x for name, x in found.items() if not name.startswith(HEADS)}


def drawn_by(system: Video, state: Any, batch: Any) -> dict[str, np.ndarray]:
    """The random numbers that the first step draws, for PyTorch (`peers.video_torch.DRAWN`)."""
    config, quantiser = system.config, system.model.quantiser
    cells = system.length * 64

    def one(key: jax.Array) -> tuple[jax.Array, ...]:
        of_recon, of_dream, of_codes = jax.random.split(key, 3)
        recon, dream = (
            jax.random.permutation(key, frames)[:count] if count < frames else jnp.arange(frames)
            for key, frames, count in (
                (of_recon, system.length, config.recon_frames),
                (of_dream, config.horizon, config.dream_frames),
            )
        )
        return recon, dream, jax.random.gumbel(of_codes, (cells,))

    recon, dream, gumbel = jax.jit(jax.vmap(one))(sample_keys(state, batch))
    rows = len(recon) * min(quantiser.rows, cells)  # pyright: ignore[reportAttributeAccessIssue]
    order = jax.random.permutation(jax.random.fold_in(_step_key(state), jnp.uint32(_ADVANCE)), rows)
    return {
        "recon": np.asarray(recon),
        "dream": np.asarray(dream),
        "gumbel": np.asarray(gumbel),
        "order": np.asarray(order),
    }


def fields_of(system: Video) -> dict[str, Any]:
    """What PyTorch's version needs to know of the system."""
    config = system.config
    return {
        "sizes": dataclasses.asdict(system.model.sizes)
        | dataclasses.asdict(system.weights)
        | {"size": system.model.quantiser.size},
        "codebook": dataclasses.asdict(system.model.quantiser),  # pyright: ignore[reportArgumentType]
        "lr": config.lr,
        "clip": config.clip,
        "warm": min(config.warm_up, config.train_steps // 4),
        "train_steps": config.train_steps,
    }


__all__ = ["AgentCase", "FrameCase", "WorldCase", "drawn_by", "fields_of", "without_heads"]
