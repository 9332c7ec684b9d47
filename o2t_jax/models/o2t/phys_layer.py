"""Latent physics: the two-branch PhysLayer, its learned law, and the blend (O2T guide, 'Physics Evolution').

The latent of D = 6 S numbers is [velocity 3S, position 3S], each axis-major: the heights of the S slots, then x, then
y. The mask of g0 (the first D/6 rows of a half) is therefore the height axis of every slot. The layer subtracts
gravity: g0 > 0 pulls down. In the camera gauge the numbers of *used* slots are metres and metres per second.

A model may also learn a force of the velocity (`physics.forces`), such as quadratic drag. Without one no part of this
file computes anything else than before there were forces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.models.cores import Core, unroll
from o2t_jax.models.layers import MLP
from o2t_jax.physics.forces import FORCES, NONE
from o2t_jax.physics.ode import leapfrog_step

# Visited heights are kept as a histogram over these bins (m); heights beyond them count in the outermost bin.
HEIGHT_MAX = 40.0
HEIGHT_BINS = 160
BLEND_FLOOR, BLEND_RANGE, BLEND_STEPS = 0.22, 0.73, 5.72


def bin_centres() -> np.ndarray:
    """Centres [HEIGHT_BINS] of the height histogram, m."""
    return (np.arange(HEIGHT_BINS, dtype=np.float32) + 0.5) * (HEIGHT_MAX / HEIGHT_BINS)


def height_counts(heights: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted counts [HEIGHT_BINS] of `heights` [N] (m), `weights` [N] >= 0."""
    index = jnp.clip(heights * (HEIGHT_BINS / HEIGHT_MAX), 0, HEIGHT_BINS - 1).astype(jnp.int32)
    return jnp.zeros(HEIGHT_BINS).at[index].add(weights)


def visited_range(visited: np.ndarray, tail: float = 0.005) -> tuple[float, float]:
    """Lowest and highest visited height (m) without the outermost `tail` of the counts; (0, 0) before any visit."""
    total = float(np.sum(visited))
    if total <= 0.0:
        return 0.0, 0.0
    share = np.cumsum(visited) / total
    width = HEIGHT_MAX / HEIGHT_BINS
    first, last = int(np.searchsorted(share, tail)), int(np.searchsorted(share, 1.0 - tail))
    return first * width, (min(last, HEIGHT_BINS - 1) + 1) * width


def blend_weight(n: jax.Array) -> jax.Array:
    """w_nn(n) = 0.22 + 0.73 exp(-(n/5.72)^2): 0.95, 0.56, 0.25, 0.22 at n = 0, 5, 10, 20 (the guide's table)."""
    return BLEND_FLOOR + BLEND_RANGE * jnp.exp(-jnp.square(n / BLEND_STEPS))


class LawParams(NamedTuple):
    """The law's learned parameters: g0 [] in m/s^2, alpha [D/2 + 1], gravity MLP parameters."""

    g0: jax.Array
    alpha: jax.Array
    mlp: Any


def _gravity_mlp(half: int) -> MLP:
    return MLP((64, half), parent=None)


GravityField = Callable[[jax.Array], jax.Array]
"""Heights [...] m -> g [...] m/s^2, positive downwards."""
ForceField = Callable[[jax.Array], jax.Array]
"""Velocities [..., 3] m/s -> accelerations [..., 3] m/s^2, both (height, x, y)."""


def gravity_curve(law: LawParams, visited: jax.Array) -> GravityField:
    """g(z) = g0 + a(z) of the camera gauge; the law that is read out.

    a(z) = alpha . [MLP(z), 1] minus its mean over the visited heights, so that g0 is the mean of g(z). The mean is
    computed here, once: in a scan's step it would cost more than the step.
    Args: `visited` [HEIGHT_BINS], counts of visited heights (all zero: no shift).
    """
    mlp = _gravity_mlp(law.alpha.shape[0] - 1)

    def raw(height: jax.Array) -> jax.Array:
        # 10 m scales heights to order one; it is a unit of length and carries no information about the law.
        features = mlp.apply({"params": law.mlp}, height[..., None] / 10.0)
        return jnp.einsum("...f,f->...", features, law.alpha[:-1], precision=jax.lax.Precision.HIGHEST)

    share = visited / jnp.maximum(jnp.sum(visited), 1e-9)
    mean = jnp.sum(share * raw(jnp.asarray(bin_centres())))
    return lambda z: law.g0 + (raw(z) - mean)


