"""What a trained model of discs has learned: other worlds, the law of a collision, a disc's hidden mass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from o2t_jax.evaluation.discs import impulse, masses, metrics
from o2t_jax.evaluation.discs.rollouts import IDLE
from o2t_jax.evaluation.recorded.intervals import estimate
from o2t_jax.physics.discs.world import DiscWorld
from o2t_jax.results import Column, Result, Scalar, Score, ScoreTable, Table
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.discs_tests import DiscTests

_LIMITS = ("value", "low", "high")


def other_worlds(own: DiscWorld) -> dict[str, DiscWorld]:
    """Worlds that differ from the training's by one thing."""
    return {
        "as trained": own,
        "8 discs": dataclasses.replace(own, discs=8),
        "room L": dataclasses.replace(own, room="L"),
        "room O": dataclasses.replace(own, room="O"),
        "radii 40 to 80": dataclasses.replace(own, radii=(40.0, 60.0, 80.0)),
        "10 x speed": dataclasses.replace(own, speed=10 * own.speed),
    }


class DiscQuestions:
    """Evaluators beside those of `DiscTests`, on the same scenes."""

    def __init__(self, tests: DiscTests) -> None:
        self.tests, self.config = tests, tests.config

    def general(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors over those of constant velocity in worlds that training never saw; the model is told their units.

        Intervals (95 %) are of a bootstrap over scenes: a few windows, in which nobody can tell whether two bodies
        just touch, carry most of a good model's error.
        """
        rows, drawn, model = [], {}, self.config.model
        for name, world in other_worlds(self.tests.world).items():
            held = self.tests.of(world)
            predicted = self.tests.predicted(state.params, held)
            found = held.errors(predicted)
            drawn[name] = metrics.drawn_ratios(held.by_scene(predicted), held.by_scene(held.idle))
            ratio = estimate(found["mse"] / found["idle"], drawn[name])
            ratios = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high}
            ratios["on hits"] = found["collision_mse"] / found["collision_idle"]
            rows.append({"world": name, "method": model, **ratios})
            rows.append({"world": name, "method": IDLE} | dict.fromkeys(("ratio", "low", "high", "on hits"), 1.0))
        number = Column(spec=".4g")
        columns = {"world": Column(), "method": Column()}
        columns |= dict.fromkeys(("ratio", "low", "high", "on hits"), number)
        how: dict[str, Any] = {"better": "lower", "method": model, "by": ("world",), "score_column": "ratio"}
        yield "worlds", ScoreTable(columns, rows, baselines=(IDLE,), **how)
        own = {row["world"]: row["ratio"] for row in rows if row["method"] == model}
        for name in ("8 discs", "room L"):
            over = estimate(own[name] / own["as trained"], drawn[name] / drawn["as trained"])
            yield f"{name.replace(' ', '_')}_over_own", Scalar(over.value, "", over.low, over.high)

    def law(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """The law of a collision that the model has learned, beside that of the true collisions."""
        held, rows = self.tests.held_out, []
        for name, after in ((self.config.model, self.tests.predicted(state.params, held)), ("truth", held.truth)):
            found = impulse.single_hits(held.pool.scenes, after, held.world.speed)
            law = impulse.fit(found) if len(found.impulse) else {}
            rows += [{"of": name, "quantity": quantity, **numbers} for quantity, numbers in law.items()]
            if name != "truth" and law:
                value, low, high = (law["restitution"][limit] for limit in _LIMITS)
                yield "restitution", Scalar(value, "", low, high)
        number = Column(spec=".4f")
        if rows:
            yield "impulse", Table({"of": Column(), "quantity": Column()} | dict.fromkeys(_LIMITS, number), rows)

    def mass(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """The mass of the first disc, told from the motion and the others' masses, beside the ideal observer."""
        held, candidates = self.tests.held_out, sorted(set(self.config.env.masses))
        scenes = held.pool.scenes
        truth = np.array([candidates.index(mass) for mass in scenes["mass"][:, 0].tolist()])

        def errors(predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            """Sums over each scene's windows [N, M] of squared errors, by candidate."""
            sums = []
            for candidate in candidates:
                mass = scenes["mass"].copy()
                mass[:, 0] = candidate
                sums.append(held.by_scene(predict(mass)))
            return np.stack(sums, axis=1)

        variance = held.errors(self.tests.predicted(state.params, held))["collision_mse"]
        told = masses.tell(errors(lambda mass: self.tests.predicted(state.params, held, mass=mass)), truth, variance)
        ideal = masses.tell(errors(held.one_frame), truth, variance)
        hits = scenes["hits"][:, 1:, 0, :-1].sum(axis=(1, 2))
        rows = masses.by_hits(told, ideal, truth, hits)
        columns = {"hits": Column(), "scenes": Column()} | {name: Column(spec=".3f") for name in [*rows[0]][2:]}
        yield "masses", Table(columns, rows)
        own, best = (float(x.right.mean()) for x in (told, ideal))
        yield "accuracy", Score(own, baselines={"chance": 1.0 / len(candidates)}, better="higher")
        yield "accuracy_of_ideal", Scalar(own / best)
        once = [row for row in rows if row["hits"] == "1 and more"]
        yield "accuracy_once_hit", Scalar(float(once[0]["accuracy"]) if once else float("nan"))


__all__ = ["DiscQuestions", "other_worlds"]
