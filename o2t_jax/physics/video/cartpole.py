"""The task `cartpole`: keep a pole on a cart upright. Gymnasium's CartPole-v1 in JAX, its pictures, its clips.

Source: Barto, Sutton & Anderson 1983, IEEE Transactions on Systems, Man, and Cybernetics 13(5); the constants, the
explicit Euler steps of 0.02 s and the limits are those of CartPole-v1. The cart is pushed with +10 or -10 N: of a push
only the sign of its first number counts. A frame is two such steps under one push; a reward is the number of steps
taken, so an episode's return is CartPole-v1's, 500 at the most.

Units of the state are m, rad, s. The picture shows the angle as it is, and the pole five times as long as it is: to
scale, 12 degrees are a pixel at 32 px.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from o2t_jax.errors import UsageError
from o2t_jax.physics.primitives import Drawing, View, grey, layers, segments
from o2t_jax.physics.video.base import SIDE, Motion, uniform
from o2t_jax.physics.video.tasks import Played, Policy
from o2t_jax.types import Array

GRAVITY, CART, POLE, HALF, FORCE, STEP = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # m/s^2, kg, kg, m, N, s
FAR, TILTED = 2.4, 12.0 * 2.0 * np.pi / 360.0  # m, rad: beyond them an episode ends
REPEAT, STEPS = 2, 250  # steps of a frame; frames of an episode
START = 0.05  # of each number of the state at the start of an episode
LONGEST, WAIT = 64, 3  # pushes of a clip; frames before the first push of an episode, in which nothing moves
# Push along (place, velocity, angle, its velocity): found by hand, as any linear controller of the textbooks.
_GAINS = (0.1, 0.4, 4.0, 1.0)
_SPREADS, _HELD, _SHARE_AT_START = ((0.2, 0.2), (0.5, 0.4), (1.0, 0.8)), (1, 1, 1, 2), 0.25
_MOST_TILTED = 0.8 * TILTED  # at the start of a clip
_FOLLOWS = 4.0  # 1/s: how far the speed of a clip's tilted pole may bring it back
_TESTS, _SEED = 100, 5


class Scene(NamedTuple):
    """`state` [..., 4]: place m and velocity m/s of the cart, angle rad (to the right) and rate rad/s of the pole;
    `taken` [..., 1], steps of the last frame until the end; `fallen` [..., 1], 1 where the episode has ended."""

    state: Float[Array, "*batch 4"]
    taken: Float[Array, "*batch 1"]
    fallen: Float[Array, "*batch 1"]


class Look(NamedTuple):
    """What the task looks like: lengths in px, grey values 0 to 1."""

    pole: Any = 46.0
    pole_radius: Any = 2.0
    pole_grey: Any = 1.0
    cart_grey: Any = 0.6
    background: Any = 0.0


class CartPoleParams(NamedTuple):
    """All that a clip follows from: the `state` [4] at the start, `pushes` [64, 2], `wait` [], frames before them."""

    state: Array
    pushes: Array
    wait: Array


def accelerated(state: Float[Array, "*batch 4"], force: Float[Array, "*batch"]) -> jax.Array:
    """One step of 0.02 s of CartPole-v1 under a force in N."""
    x, v, angle, rate = jnp.moveaxis(jnp.asarray(state), -1, 0)
    sin, cos, total = jnp.sin(angle), jnp.cos(angle), CART + POLE
    push = (force + POLE * HALF * jnp.square(rate) * sin) / total
    turn = (GRAVITY * sin - cos * push) / (HALF * (4.0 / 3.0 - POLE * jnp.square(cos) / total))
    slide = push - POLE * HALF * turn * cos / total
    return jnp.stack([x + STEP * v, v + STEP * slide, angle + STEP * rate, rate + STEP * turn], axis=-1)


def beyond(state: Float[Array, "*batch 4"]) -> jax.Array:
    """Whether place or angle is outside of the limits."""
    state = jnp.asarray(state)
    return (jnp.abs(state[..., 0]) > FAR) | (jnp.abs(state[..., 2]) > TILTED)


def at_rest(state: Float[Array, "*batch 4"]) -> Scene:
    """The scene of a state before the first step."""
    none = np.zeros((*np.shape(state)[:-1], 1), np.float32)
    return Scene(state, none + REPEAT, none)


def resets(count: int, seed: int) -> Scene:
    """Starts as CartPole-v1 draws them: each number of the state uniform in [-0.05, 0.05]. Leaves [count, D]."""
    return at_rest(np.random.default_rng(seed).uniform(-START, START, (count, 4)).astype(np.float32))


class CartPole:
    """See the module's docstring, `VideoSet`, `Acted` and `Task`. After its end a clip stands still."""

    name = "cartpole"
    clips = 4000
    constant = ""
    nominal = 0.0
    entries = ("place", "velocity", "angle", "rate", "taken", "fallen")
    steps, signs = STEPS, True
    floor, best = "random", "linear"
    tests: Mapping[str, Callable[[], Scene]] = {"random": functools.partial(resets, _TESTS, _SEED)}
    looks: Mapping[str, Look] = {
        "as trained": Look(),
        "pole 25 % thinner": Look(pole_radius=1.5),
        "pole 0.8 bright": Look(pole_grey=0.8),
        "background 0.1": Look(background=0.1),
    }

    def advance(self, scene: Scene, action: Array) -> Scene:
        """Two steps under one force; the last frame of an episode may have but one that counts."""
        action = jnp.asarray(action)
        force = jnp.where(action[..., 0] > 0.0, FORCE, -FORCE)
        half = accelerated(scene.state, force)
        full, early = accelerated(half, force), beyond(half)
        fallen = (early | beyond(full)).astype(full.dtype)
        return Scene(full, jnp.where(early, 1.0, REPEAT)[..., None].astype(full.dtype), fallen[..., None])

    def reward(self, scene: Scene) -> jax.Array:
        """Steps taken in the frame."""
        return jnp.asarray(scene.taken)[..., 0]

    def over(self, scene: Scene) -> jax.Array:
        """Whether the pole has fallen or the cart gone."""
        return jnp.asarray(scene.fallen)[..., 0] > 0.0

    def drawing(self, scene: Scene, look: Look = Look()) -> Drawing:  # noqa: B008 (a constant)
        """The pole behind the cart."""
        foot, tip = self._ends(jnp.asarray(scene.state), look.pole)
        aside = jnp.array([4.0, 0.0])
        shapes = layers(
            segments(foot[None], tip[None], look.pole_radius, grey(look.pole_grey)),
            segments((foot - aside)[None], (foot + aside)[None], 3.0, grey(look.cart_grey)),
        )
        return Drawing(shapes, View(jnp.full(2, 0.5 * SIDE), 0.5 * SIDE, grey(look.background)))

    def trail(self, scene: Scene) -> np.ndarray:
        """None."""
        return np.zeros((*np.shape(scene.state)[:-1], 0))

    def starts(self, count: int, seed: int) -> Scene:
        """See `resets`."""
        return resets(count, seed)

    def controllers(self) -> Mapping[str, Policy]:
        """A new random push at each step of CartPole-v1 has no counterpart here: one for each frame; a linear one."""

        def random(scene: Scene, time: Array, key: jax.Array) -> jax.Array:
            return _sideways(jax.random.rademacher(key, scene.state.shape[:-1], jnp.float32))

        def linear(scene: Scene, time: Array, key: jax.Array) -> jax.Array:
            return _sideways(jnp.sign(scene.state @ jnp.asarray(_GAINS)))

        return {"random": random, "linear": linear}

    def collected(self, played: Played, frames: int, seed: int) -> CartPoleParams:
        """A clip of each episode, from a frame drawn of those before its end."""
        random = np.random.default_rng(seed)
        states, pushes = np.asarray(played.scenes.state), np.asarray(played.pushes)
        first = random.integers(np.maximum(np.asarray(played.steps, int) - frames // 2, 1))
        rows = np.arange(len(states))
        padded = np.pad(pushes, ((0, 0), (0, LONGEST), (0, 0)), mode="edge")
        cut = padded[rows[:, None], first[:, None] + np.arange(LONGEST)]
        wait = np.where(first == 0, WAIT, 0).astype(np.int32)
        return CartPoleParams(states[rows, first], cut, wait)

    def draw(self, key: jax.Array) -> CartPoleParams:
        """A quarter as an episode starts; the others anywhere within the limits, slow and fast."""
        of_kind, of_state, of_spread, of_push, of_follow = jax.random.split(key, 5)
        start = uniform(of_kind, [-START] * 4, [START] * 4)
        rests = jax.random.uniform(jax.random.fold_in(of_kind, 1)) < _SHARE_AT_START
        place, angle = uniform(of_state, [-FAR, -_MOST_TILTED], [FAR, _MOST_TILTED])
        speeds = jax.random.choice(of_spread, jnp.asarray(_SPREADS)) * jax.random.normal(of_follow, (2,))
        back = _FOLLOWS * angle * uniform(jax.random.fold_in(of_follow, 1), 0.0, 1.0)
        elsewhere = jnp.stack([place, speeds[0], angle, speeds[1] - back])
        of_share, of_sign, of_held = jax.random.split(of_push, 3)
        share, held = uniform(of_share, 0.25, 0.75), jax.random.choice(of_held, jnp.asarray(_HELD))
        right = jax.random.uniform(of_sign, (LONGEST,))[jnp.arange(LONGEST) // held] < share
        pushes = _sideways(jnp.where(right, 1.0, -1.0))
        return CartPoleParams(jnp.where(rests, start, elsewhere), pushes, jnp.where(rests, WAIT, 0))

    def move(self, params: CartPoleParams, frames: int) -> Motion:
        """See `VideoSet`; foot and tip of the pole count as things. Raises: UsageError for more than 65 frames."""
        if frames > LONGEST + 1:
            raise UsageError(
                f"frames={frames}: a clip of cartpole has at most {LONGEST + 1} frames: set --config.frames"
            )
        start = jax.tree.map(jnp.asarray, at_rest(jnp.asarray(params.state, jnp.float32)))

        def step(scene: Scene, now: tuple[Array, Array]) -> tuple[Scene, Scene]:
            t, push = now
            stays = (t < params.wait) | self.over(scene)
            after = jax.tree.map(lambda x, y: jnp.where(stays, x, y), scene, self.advance(scene, push))
            return after, after

        pushes = self._pushes(params, frames)
        _, track = jax.lax.scan(step, start, (jnp.arange(frames - 1), pushes))
        scenes = jax.tree.map(lambda x, xs: jnp.concatenate([x[None], xs]), start, track)
        ends = jnp.stack(self._ends(scenes.state, Look().pole), axis=1)
        return Motion(jnp.concatenate(scenes, axis=-1), ends, jnp.ones(2, bool))

    def show(self, motion: Motion, params: CartPoleParams) -> Drawing:
        """See `drawing`."""
        return self.drawing(scene_of(motion.state))

    def acted(self, motion: Motion, params: CartPoleParams) -> dict[str, jax.Array]:
        """See `Acted`; the pushes of the wait are zero."""
        scenes = scene_of(motion.state)
        on = 1.0 - jnp.asarray(self.over(scenes), jnp.float32)
        return {"actions": self._pushes(params, len(motion.state)), "rewards": self.reward(scenes), "continues": on}

    def _pushes(self, params: CartPoleParams, frames: int) -> jax.Array:
        t = jnp.arange(frames - 1) - jnp.asarray(params.wait)
        return jnp.where(t[:, None] < 0, 0.0, jnp.asarray(params.pushes)[jnp.maximum(t, 0)])

    def _ends(self, state: Array, pole: Any) -> tuple[jax.Array, jax.Array]:
        """Px of the foot and the tip of a pole of `pole` px; the limits of the place are 22 px from the middle."""
        x, angle = 0.5 * SIDE + 22.0 / FAR * state[..., 0], state[..., 2]
        foot = jnp.stack([x, jnp.full_like(x, 8.0)], axis=-1)
        return foot, foot + pole * jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def _sideways(signs: jax.Array) -> jax.Array:
    """Pushes [..., 2] of which only the first number counts."""
    return jnp.stack([signs, jnp.zeros_like(signs)], axis=-1)


def scene_of(state: Array) -> Scene:
    """The scene of a state [..., 6]."""
    return Scene(state[..., 0:4], state[..., 4:5], state[..., 5:6])


__all__ = [
    "STEPS",
    "CartPole",
    "CartPoleParams",
    "Look",
    "Scene",
    "accelerated",
    "at_rest",
    "beyond",
    "resets",
    "scene_of",
]
