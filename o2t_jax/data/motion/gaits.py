"""Labelled gaits, made on the device: a pure function of (seed, split, index). The default data of motions, and tests'.

Eight classes in three styles, 20 frames/s, `OURS`. Standing feet are planted and legs found by inverse kinematics; the
centre of mass of who runs or jumps falls with g. What a class does is the same in each clip but for the manner
(`manner.py`): when it begins, how fast, how far, to which side. Nothing here was recorded.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.data.motion import acts
from o2t_jax.data.motion.locomotion import stride
from o2t_jax.data.motion.manner import CONSTANTS, STYLES, Manner, draw
from o2t_jax.data.motion.posing import Plan, followed, pose
from o2t_jax.data.simulated import in_blocks, sequence_key, split_number
from o2t_jax.errors import UsageError
from o2t_jax.physics.motion.contacts import RATE
from o2t_jax.physics.motion.kinematics import forward
from o2t_jax.physics.motion.layout import canonical, encode
from o2t_jax.physics.motion.skeleton import OURS
from o2t_jax.types import Array

FRAMES = 64  # 3.2 s: 8 given, 56 to come
LEAST_FRAMES = 8
CLASSES = ("walk", "run", "turn", "jump", "kick", "wave", "sit", "stand")
MOVING = ("walk", "run", "turn")  # classes whose root travels; the others are standing ones
_STORED = {"train": 800, "validation": 100, "test": 200}
_BLOCK = 16


def _walk(times: jax.Array, manner: Manner) -> Plan:
    speed = 0.95 * manner.tempo * manner.extent
    return stride(times, manner._replace(turn=0.15 * manner.turn), speed, 0.62, runs=False)


def _run(times: jax.Array, manner: Manner) -> Plan:
    speed = 2.1 * manner.tempo * manner.extent
    tempo = 1.0 + 0.4 * manner.tempo
    return stride(times, manner._replace(tempo=tempo, turn=0.15 * manner.turn), speed, 0.3, runs=True)


def _turn(times: jax.Array, manner: Manner) -> Plan:
    """Walks along an arc: 40 to 90 degrees per 2 s, to one side."""
    speed = 0.65 * manner.tempo * manner.extent
    turn = (1.0 - 2.0 * manner.side) * (0.35 + 0.45 * jnp.abs(manner.turn))
    return stride(times, manner._replace(turn=turn), speed, 0.62, runs=False)


_PLANS: Mapping[str, Callable[[jax.Array, Manner], Plan]] = {
    "walk": _walk,
    "run": _run,
    "turn": _turn,
    "jump": acts.jump,
    "kick": acts.kick,
    "wave": acts.wave,
    "sit": acts.sit,
    "stand": acts.stand,
}


def _planned(name: str, times: jax.Array, manner: Manner) -> Plan:
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), _PLANS[name](times, manner))


def make_gait(key: jax.Array, frames: int, label: jax.Array, style: jax.Array, rate: float = RATE) -> dict[str, Any]:
    """One clip of T = `frames` frames, from above the origin, looking along +z.

    Returns: `features` [T, 251] (`layout`), `positions` [T, 21, 3] m, `root` [T, 3] m, `rotations` [T, 21, 3, 3],
    `mask` [T], all ones; `label` and `style` int32 [] (`CLASSES`, `STYLES`), `constants` [5] (`CONSTANTS`).
    """
    times = jnp.arange(frames) / rate
    manner = draw(key, style, frames / rate)
    plan = jax.lax.switch(label, [functools.partial(_planned, name, times) for name in CLASSES], manner)
    root, rotations = canonical(*pose(followed(plan)))
    return {
        "features": encode(OURS, root, rotations, rate),
        "positions": forward(OURS, root, rotations),
        "root": root,
        "rotations": rotations,
        "mask": jnp.ones(frames),
        "label": jnp.asarray(label, jnp.int32),
        "style": jnp.asarray(style, jnp.int32),
        "constants": manner.constants,
    }


@dataclasses.dataclass(frozen=True)
class MotionSource:
    """Gaits of `frames` frames of `classes`: clip i is of class i modulo their number, of a style drawn for it.

    As samples to store: see `types.SampleSource`. Raises: UsageError for too few frames or an unknown class.
    """

    seed: int
    frames: int = FRAMES
    classes: tuple[str, ...] = CLASSES

    def __post_init__(self) -> None:
        if self.frames < LEAST_FRAMES:
            raise UsageError(f"frames={self.frames}: a clip of motion has at least {LEAST_FRAMES} frames")
        for name in self.classes:
            if name not in CLASSES:
                raise UsageError(f"the class {name!r} of gaits is unknown: choose of {', '.join(CLASSES)}")
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise UsageError(f"classes={','.join(self.classes)}: name at least one class, and each once")

    @functools.cached_property
    def _make(self) -> Callable[..., dict[str, Any]]:
        numbers = jnp.array([CLASSES.index(name) for name in self.classes])

        def one(seed: Any, split: Any, index: Any) -> dict[str, Any]:
            of_style, of_rest = jax.random.split(sequence_key(seed, split, index))
            place = jnp.mod(index, len(self.classes)).astype(jnp.int32)
            style = jax.random.randint(of_style, (), 0, len(STYLES))
            return make_gait(of_rest, self.frames, numbers[place], style) | {"label": place}

        return jax.jit(jax.vmap(one, (None, None, 0)))

    def batch(self, split: str, indices: Array) -> dict[str, Any]:
        """Clips `indices` int [B] of a split, leaves [B, ...] as in `make_gait`, on the host; `label` is of `classes`.

        The bits of a clip do not depend on the others asked for (`in_blocks`). Raises: UsageError for an unknown split.
        """
        number = split_number(split)
        return in_blocks(lambda block: self._make(self.seed, number, block), np.asarray(indices, np.uint32), _BLOCK)

    def sequences(self, split: str, indices: Array, seed: Any) -> dict[str, Any]:
        """As `batch`, under a trace: `indices` uint32 [B] and `seed` may be traced."""
        return self._make(seed, split_number(split), indices)

    @property
    def styles(self) -> tuple[str, ...]:
        """What `style` counts."""
        return STYLES

    @property
    def name(self) -> str:
        """Of the folder that stored sets lie in."""
        return "gaits"

    @property
    def splits(self) -> Mapping[str, int]:
        """Streams of their own (`sequence_key`): no clip is in two of them."""
        return _STORED

    @property
    def description(self) -> dict[str, Any]:
        """Classes, styles, frames, frames/s, what `constants` are."""
        return {
            "classes": list(self.classes),
            "styles": list(STYLES),
            "frames": self.frames,
            "rate": RATE,
            "constants": list(CONSTANTS),
        }

    @property
    def spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        """See `types.SampleSource`."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> dict[str, jax.ShapeDtypeStruct]:
        zero = jnp.zeros((), jnp.int32)
        return jax.eval_shape(lambda: make_gait(jax.random.key(0), self.frames, zero, zero))

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        """`batch`, as arrays on the host."""
        return {name: np.asarray(leaf) for name, leaf in self.batch(split, indices).items()}


__all__ = ["CLASSES", "CONSTANTS", "FRAMES", "MOVING", "STYLES", "MotionSource", "make_gait"]
