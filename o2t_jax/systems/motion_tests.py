"""The measurements of system `motion` on held-out clips; the measures are defined in docs/motion.md."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.motion import rows
from o2t_jax.evaluation.motion.errors import by_clip, millimetres, squared, travelled
from o2t_jax.physics.motion.footlock import lock_feet
from o2t_jax.physics.motion.measures import measures
from o2t_jax.results import Column, Result, Scalar, Score, Table
from o2t_jax.systems.base import TrainState

if TYPE_CHECKING:
    from o2t_jax.systems.motion import Motion

_CHUNK = 32
MODEL = "model"
LOCKED = "model, feet locked afterwards"


class MotionTests:
    """Evaluators of a system."""

    def __init__(self, system: Motion) -> None:
        self.system, self.config = system, system.config

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Mean squared error over that of the best row."""
        found = self.errors("validation") | {MODEL: self._error(self.predicted(state, "validation"), "validation")}
        best = min(float(np.mean(found[row])) for row in rows.ROWS)
        yield "mse", Scalar(float(np.mean(found[MODEL])), "m²")
        yield "ratio", Score(float(np.mean(found[MODEL])) / best, baselines={"best row": 1.0}, better="lower")

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Errors by clip, class and group beside the rows; physical measures of all."""
        predicted = self.predicted(state, "test")
        found = self.errors("test") | {MODEL: self._error(predicted, "test")}
        means = {name: float(np.mean(x)) for name, x in found.items()}
        idle = {row: means[row] for row in rows.ROWS}
        yield "mse", Score(means[MODEL], "m²", baselines=idle, better="lower")
        yield "error_mm", Scalar(millimetres(found[MODEL]), "mm")
        yield "ratio", Scalar(means[MODEL] / min(idle.values()))
        mm = {row: millimetres(found[row]) for row in rows.ROWS}
        yield "rows", Table({"row": Column(), "mm": Column("mm", ".1f")}, [{"row": r, "mm": x} for r, x in mm.items()])
        square = Column("m²", ".5f")
        columns = {"group": Column(), "clips": Column("", "d"), **dict.fromkeys((MODEL, *rows.ROWS), square)}
        by_group = [_group(name, chosen, found) for name, chosen in self.groups()]
        yield "groups", Table({**columns, "ratio": Column("", ".3f")}, by_group)
        by_class = [_group(name, self._label == i, found) for i, name in enumerate(self.system.data.classes)]
        by_class = [row for row in by_class if row["clips"]]
        yield "classes", Table({**columns, "ratio": Column("", ".3f")}, by_class)
        yield "classes_won", Scalar(float(sum(row["ratio"] < 1.0 for row in by_class)), f"of {len(by_class)}")
        physical = self._physical(predicted)
        form = {"skate": ("m/s", ".4f"), "penetration": ("mm", ".3f"), "float": ("mm", ".3f"), "jerk": ("m/s³", ".1f")}
        shown = {
            "row": Column(),
            **{k: Column(*v) for k, v in form.items()},
            "travelled": Column("m", ".3f"),
            "error": Column("mm", ".1f"),
        }
        yield "physical", Table(shown, physical)
        for name, (unit, _) in form.items():
            yield name, Scalar(physical[0][name], unit)
        yield "travelled", Scalar(physical[0]["travelled"], "m")
        if self.config.model == "physics":
            gate = np.asarray(
                self._gates(
                    state.params, self._rows("test", np.arange(min(_CHUNK, len(self.system.data.windows("test")))))
                )
            )
            yield "gate", Scalar(float(np.mean(gate)))
            yield "gate_spread", Scalar(float(np.std(gate)))

    def groups(self) -> list[tuple[str, np.ndarray]]:
        """(name, test clips bool [N]): all, those of classes that travel, that stay, and gaits' events."""
        moving = np.array(self.system.data.moving())[self._label]
        found = [("all", np.ones_like(moving)), ("moving", moving), ("standing", ~moving)]
        if "stand" in self.system.data.classes:
            still = self._label == self.system.data.classes.index("stand")
            found += [("events", ~moving & ~still)]
        return [(name, chosen) for name, chosen in found if np.any(chosen)]

    def predicted(self, state: TrainState, split: str) -> np.ndarray:
        """Places [N, horizon, J, 3] after the given frames of a split's windows."""
        count = len(self.system.data.windows(split))
        return self._over(lambda i: self._predict(state.params, self._rows(split, i)), count)

    def guesses(self, split: str) -> dict[str, np.ndarray]:
        """Row -> places [N, horizon, J, 3]."""
        windows, known, given = self.system.data.windows(split), self.system.data.known, self.config.given
        first = windows.positions[:, :given]
        pose = rows.mean_pose_of(known.clips, given - 1)
        found = rows.from_frames(first, self.config.horizon, pose)
        return found | rows.from_clips(first, windows.label, windows.style, known)

    def errors(self, split: str) -> dict[str, np.ndarray]:
        """Row -> squared errors m² of each clip, the mean of its windows; computed once."""
        return self._errors(split)

    @functools.cache  # noqa: B019 (a system lives as long as its process)
    def _errors(self, split: str) -> dict[str, np.ndarray]:
        return {name: self._error(x, split) for name, x in self.guesses(split).items()}

    def _error(self, predicted: np.ndarray, split: str) -> np.ndarray:
        windows, given = self.system.data.windows(split), self.config.given
        each = squared(predicted, windows.positions[:, given:], windows.mask[:, given:])
        return by_clip(each, windows.clip)

    def _physical(self, predicted: np.ndarray) -> list[dict[str, Any]]:
        """Measures of the predicted frames of whole clips, first the model's, then of true ones and of the rows."""
        windows, given = self.system.data.windows("test"), self.config.given
        whole = windows.mask[:, -1] > 0
        whole = whole if np.any(whole) else np.ones_like(whole)
        mask = windows.mask[whole][:, given:]
        truth = windows.positions[:, given:]
        clips = {MODEL: predicted, "truth": truth, LOCKED: lock_feet(predicted), **self.guesses("test")}
        found = []
        for name, x in clips.items():
            of = {key: float(np.mean(value)) for key, value in self._measures(x[whole]).items()}
            millimetre = {key: 1e3 * of[key] for key in ("penetration", "float")}
            way = float(np.mean(travelled(x[whole], mask)))
            error = millimetres(squared(x[whole], truth[whole], mask))
            found.append({"row": name, **of, **millimetre, "travelled": way, "error": error})
        return found

    @functools.cached_property
    def _label(self) -> np.ndarray:
        windows = self.system.data.windows("test")
        return windows.label[np.unique(windows.clip, return_index=True)[1]]

    def _rows(self, split: str, index: np.ndarray) -> dict[str, np.ndarray]:
        return self.system.batch(split, index)

    def _over(self, function: Any, count: int) -> Any:
        return in_batches(function, count, min(_CHUNK, count))

    @functools.cached_property
    def _predict(self) -> Any:
        return jax.jit(lambda params, batch: self.system.predict(params, {}, batch))

    @functools.cached_property
    def _gates(self) -> Any:
        return jax.jit(
            lambda params, batch: self.system.drawn(params, batch, self.system.nothing(len(batch["mask"]))).gate
        )

    @functools.cached_property
    def _measures(self) -> Any:
        return jax.jit(lambda clips: measures(jnp.asarray(clips)))


def _group(name: str, chosen: np.ndarray, found: dict[str, np.ndarray]) -> dict[str, Any]:
    if not np.any(chosen):
        return {"clips": 0}
    means = {row: float(np.mean(x[chosen])) for row, x in found.items()}
    best = min(means[row] for row in rows.ROWS)
    return {
        "group": name,
        "clips": int(np.sum(chosen)),
        **means,
        "ratio": means[MODEL] / best if best else float("inf"),
    }


__all__ = ["MODEL", "MotionTests"]
