"""The learned parser: trained on pairs, written to one file of weights, read from it again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from o2t_jax.data.scene import tokens as coded
from o2t_jax.data.scene import words
from o2t_jax.data.scene.grammar import sentences
from o2t_jax.data.scene.parser import tokens_of
from o2t_jax.data.scene.tokens import Encoded, Vocabulary
from o2t_jax.errors import UsageError
from o2t_jax.models.scene.parser import PointerParser, greedy, loss
from o2t_jax.physics.scene.description import Description, Entity

Read = tuple[Sequence[str], Sequence[str]]
Pair = tuple[Read, Sequence[str]]
SHIPPED = "parser.npz"
_AT_ONCE = 64


class Learned(NamedTuple):
    """A trained network with its vocabulary."""

    model: PointerParser
    params: Any
    vocabulary: Vocabulary

    def write(self, read: Sequence[Read]) -> list[list[str]]:
        """Each sentence's tokens, given as (words, lemmas), without the end's."""
        found: list[list[str]] = []
        start = self.vocabulary.fixed.index(coded.START)
        for first in range(0, len(read), _AT_ONCE):
            part = list(read[first : first + _AT_ONCE])
            padded = part + [part[-1]] * (_AT_ONCE - len(part)) if len(read) > 1 else part
            batch = coded.encode(padded, [], self.vocabulary, self.model.length, self.model.out_length)
            chosen = np.asarray(greedy(self.model, self.params, batch, start))
            found += [self._text(row, lemmas) for row, (_, lemmas) in zip(chosen, part, strict=False)]
        return found

    def _text(self, row: np.ndarray, lemmas: Sequence[str]) -> list[str]:
        text: list[str] = []
        for number in row:
            place = int(number) - self.model.fixed
            token = self.vocabulary.fixed[number] if place < 0 else lemmas[place] if place < len(lemmas) else coded.END
            if token == coded.END:
                break
            text.append(token)
        return text

    def parse(self, sentence: str, nouns: Sequence[str]) -> Description | None:
        """What a sentence says; None where the network wrote no description. Nouns may be any words."""
        given = tokens_of(sentence)
        written = self.write([(given, coded.lemmas_of(given, frozenset(nouns)))])[0]
        return coded.from_tokens(written)


def made_pairs(seed: int, nouns: tuple[str, ...], held_out: bool) -> Iterator[Pair]:
    """Endless pairs of the grammar."""
    names = frozenset(nouns)
    for sentence, description in sentences(seed, nouns, held_out):
        given = tokens_of(sentence)
        yield (given, coded.lemmas_of(given, names)), coded.to_tokens(description)


def made_vocabulary(nouns: tuple[str, ...]) -> Vocabulary:
    """All words of the grammar and their forms."""
    phrases = {word for phrase in words.PHRASES for word in phrase}
    things = set(nouns) | words.PERSONS
    every = things | {words.plural(noun) for noun in things} | set(words.verb_of()) | phrases | set(words.ATTRIBUTES)
    every |= set(words.MANNERS) | set(words.NUMBERS) | words.DETERMINERS | words.RELATIVES | words.BE | words.JOINERS
    return Vocabulary(tuple(sorted(every | words.SILENT - set(coded.FIXED))))


def train(
    model: PointerParser,
    vocabulary: Vocabulary,
    next_pairs: Callable[[], Sequence[Pair]],
    steps: int,
    rate: float = 1.5e-3,
    seed: int = 0,
    minutes: float = np.inf,
    report: Callable[[str], None] = print,
) -> Learned:
    """`steps` of AdamW on batches of `next_pairs()`, one cycle; ends before where `minutes` are over."""

    def encoded() -> Encoded:
        read, written = zip(*next_pairs(), strict=True)
        return coded.encode(read, written, vocabulary, model.length, model.out_length)

    params = model.init(jax.random.key(seed), encoded())
    schedule = optax.cosine_onecycle_schedule(steps, rate, 0.1)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.01))

    @jax.jit
    def step(params: Any, state: Any, batch: Encoded, key: jax.Array) -> tuple[Any, Any, jax.Array]:
        def objective(params: Any) -> jax.Array:
            return loss(jnp.asarray(model.apply(params, batch, train=True, rngs={"dropout": key})), batch)

        value, gradient = jax.value_and_grad(objective)(params)
        change, state = tx.update(gradient, state, params)
        return optax.apply_updates(params, change), state, value

    state, start = tx.init(params), time.monotonic()
    for i, key in enumerate(jax.random.split(jax.random.key(seed + 1), steps)):
        params, state, value = step(params, state, encoded(), key)
        if i % 200 == 0 or i == steps - 1:
            report(f"step {i} loss {float(value):.4f} {time.monotonic() - start:.0f} s")
        if time.monotonic() - start > 60.0 * minutes:
            break
    return Learned(model, params, vocabulary)


def save(learned: Learned, path: Path) -> None:
    """Weights in half precision, sizes and vocabulary, in one file."""
    model = learned.model
    about = {
        "sizes": {name: getattr(model, name) for name in ("length", "out_length", "width", "layers", "heads")},
        "known": learned.vocabulary.known,
        "fixed": learned.vocabulary.fixed,
    }
    leaves = {"/".join(name): np.asarray(leaf, np.float16) for name, leaf in flatten_dict(learned.params).items()}
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **leaves)


def load(path: Path | None = None) -> Learned:
    """The weights of `path`, those shipped by default. Raises: UsageError where the file is none of `save`."""
    try:
        with resources.as_file(resources.files("o2t_jax.models.scene") / SHIPPED) as own, np.load(path or own) as file:
            about = json.loads(str(file["about"]))
            leaves = {tuple(name.split("/")): jnp.asarray(file[name], jnp.float32) for name in file if name != "about"}
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path or SHIPPED}: no weights of a parser ({error}); train them by the study") from None
    vocabulary = Vocabulary(tuple(about["known"]), tuple(about["fixed"]))
    model = PointerParser(len(vocabulary), len(vocabulary.fixed), **about["sizes"])
    return Learned(model, unflatten_dict(leaves), vocabulary)


def known_only(description: Description, nouns: Sequence[str]) -> Description:
    """Without the entities whose noun is unknown, which are named in `unknown`."""
    names = set(nouns) | words.PERSONS
    kept = [i for i, entity in enumerate(description.entities) if entity.noun in names]
    new = {old: i for i, old in enumerate(kept)}
    lost: list[Entity] = [entity for entity in description.entities if entity.noun not in names]
    return Description(
        tuple(description.entities[i] for i in kept),
        tuple(
            a.__class__(new[a.subject], a.verb, None if a.object is None else new.get(a.object), a.manner)
            for a in description.actions
            if a.subject in new
        ),
        tuple(
            r.__class__(new[r.subject], r.predicate, new[r.object])
            for r in description.relations
            if r.subject in new and r.object in new
        ),
        (*description.unknown, *(entity.noun for entity in lost)),
    )


__all__ = ["Learned", "known_only", "load", "made_pairs", "made_vocabulary", "save", "train"]
