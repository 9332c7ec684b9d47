"""The rule parser and the grammar of sentences: what a sentence says, what is named, what is refused."""

from __future__ import annotations

import itertools
import json

import pytest

from o2t_jax.data.scene.grammar import is_held_out, sentences
from o2t_jax.data.scene.knowledge import load_kinds, thing
from o2t_jax.data.scene.parser import parse
from o2t_jax.data.scene.tokens import from_tokens, to_tokens
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene.description import Action, Description, Entity, Relation

NOUNS = tuple(sorted(load_kinds()))


def said(sentence: str) -> Description:
    return parse(sentence, NOUNS)


def test_the_issues_sentence():
    assert said("a red ball falls next to a person who walks") == Description(
        (Entity("ball", 1, ("red",)), Entity("person")),
        (Action(0, "fall"), Action(1, "walk")),
        (Relation(0, "next to", 1),),
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A ball is on a table.", "a ball on a table"),
        ("there is a box to the left of a lamp", "a box left of a lamp"),
        ("two balls fall onto a box", "2 balls are falling on top of a box"),
        ("a man pushes a crate", "a crate is pushed by a man"),
    ],
)
def test_two_ways_to_say_the_same(one: str, other: str):
    first, second = said(one), said(other)
    named = lambda d: {  # noqa: E731
        *((d.entities[a.subject], a.verb, None if a.object is None else d.entities[a.object]) for a in d.actions),
        *((d.entities[r.subject], r.predicate, d.entities[r.object]) for r in d.relations),
    }
    assert named(first) == named(second)


def test_the_comes_back_to_what_was_named():
    description = said("a ball is on a box and a man kicks the ball")
    assert len(description.entities) == 3
    assert description.actions == (Action(2, "kick", 0),)


def test_the_subject_of_a_verb_and_of_a_relation_follows_the_clause():
    relative = said("a red ball that is next to a box falls")
    assert relative.actions == (Action(0, "fall"),)
    assert said("a person kicks a ball behind a tree").relations == (Relation(1, "behind", 2),)
    assert said("a ball and a box fall next to a chair").relations == (
        Relation(0, "next to", 2),
        Relation(1, "next to", 2),
    )


def test_unknown_words_are_named_and_the_rest_is_made():
    description = said("a shiny ball falls next to a dragon and a box")
    assert description.unknown == ("shiny", "dragon")
    assert [entity.noun for entity in description.entities] == ["ball", "box"]


@pytest.mark.parametrize(
    ("sentence", "part"), [("", "empty"), ("...", "empty"), ("dragons sing", "dragons"), ("9 balls", "from 1 to 6")]
)
def test_what_cannot_be_read_is_one_line(sentence: str, part: str):
    with pytest.raises(UsageError, match=part) as caught:
        said(sentence)
    assert "\n" not in str(caught.value)


def test_the_grammar_keeps_its_held_out_pairs_out_and_its_sequences_come_back():
    for held_out in (False, True):
        for _, description in itertools.islice(sentences(0, NOUNS, held_out), 100):
            assert is_held_out(description) == held_out
            assert from_tokens(to_tokens(description)) == description


def test_the_rules_read_the_grammars_sentences():
    made = list(itertools.islice(sentences(1, NOUNS, True), 300))
    right = sum(said(sentence) == description for sentence, description in made)
    assert right >= 0.97 * len(made)


def test_a_broken_sequence_is_no_description():
    assert from_tokens(["ball", "E", "1"]) is None
    assert from_tokens(["E", "1", "ball", "R", "#0", "on", "#1"]) is None


def test_attributes_change_size_mass_and_colour():
    kinds = load_kinds()
    plain, big = thing(kinds, "box", ()), thing(kinds, "crate", ("big", "heavy", "red"))
    assert plain is not None and big is not None
    assert big.half == pytest.approx(1.3 * plain.half)
    assert big.mass == pytest.approx(2.0 * 1.3**3 * plain.mass)
    assert big.colour == "red"


def test_a_user_adds_a_thing(tmp_path):
    file = tmp_path / "own.json"
    file.write_text(
        json.dumps([{"name": "dragon", "mass": 50, "parts": [{"shape": "sphere", "size": [0.5], "at": [0, 0, 0.5]}]}])
    )
    kinds = load_kinds(file)
    assert parse("a dragon falls", kinds).entities == (Entity("dragon"),)
    assert kinds["dragon"].half == pytest.approx([0.5, 0.5, 0.5])


_BALL = '[{"name": "x", "mass": 1, "parts": [{"shape": "sphere", "size": [1], "at": [0, 0, 1], "colour": COLOUR}]}]'


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "JSON"),
        ("[" * 5000, "JSON"),
        (f'[{{"name": "x", "mass": 1, "parts": [{{"shape": "sphere", "size": [{10**400}]}}]}}]', "1 numbers above 0"),
        ('{"name": "x"}', "list"),
        ('[{"mass": 1}]', "no name"),
        ('[{"name": "x", "mass": -1, "parts": []}]', "mass"),
        ('[{"name": "x", "mass": 1, "parts": [{"shape": "cone", "size": [1]}]}]', "cone"),
        ('[{"name": "x", "mass": 1, "parts": [{"shape": "box", "size": [1]}]}]', "3 numbers"),
        ('[{"name": "x", "mass": 1, "color": "red", "parts": []}]', "color"),
        ('[{"name": "x", "mass": 1, "parts": [{"shape": ["box"], "size": [1]}]}]', "shape .* is unknown"),
        (_BALL.replace("COLOUR", '"mauve"'), "colour 'mauve' is unknown"),  # once found only when the film was drawn
        (_BALL.replace("COLOUR", "[1]"), "colour .* is unknown"),
        (_BALL.replace("COLOUR", '"red"').replace("{", '{"aliases": "orb", ', 1), "aliases='orb' must be a list"),
    ],
)
def test_a_wrong_file_of_things_is_one_line(tmp_path, text: str, part: str):
    file = tmp_path / "own.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=part):
        load_kinds(file)


def test_a_sentence_of_thousands_of_words_is_refused_at_once():
    """Its time grew with the square of its words: 2 s for 25 kB (found by fuzzing)."""
    with pytest.raises(UsageError, match="10003 words and signs: give at most 300"):
        parse("a red ball " + "a ball " * 5000, NOUNS)
