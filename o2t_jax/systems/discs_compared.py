"""Several trained models of discs on the same held-out scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np

from o2t_jax.config import Config
from o2t_jax.evaluation.discs.rollouts import IDLE, Rollouts
from o2t_jax.results import Cell, Column, Table
from o2t_jax.systems import discs_films
from o2t_jax.systems.discs import Discs
from o2t_jax.systems.discs_held_out import HeldOut
from o2t_jax.systems.discs_tests import DiscTests
from o2t_jax.training.graft import graft
from o2t_jax.types import PyTree


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """Models by name on N scenes.

    Attributes: `held`, the scenes; `errors` of one step, see `HeldOut.errors`; `position` [N, T, B, 2] px, predicted
    from the second frame on; `rollouts` of the first steps of these T.
    """

    held: HeldOut
    errors: Mapping[str, Mapping[str, float]]
    position: Mapping[str, np.ndarray]
    rollouts: Rollouts

    def table(self) -> Table:
        """Errors of one step over constant velocity's, then how far roll-outs follow the truth; a row per method."""
        columns, rows = self.rollouts.horizons()
        number = Column(spec=".4g")
        more = dict.fromkeys(("mse ratio", "on hits", "cosine share", "hits in order"), number)
        found: list[dict[str, Cell]] = []
        for row in rows:
            method = str(row["method"])
            errors = self.errors.get(method)
            idle = 1.0 if method == IDLE else None
            own: dict[str, Cell] = {
                "mse ratio": errors["mse"] / errors["idle"] if errors else idle,
                "on hits": errors["collision_mse"] / errors["collision_idle"] if errors else idle,
                "cosine share": self.rollouts.share(method) if errors else None,
                "hits in order": self.rollouts.hits_in_order(method),
            }
            found.append({**row, **own})
        return Table(columns | more, found)

    def film(self, number: int, steps: int) -> np.ndarray:
        """A scene and what each model predicts of it, see `discs_films.of_scene`."""
        predicted = {name: x[:, :steps] for name, x in self.position.items()}
        return discs_films.of_scene(self.held.pool.scenes, number, predicted, self.held.world)


def compare(models: Mapping[str, tuple[Config, PyTree]], steps: int) -> Compared:
    """Rolls out all models over their configs' `rollout_steps`; the first `steps` of them are measured.

    Args: `models`, name -> config and parameters. The configs are of one world; the scenes are the first one's.
    Raises: UsageError where parameters are not those of their config's model, such as a run of an older version.
    """
    systems = {name: Discs(config) for name, (config, _) in models.items()}
    for name, (_, params) in models.items():
        graft(params, jax.eval_shape(systems[name].init, jax.random.key(0))[0], f"the checkpoint of {name}")
    tests = {name: DiscTests(system) for name, system in systems.items()}
    held = next(iter(tests.values())).held_out
    errors, position, velocity = {}, {}, {}
    for name, (_, params) in models.items():
        errors[name] = held.errors(tests[name].predicted(params, held))
        position[name], velocity[name] = tests[name].rolled(params, held)
    return Compared(held, errors, position, held.beside(velocity, errors, steps))


__all__ = ["Compared", "compare"]
