"""The measurements of system `scene_parser`, beside the rule parser and a row that says nothing (docs/scene.md)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from o2t_jax.data.scene import captions
from o2t_jax.data.scene.parser import parse
from o2t_jax.data.scene.rule_graph import nouns_of, rule_graph
from o2t_jax.data.scene.tokens import from_tokens
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.scene.triples import f1, is_relation, set_match
from o2t_jax.physics.scene.description import Description
from o2t_jax.results import Column, Result, Scalar, Score, ScoreTable
from o2t_jax.systems.base import TrainState

if TYPE_CHECKING:
    from o2t_jax.systems.scene_parser import SceneParser

NOTHING, RULES, LEARNED = "nothing is said", "rule parser", "learned parser"


class ParserTests:
    """Evaluators of a system."""

    def __init__(self, system: SceneParser) -> None:
        self.system, self.config = system, system.config

    def validation(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """The number that chooses the best checkpoint, on few sentences."""
        if self.config.captions:
            some = self._captions("validation")[: self.config.validation_sentences]
            found = self._graphs(state, some)
            yield "set_match", Score(set_match(found, _truth(some)), baselines={NOTHING: 0.0}, better="higher")
            yield "f1", Scalar(f1(found, _truth(some)))
            return
        made: Any = self.system.data.split("validation")
        written = self.system.written(state.params, made.words)
        yield "exact", Score(_exact(map(from_tokens, written), made.truths), baselines={NOTHING: 0.0}, better="higher")

    def test(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        """On held-out pairs of words, or on the captions of test.csv."""
        yield from self._test_captions(state) if self.config.captions else self._test_made(state)

    def _test_made(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        made: Any = self.system.data.split("test")
        found = [from_tokens(tokens) for tokens in self.system.written(state.params, made.words)]
        rules = _exact([self._rules(text) for text in made.texts], made.truths)
        rows = {NOTHING: _exact([Description(())] * len(found), made.truths), RULES: rules}
        yield "exact", Score(_exact(found, made.truths), baselines=rows, better="higher")
        yield "valid", Scalar(sum(d is not None for d in found) / len(found))
        for part in ("entities", "actions", "relations"):
            right = [getattr(d, part, None) == getattr(t, part) for d, t in zip(found, made.truths, strict=True)]
            yield part, Scalar(sum(right) / len(right))

    def _test_captions(self, state: TrainState) -> Iterator[tuple[str, Result]]:
        some = self._captions("test")
        nouns = self._nouns
        graphs = {
            LEARNED: self._graphs(state, some),
            RULES: [rule_graph(caption.words, nouns) for caption in some],
            NOTHING: [()] * len(some),
        }
        truth = _truth(some)
        measures = {
            "set_match": set_match,
            "relation_f1": lambda a, b: f1(a, b, is_relation),
            "f1": f1,
        }
        rows = [{"method": m, **{k: measure(g, truth) for k, measure in measures.items()}} for m, g in graphs.items()]
        for name in measures:
            score = {row["method"]: row[name] for row in rows}
            yield name, Score(score.pop(LEARNED), baselines=score, better="higher")
        columns = {"method": Column(), **{name: Column("", ".3f") for name in measures}}
        yield "parsers", ScoreTable(columns, rows, baselines=(RULES, NOTHING), better="higher", method=LEARNED)

    def _captions(self, split: str) -> list[captions.Caption]:
        found: Any = self.system.data.split(split)
        return found

    @functools.cached_property
    def _nouns(self) -> tuple[str, ...]:
        return nouns_of(self._captions("train"))

    def _graphs(self, state: TrainState, some: Sequence[captions.Caption]) -> list[tuple[captions.Triple, ...]]:
        written = self.system.written(state.params, [caption.words for caption in some])
        return [captions.from_sequence(tokens) for tokens in written]

    def _rules(self, text: str) -> Description | None:
        data: Any = self.system.data
        try:
            return parse(text, data.nouns)
        except UsageError:
            return None


def _truth(some: Sequence[captions.Caption]) -> list[tuple[captions.Triple, ...]]:
    return [caption.graph for caption in some]


def _exact(found: Any, truths: Sequence[Description]) -> float:
    """Share of descriptions whose JSON is the true one."""
    return sum(d is not None and d.as_json() == t.as_json() for d, t in zip(found, truths, strict=True)) / len(truths)


__all__ = ["LEARNED", "NOTHING", "RULES", "ParserTests"]
