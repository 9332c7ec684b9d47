"""One program that makes a block of samples: draws scenes and shots, casts, accepts and writes into the ring.

All candidates of a block are drawn, and their balls moved, at once: that costs little beside pictures, and its loop
over time is as long for one as for all. Then rounds of L shots are cast. A shot that is accepted makes room for the
next sample, one that is not for the sample's next candidate, so that hardly a picture is cast in vain. A sample's place
in its block decides where it is computed: its bits depend on (seed, index, its mix) alone.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from o2t_jax.data.o2t.acceptance import LATER_S, AcceptanceRule
from o2t_jax.data.o2t.on_device import cast
from o2t_jax.data.o2t.on_device.ring import DeviceRing
from o2t_jax.data.o2t.on_device.scenes import SCENES, Start
from o2t_jax.data.o2t.on_device.shots import DeviceShot, Mix, draw_mode, draw_shot, draw_steps
from o2t_jax.data.o2t.pair_source import ATTEMPTS_PER_STEPS
from o2t_jax.data.o2t.sample import SPLITS
from o2t_jax.data.o2t.shots import ShotConfig
from o2t_jax.geometry.camera import relative_para
from o2t_jax.physics.gravity import Gravity
from o2t_jax.physics.room.jax_twin import simulate
from o2t_jax.render.raycast.raycaster import cast_packed, unpacked

# A fourth-order step; the contacts of a room are solved inside it.
STEP_S = 0.05
# Pixels that are cast at once, at most. An accelerator wants many; on a CPU each costs a hundred bytes.
CAST_PIXELS = 2**22
_MODE, _STEPS, _SHOT = range(3)


class Candidate(NamedTuple):
    """One shot of a scene in motion: `position` [5, K, 3] m and `visible` [5, K] at `cast.moments`."""

    shot: DeviceShot
    start: Start
    position: Any
    visible: Any


class Report(NamedTuple):
    """What became of a block of C samples, small arrays.

    `chosen` [C] int32: the candidate taken, -1 where none was accepted. `cast`, `still`, `cut` [] int32: shots cast,
    and those of them refused because nothing moved, or because it was cut off by the border.
    """

    chosen: Any
    cast: Any
    still: Any
    cut: Any


class _Rounds(NamedTuple):
    """Between two rounds: the ring's pictures; of each lane [L] its sample (C or more: idle) and candidate; the next
    sample that no lane has; the report so far."""

    pictures: Any
    sample: Any
    candidate: Any
    following: Any
    report: Report


@dataclasses.dataclass(frozen=True)
class BlockMaker:
    """The samples of a scene, `size` = C of them a block; `candidates` = M shots at most for each.

    `image_size` (H, W) px; `gravity` the world's law; `views` and `rule` as on the host.
    """

    scene: str
    gravity: Gravity
    views: ShotConfig
    rule: AcceptanceRule
    image_size: tuple[int, int]
    seed: int
    candidates: int
    size: int

    @property
    def lanes(self) -> int:
        """Shots L that a round casts: a quarter of a block, or less for large pictures."""
        fit = CAST_PIXELS // (self.image_size[0] * self.image_size[1])
        return max(1, min(-(-self.size // 4), fit))

    def plan(self, index: Any, candidate: Any, mix: Mix) -> tuple[DeviceShot, Start]:
        """Shot and scene of candidate number `candidate` [] of training sample `index` []."""
        key = jax.random.fold_in(stream(self.seed, SPLITS["train"]), index)
        mode = draw_mode(jax.random.fold_in(key, _MODE), mix)
        # As on the host: long predictions are refused more often, and would become rare with a new n each time.
        of_steps = jax.random.fold_in(jax.random.fold_in(key, _STEPS), candidate // ATTEMPTS_PER_STEPS)
        k, n = draw_steps(of_steps, mix, mode, self.views)
        of_start, of_view, of_shot = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, _SHOT), candidate), 3)
        scene = SCENES[self.scene]
        start = scene.start(of_start)
        return draw_shot(of_shot, scene.view(of_view, self.views), self.views, mode, k, n), start

    def draw(self, index: Any, candidate: Any, mix: Mix) -> Candidate:
        """A candidate with its balls in motion, not cast."""
        shot, start = self.plan(index, candidate, mix)
        horizon = self.views.horizon + max(LATER_S) + STEP_S  # a step more: times are rounded
        law, numbers = self.gravity.law, jnp.array(self.gravity.params, jnp.float32)
        position, visible = simulate(start.state, cast.moments(shot), law, numbers, horizon, STEP_S)
        return Candidate(shot, start, position, visible)

    def draw_block(self, first: Any, mix: Mix) -> Candidate:
        """All candidates of the block that begins with sample `first`, leaves [C, M, ...]; `mix` leaves [C, ...]."""
        own = functools.partial(jax.vmap, in_axes=(None, 0, None))(self.draw)
        indices = jnp.asarray(first, jnp.int32) + jnp.arange(self.size)
        return jax.vmap(own, (0, None, 0))(indices, jnp.arange(self.candidates), mix)

    def cast_round(self, these: Candidate) -> tuple[cast.Verdict, jax.Array]:
        """Verdicts [L] on L candidates, and their five pictures, packed: uint32 [L, 5, H, W]."""
        scenes, cameras = jax.vmap(lambda c: cast.inputs(c.start.state, c.start.colour, c.position, c.visible, c.shot))(
            these
        )
        # A loop over the nine, whose results are memory: without it a compiler may cast a picture again for each mask.
        solid, nine = SCENES[self.scene].solid, jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (scenes, cameras))
        packed = jax.lax.map(lambda of: cast_packed(of[0], of[1], *self.image_size, solid=solid), nine)
        verdict = jax.vmap(lambda p, c: cast.judge(p, c.shot, self.rule), (1, 0))(packed, these)
        return verdict, jax.vmap(lambda p, c: cast.own(p, c.shot), (1, 0))(packed, these)

    def make(self, ring: DeviceRing, first: Any, mix: Mix) -> tuple[DeviceRing, Report]:
        """`ring` with the samples [first, first + C), for jit with the ring donated; C divides `first` and the ring."""
        size, at = self.size, jnp.asarray(first, jnp.int32) % ring.index.shape[0]
        candidates = self.draw_block(first, mix)
        pictures, report = self._rounds(candidates, ring.pictures, at)
        taken = (jnp.arange(size), jnp.maximum(report.chosen, 0))
        shot: DeviceShot = jax.tree.map(lambda x: x[taken], candidates.shot)
        columns = {
            "para": relative_para(jax.vmap(DeviceShot.para)(shot)),
            "k": shot.k,
            "n": shot.n,
            "mode": shot.mode,
            "index": jnp.asarray(first, jnp.int32) + jnp.arange(size),
            "valid": report.chosen >= 0,
        }
        written = {
            name: jax.lax.dynamic_update_slice_in_dim(getattr(ring, name), column, at, 0)
            for name, column in columns.items()
        }
        return DeviceRing(pictures=pictures, **written), report

    def _rounds(self, candidates: Candidate, pictures: jax.Array, at: jax.Array) -> tuple[jax.Array, Report]:
        size, capacity = self.size, pictures.shape[0]

        def one(now: _Rounds) -> _Rounds:
            active = now.sample < size
            sample = jnp.minimum(now.sample, size - 1)
            verdict, packed = self.cast_round(jax.tree.map(lambda x: x[sample, now.candidate], candidates))
            accepted = active & ~verdict.still & ~verdict.cut
            over = active & (accepted | (now.candidate == self.candidates - 1))
            # Rows beyond the ring, and samples beyond the block, are not written.
            rows = jnp.where(accepted, at + sample, capacity)
            chosen = now.report.chosen.at[jnp.where(accepted, sample, size)].set(now.candidate, mode="drop")
            report = Report(
                chosen,
                now.report.cast + active.sum(dtype=jnp.int32),
                now.report.still + (active & verdict.still).sum(dtype=jnp.int32),
                now.report.cut + (active & verdict.cut).sum(dtype=jnp.int32),
            )
            return _Rounds(
                now.pictures.at[rows].set(unpacked(packed), mode="drop"),
                jnp.where(over, now.following + jnp.cumsum(over, dtype=jnp.int32) - 1, now.sample),
                jnp.where(over, 0, now.candidate + active),
                now.following + over.sum(dtype=jnp.int32),
                report,
            )

        zero, lanes = jnp.int32(0), jnp.arange(self.lanes, dtype=jnp.int32)
        report = Report(jnp.full(size, -1, jnp.int32), zero, zero, zero)
        start = _Rounds(pictures, lanes, jnp.zeros_like(lanes), jnp.int32(self.lanes), report)
        end = jax.lax.while_loop(lambda now: (now.sample < size).any(), one, start)
        return end.pictures, end.report


def stream(seed: int, number: int) -> jax.Array:
    """The random key of one of a seed's streams: `SPLITS`, and the ring's draws."""
    return jax.random.fold_in(jax.random.key(jnp.uint32(seed)), number)


__all__ = ["BlockMaker", "Candidate", "Report", "stream"]
