"""A sentence read by a trained `scene_parser`: its description, with what is unknown named, as the rule parser's is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from o2t_jax.data.scene import words
from o2t_jax.data.scene.coding import decode, encode
from o2t_jax.data.scene.parser import MOST_THINGS, tokens_of
from o2t_jax.data.scene.tokens import from_tokens
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Description
from o2t_jax.systems.scene_parser import SceneParser
from o2t_jax.systems.scene_parser_data import made_vocabulary


def read_sentence(system: SceneParser, params: Any, sentence: str, nouns: Iterable[str]) -> Description:
    """What `sentence` says. `nouns`: the things that are known, besides persons; they may be others than in training.

    Raises: UsageError for an empty sentence, one that is too long, and where no known thing was read.
    """
    given, things = tokens_of(sentence), tuple(nouns)
    config = system.config
    if not any(token.isalnum() for token in given):
        raise UsageError('the sentence is empty: give one such as "a red ball falls next to a person who walks"')
    if len(given) > config.length:
        raise UsageError(f"the sentence has {len(given)} words; the learned parser reads at most {config.length}")
    # The list of words is the training's; what a plural is one of may be new.
    listed = dataclasses.replace(system.vocabulary, lemma=made_vocabulary(things, ()).lemma)
    batch = encode(listed, [given], [], config.length, config.out_length)
    chosen = np.asarray(system.chosen(params, batch))[0]
    found = from_tokens(decode(listed, given, chosen, config.length))
    if found is None:
        raise UsageError(f"the learned parser wrote no description of {sentence!r}: say it in other words")
    found = known_only(found, frozenset(things) | words.PERSONS)
    if not found.entities:
        raise UsageError(f"no known thing in {sentence!r}: known are person, {', '.join(sorted(set(things)))}")
    for entity in found.entities:
        if not 1 <= entity.number <= MOST_THINGS:
            raise UsageError(f"{entity.number} things: the number must be from 1 to {MOST_THINGS}; say another one")
    return found


def known_only(description: Description, nouns: frozenset[str]) -> Description:
    """Without the entities whose noun, and the actions and attributes whose word, is unknown: `unknown` names them."""
    kept = [i for i, entity in enumerate(description.entities) if entity.noun in nouns]
    new = {old: i for i, old in enumerate(kept)}
    unknown = [entity.noun for entity in description.entities if entity.noun not in nouns]
    entities, actions = [], []
    for i in kept:
        entity = description.entities[i]
        unknown += [word for word in entity.attributes if word not in words.ATTRIBUTES]
        known = tuple(word for word in entity.attributes if word in words.ATTRIBUTES)
        entities.append(dataclasses.replace(entity, attributes=known))
    for action in description.actions:
        if action.verb not in words.VERBS:
            unknown.append(action.verb)
        elif action.subject in new:
            other = None if action.object is None else new.get(action.object)
            actions.append(dataclasses.replace(action, subject=new[action.subject], object=other))
    relations = tuple(
        dataclasses.replace(r, subject=new[r.subject], object=new[r.object])
        for r in description.relations
        if r.subject in new and r.object in new
    )
    named = tuple(dict.fromkeys((*description.unknown, *unknown)))
    return Description(tuple(entities), tuple(actions), relations, named)


__all__ = ["known_only", "read_sentence"]
