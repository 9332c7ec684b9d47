"""What system `motion` makes of words alone, heard by classifiers of true clips, beside clips that the words find.

The words are a caption of a class and a style. Retrieval draws of the training clips whose captions fit them best.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from o2t_jax.data.motion.captions import Captioned
from o2t_jax.evaluation.batches import in_batches
from o2t_jax.evaluation.motion import classes, rows
from o2t_jax.evaluation.motion.embedding_scores import POOL, scores_of
from o2t_jax.evaluation.motion.errors import by_clip, squared
from o2t_jax.results import Column, Result, Scalar, Score, Table
from o2t_jax.systems.base import TrainState
from o2t_jax.systems.motion_data import MotionData
from o2t_jax.systems.retrieval import Clips, bag_of_words

if TYPE_CHECKING:
    from o2t_jax.systems.motion import Motion

_CHUNK = 32
MODEL, TRUTH = "model", "true clips"
FOUND = "found by words"
CONTINUED, REDRAWN = f"{FOUND}, then continued from its first frames", f"{FOUND}, then drawn around its latent"


class WordTests:
    """The evaluator `text` of a system. Windows of a clip count as one, as everywhere."""

    def __init__(self, system: Motion) -> None:
        self.system, self.config = system, system.config

    def text(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """Shares of clips whose asked class, and style, is heard; errors, for what is drawn those of the best draw."""
        data = self.system.data
        train, test = data.windows("train"), data.windows("test")
        said = self._said(state)
        means = {
            "mean clip of class": rows.mean_of_cell(test.label, None, data.known),
            "mean clip of class and style": rows.mean_of_cell(test.label, test.style, data.known),
        }
        found = found_by_words(data, "test", np.random.default_rng(0))
        made = {
            MODEL: said,
            **({REDRAWN: self._said(state, found)} if self.config.latent else {}),
            CONTINUED: self._continued(state, found)[None],
            FOUND: train.positions[found][None],
            **{name: clips[None] for name, clips in means.items()},
            TRUTH: test.positions[None],
        }
        embedded = self._embedded(made, {TRUTH: test.mask, FOUND: train.mask[found]})
        right = {name: self._right(numbers) for name, numbers in embedded.items()}
        moving = np.array(data.moving())[test.label]
        heard = [{"row": name, **_shares(asked, styled, moving, test.clip)} for name, (asked, styled) in right.items()]
        for name in ("asked", "asked_moving", "asked_style"):
            yield name, Scalar(heard[0][name])
            yield name.replace("asked", "ceiling"), Scalar(heard[-1][name])
        share = Column("", ".3f")
        yield "rows", Table({"row": Column(), "asked": share, "asked_moving": share, "asked_style": share}, heard)
        yield "classes", self._by_class({name: asked for name, (asked, _) in right.items()})
        yield "embedding", self._compared(embedded)
        errors = np.stack([self._error(clips) for clips in said])
        idle = {name: float(np.mean(self._error(clips))) for name, clips in means.items()}
        yield "mse", Score(float(np.mean(errors)), "m²", baselines=idle, better="lower")
        if self.config.latent:
            others = classes.random_of_class(train.label, test.label, self.config.draws)
            clips = np.min([self._error(train.positions[i]) for i in others], axis=0)
            best = {"clips of the class": float(np.mean(clips))}
            yield "best_of_draws", Score(float(np.mean(np.min(errors, axis=0))), "m²", baselines=best, better="lower")

    def _said(self, state: TrainState, found: np.ndarray | None = None) -> np.ndarray:
        """Clips [draws, N, T, J, 3] of the test's words; one draw where nothing is drawn. Args: `found`, training
        windows [N] around whose latents it is drawn; None: around what is expected of the words."""
        system, words = self.system, self.system.data.split("test").words
        dice = np.random.default_rng(0).normal(size=(self.config.draws, len(words), self.config.latent))
        dice = dice.astype(np.float32) if self.config.latent else dice[:1].astype(np.float32)
        of_words = jax.jit(lambda params, asked, z: system.said(params, asked, system.of_words(params, asked, z)))
        of_clips = jax.jit(lambda params, asked, z, b: system.said(params, asked, system.of_clips(params, b, z)))

        def some(i: np.ndarray, z: np.ndarray) -> Any:
            if found is None:
                return of_words(state.params, words[i], z[i])
            return of_clips(state.params, words[i], z[i], system.batch("train", found[i]))

        return np.stack([self._over(functools.partial(some, z=z), len(words)) for z in dice])

    def _continued(self, state: TrainState, found: np.ndarray) -> np.ndarray:
        """The first frames of training windows `found` [N], and how the model goes on from them, as the words ask."""
        words = self.system.data.split("test").words

        @jax.jit
        def drawn(params: Any, batch: Any) -> Any:
            return self.system.drawn(params, batch, self.system.nothing(len(batch["mask"]))).positions

        def some(i: np.ndarray) -> Any:
            return drawn(state.params, self.system.batch("train", found[i]) | {"words": words[i]})

        return self._over(some, len(found))

    def _embedded(self, made: dict[str, np.ndarray], known: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Row -> what the judges of class and style give to clips [draws, N, ...]: numbers [draws, N, C + S].

        True clips end where they end (`known`); others are heard for as long as their class's usually last. The judges
        are fitted to training clips, of which the row `FOUND` is: its shares are of clips that they have seen.
        """
        data = self.system.data
        train, test = data.windows("train"), data.windows("test")
        usual = np.stack([classes.usual_mask(train.mask, train.label, i) for i in range(len(data.classes))])
        judges = [
            classes.fit(train.positions, train.mask, train.label, len(data.classes)),
            classes.fit(train.positions, train.mask, train.style, len(data.styles)),
        ]

        def heard(clips: np.ndarray, mask: np.ndarray) -> np.ndarray:
            return np.concatenate([judge.scores(clips, mask) for judge in judges], axis=-1)

        return {
            name: np.stack([heard(clips, known.get(name, usual[test.label])) for clips in draws])
            for name, draws in made.items()
        }

    def _compared(self, embedded: dict[str, np.ndarray]) -> Table:
        """R-precision, distance from the text, Fréchet distance from true clips, of one draw, in the judges' numbers.

        No other library's evaluator: only rows of this table compare with each other.
        """
        data, test = self.system.data, self.system.data.windows("test")
        texts = np.concatenate([np.eye(len(data.classes))[test.label], np.eye(len(data.styles))[test.style]], axis=-1)
        true, pool = embedded[TRUTH][0], min(POOL, len(texts))
        table = [{"row": name, **scores_of(texts, own, true, pool)} for name, (own, *_) in embedded.items()]
        return Table({name: Column("", "" if name == "row" else ".3f") for name in table[0]}, table)

    def _right(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether the asked class, and style, is heard: bool [draws, N] each, of the judges' numbers."""
        data, test = self.system.data, self.system.data.windows("test")
        of_class, of_style = np.split(numbers, [len(data.classes)], axis=-1)
        return np.argmax(of_class, axis=-1) == test.label, np.argmax(of_style, axis=-1) == test.style

    def _by_class(self, asked: dict[str, np.ndarray]) -> Table:
        """The share of each class's clips in which it is heard, by row; windows of a clip count as one."""
        test, names = self.system.data.windows("test"), self.system.data.classes
        table = []
        for i in np.unique(test.label):
            own = test.label == i
            heard = {
                row: float(np.mean(by_clip(np.mean(right, axis=0)[own], test.clip[own])))
                for row, right in asked.items()
            }
            table.append({"class": names[i], "clips": len(np.unique(test.clip[own])), **heard})
        columns = {"class": Column(), "clips": Column("", "d"), **dict.fromkeys(asked, Column("", ".2f"))}
        return Table(columns, table)

    def _error(self, clips: np.ndarray) -> np.ndarray:
        """Squared errors m² of each test clip after the frames that are given elsewhere."""
        test, given = self.system.data.windows("test"), self.config.given
        return by_clip(squared(clips[:, given:], test.positions[:, given:], test.mask[:, given:]), test.clip)

    def _over(self, function: Callable[[np.ndarray], Any], count: int) -> Any:
        return in_batches(function, count, min(_CHUNK, count))


def found_by_words(data: MotionData, name: str, rng: np.random.Generator) -> np.ndarray:
    """Of each window of a split, the number of a training window: one of those whose caption fits its own best."""
    train, asked = data.windows("train"), data.windows(name)
    cells = sorted(set(zip(train.label.tolist(), train.style.tolist(), strict=True)))
    captions = Clips([Captioned("", "", (data.sentence(*cell),)) for cell in cells], bag_of_words)
    wanted = sorted(set(zip(asked.label.tolist(), asked.style.tolist(), strict=True)))
    scores = captions.scores([data.sentence(*cell) for cell in wanted])
    cell_of = {cell: i for i, cell in enumerate(cells)}
    number = np.array([cell_of[cell] for cell in zip(train.label.tolist(), train.style.tolist(), strict=True)])
    pools = {
        cell: np.flatnonzero(np.isin(number, np.flatnonzero(row == np.max(row))))
        for cell, row in zip(wanted, scores, strict=True)
    }
    return np.array([rng.choice(pools[cell]) for cell in zip(asked.label.tolist(), asked.style.tolist(), strict=True)])


def _shares(asked: np.ndarray, styled: np.ndarray, moving: np.ndarray, clip: np.ndarray) -> dict[str, float]:
    """Means over clips of what is heard in windows [draws, N] of them; `asked_moving` of those that travel."""

    def mean(right: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.mean(by_clip(np.mean(right, axis=0)[chosen], clip[chosen]))) if np.any(chosen) else 0.0

    everyone = np.ones_like(moving)
    return {"asked": mean(asked, everyone), "asked_moving": mean(asked, moving), "asked_style": mean(styled, everyone)}


__all__ = ["CONTINUED", "FOUND", "MODEL", "TRUTH", "WordTests", "found_by_words"]