def learned_gravity(law: LawParams, z: jax.Array, visited: jax.Array) -> jax.Array:
    """`gravity_curve` at heights `z` [...] m."""
    return gravity_curve(law, visited)(z)


class Particle(NamedTuple):
    """Metric state of the used slots: position and velocity [B, K, 3] as (height, x, y), m and m/s."""

    position: jax.Array
    velocity: jax.Array


def verlet(particle: Particle, gravity: GravityField, dt: float | jax.Array) -> Particle:
    """One velocity-Verlet step (second order; exact for constant gravity).

    Args: `gravity`: heights [B, K] m -> g [B, K] m/s^2; `dt` s, one for all samples or one for each [B, 1, 1].
    """
    down = jnp.asarray([1.0, 0.0, 0.0], particle.position.dtype)
    g_old = gravity(particle.position[..., 0])[..., None] * down
    position = particle.position + particle.velocity * dt - 0.5 * g_old * dt * dt
    g_new = gravity(position[..., 0])[..., None] * down
    return Particle(position, particle.velocity - 0.5 * (g_old + g_new) * dt)


def force_field(form: str, values: jax.Array) -> ForceField:
    """The force `form` of `physics.forces.FORCES` with its numbers `values` [P]."""

    def field(velocity: jax.Array) -> jax.Array:
        height, x, y = jnp.moveaxis(velocity, -1, 0)
        ax, ay, az = FORCES[form].acceleration((x, y, height), values)
        return jnp.stack([az, ax, ay], axis=-1)

    return field


def forced_verlet(particle: Particle, gravity: GravityField, force: ForceField, dt: float | jax.Array) -> Particle:
    """`verlet` with a force of the velocity: second order still, and `verlet` where the force is zero.

    The second force takes the velocity that Euler's step predicts; its error, of order dt^2, enters times dt.
    """
    down = jnp.asarray([1.0, 0.0, 0.0], particle.position.dtype)

    def acceleration(position: jax.Array, velocity: jax.Array) -> jax.Array:
        return force(velocity) - gravity(position[..., 0])[..., None] * down

    return Particle(*leapfrog_step(acceleration, particle.position, particle.velocity, dt))


def falling(gravity: GravityField, force: ForceField | None = None) -> Core:
    """`verlet` under `gravity`, or `forced_verlet`, as a core for `unroll`."""
    if force is None:
        return lambda particle, action, dt, context: verlet(particle, gravity, dt)
    return lambda particle, action, dt, context: forced_verlet(particle, gravity, force, dt)


def shoot(
    start: jax.Array,
    end: jax.Array,
    k: jax.Array,
    k_max: int,
    gravity: GravityField,
    dt: float | jax.Array,
    rounds: int,
    force: ForceField | None = None,
) -> jax.Array:
    """Velocity at `start` whose flight under `gravity` (and `force`) is at `end` after k steps.

    Args: `start`, `end` [B, K, 3] m; `k` int32 [B] >= 1; `dt` as for `verlet`; `rounds` of correction (one is exact for
    constant gravity; with drag k each leaves about k |v| t / 2 of the error, so that 4 do).
    Returns: velocity [B, K, 3] m/s. A plain difference quotient has an error of g k dt / 2.
    """
    duration = jnp.maximum(k, 1).astype(start.dtype)[:, None, None] * dt
    velocity = (end - start) / duration
    for _ in range(rounds):
        arrived, _ = unroll(falling(gravity, force), Particle(start, velocity), None, dt, lengths=k, steps=k_max)
        velocity = velocity + (end - arrived.position) / duration
    return velocity


def used_rows(slots: int, used: int) -> np.ndarray:
    """Static mask [6 slots] of the latent rows that belong to the first `used` slots."""
    return np.tile(np.arange(slots) < used, 6)


def to_latent(particle: Particle, slots: int) -> tuple[jax.Array, np.ndarray]:
    """Used slots as latent rows.

    Returns: values [B, 6 slots] (zeros in the rows of free slots) and the static mask [6 slots] of used rows.
    """
    used = particle.position.shape[1]
    pad = ((0, 0), (0, 0), (0, slots - used))
    halves = [
        jnp.pad(jnp.swapaxes(x, 1, 2), pad).reshape(x.shape[0], 3 * slots)
        for x in (particle.velocity, particle.position)
    ]
    return jnp.concatenate(halves, axis=-1), used_rows(slots, used)


def from_latent(h: jax.Array, slots: int, used: int) -> Particle:
    """The inverse of `to_latent` for the first `used` slots of `h` [B, 6 slots]."""
    velocity, position = (
        jnp.swapaxes(x.reshape(h.shape[0], 3, slots), 1, 2)[:, :used] for x in jnp.split(h, 2, axis=-1)
    )
    return Particle(position, velocity)


class Evolved(NamedTuple):
    """The layer's result after n steps: both branches [B, D] in the rotated latent, before the blend."""

    nn: jax.Array
    phys: jax.Array


class PhysLayer(nn.Module):
    """Both branches in one `lax.scan`, with weights shared by the steps and n steps per sample.

    `used` slots (0 in the free gauge) carry metric numbers. They fall by `gravity_curve` of their own height, with
    velocity Verlet. The other rows follow the guide: gravity = g0 mask + alpha * [MLP(position), 1] in the free gauge
    (the constant acts on the unmasked rows), and g0 mask with a stopped gradient in the camera gauge.
    A learned `force` acts on used slots; its numbers start at zero.
    """

    latent_dim: int
    dt: float
    n_max: int
    used: int
    force: str = NONE.name

    def setup(self) -> None:
        half = self.latent_dim // 2
        widths = (128, 128, 256, 128, 128, self.latent_dim)
        self._nn = MLP(widths, last_init=nn.initializers.zeros, parent=None)
        self._mlp = MLP((64, half), parent=None)
        z = jnp.zeros((1, 1 if self.used else half))
        self.g0 = self.param("g0", nn.initializers.zeros, (), jnp.float32)
        self.alpha = self.param("alpha", nn.initializers.zeros, (half + 1,), jnp.float32)
        self.mlp = self.param("gravity_mlp", lambda key: self._mlp.init(key, z)["params"])
        self.nn_branch = self.param(
            "nn_branch", lambda key: self._nn.init(key, jnp.zeros((1, self.latent_dim)))["params"]
        )

        if self.used and self.force != NONE.name:
            size = (len(FORCES[self.force].names),)
            self.force_values = self.param("force", nn.initializers.zeros, size, jnp.float32)

    @property
    def slots(self) -> int:
        return self.latent_dim // 6

    def law(self) -> LawParams:
        """The law's parameters, for `gravity_curve`."""
        return LawParams(self.g0, self.alpha, self.mlp)

    def force_field(self) -> ForceField | None:
        """The learned force, or None where none is learned."""
        return force_field(self.force, self.force_values) if self.used and self.force != NONE.name else None

    def _free_gravity(self, position: jax.Array) -> jax.Array:
        mask = jnp.asarray(np.arange(3 * self.slots) < self.slots, position.dtype)
        if self.used:
            return jax.lax.stop_gradient(self.g0) * mask
        features = self._mlp.apply({"params": self.mlp}, position)
        return self.g0 * mask + self.alpha[:-1] * features + self.alpha[-1] * (1.0 - mask)

    def _phys_step(self, h: jax.Array, gravity: GravityField | None) -> jax.Array:
        velocity, position = jnp.split(h, 2, axis=-1)
        next_velocity = velocity - self._free_gravity(position) * self.dt
        free = jnp.concatenate([next_velocity, position + 0.5 * (velocity + next_velocity) * self.dt], axis=-1)
        if gravity is None:
            return free
        slots, force = from_latent(h, self.slots, self.used), self.force_field()
        particle = verlet(slots, gravity, self.dt) if force is None else forced_verlet(slots, gravity, force, self.dt)
        values, mask = to_latent(particle, self.slots)
        return jnp.where(mask, values, free)

    def __call__(self, h: jax.Array, n: jax.Array, visited: jax.Array) -> Evolved:
        """`h` float32 [B, D] rotated latent, `n` int32 [B] in 0..n_max, `visited` [HEIGHT_BINS]."""
        gravity = gravity_curve(self.law(), visited) if self.used else None

        def core(state: Evolved, action: None, dt: float, context: None) -> Evolved:
            stepped = state.nn + self._nn.apply({"params": self.nn_branch}, state.nn)
            return Evolved(stepped, self._phys_step(state.phys, gravity))

        # The NN branch gets metric numbers without gradient: the law must not be trained through it.
        start_nn = jnp.where(used_rows(self.slots, self.used), jax.lax.stop_gradient(h), h)
        return unroll(core, Evolved(start_nn, h), None, self.dt, lengths=n, steps=self.n_max)[0]
