"""Sentences as numbers: every token of a made sentence can be written, and words in no list have a number too."""

from __future__ import annotations

import itertools

import pytest

from o2t_jax.data.scene.coding import Vocabulary, decode, encode
from o2t_jax.data.scene.grammar import pairs_of, sentences
from o2t_jax.data.scene.parser import tokens_of
from o2t_jax.data.scene.tokens import from_tokens, to_tokens
from o2t_jax.systems.scene_parser_config import default
from o2t_jax.systems.scene_parser_data import GrammarData, strange_nouns


def stem(word: str) -> str:
    return {"sitting": "sit", "blorps": "blorp"}.get(word, word)


LISTED = Vocabulary((".", "is"), ("cat", "sit"), stem)


def test_a_sequence_comes_back_through_its_numbers() -> None:
    words, tokens = ["blorps", "sitting", "zap"], ["blorp", "sit", "zap", "is", "blorps"]
    made = encode(LISTED, [words], [[*tokens, "."]], 4, 8)
    assert decode(LISTED, words, made["target"][0], 4) == tokens
    assert made["present"][0].tolist() == [1, 1, 1, 0] + [1] * 6 + [0, 0]
    # What is read before a token is the token before it, and first the start.
    assert made["before"][0, 0] == LISTED.embedded - 1
    assert made["before"][0, 2] == LISTED.numbers["sit"]


def test_what_can_be_neither_generated_nor_copied_teaches_nothing() -> None:
    made = encode(LISTED, [["cat"]], [["cat", "dog", "sit", "."]], 2, 4)
    # "sit" is in the list of words that are read, and no word of the sentence.
    assert made["present"][0, 2:].tolist() == [1, 0, 0, 1]


def test_equal_words_have_one_number_and_strange_ones_their_own() -> None:
    ids = encode(LISTED, [["zap", "cat", "zap", "zip"]], [], 4, 4)["ids"][0]
    assert ids[0] == ids[2] != ids[3] and min(ids[0], ids[3]) >= LISTED.size
    assert ids[1] == LISTED.numbers["cat"]
    assert (ids[4:] == ids[:4]).all()  # none is a form of another


@pytest.fixture(scope="module")
def data() -> GrammarData:
    config = default()
    config.update(pairs=200, test_sentences=100, strange=0.5)
    return GrammarData(config)


def test_every_token_of_every_made_sentence_can_be_written(data) -> None:
    made, pairs = data.split("train"), data.train
    for i, (words, truth) in enumerate(zip(made.words, made.truths, strict=True)):
        tokens = to_tokens(truth)
        assert pairs["present"][i, data.config.length :].sum() == len(tokens)
        assert from_tokens(decode(data.vocabulary, words, pairs["target"][i], data.config.length)) == truth


def test_strange_things_are_in_no_list(data) -> None:
    strange = set(strange_nouns())
    assert not strange & set(data.vocabulary.numbers)
    said = {entity.noun for truth in data.split("train").truths for entity in truth.entities}
    assert len(said & strange) > 20


def test_no_training_sentence_has_a_pair_of_words_that_a_test_holds_out(data) -> None:
    trained = {pair for truth in data.split("train").truths for pair in pairs_of(truth)}
    more = itertools.islice(sentences(7, data.nouns, False), 3000)
    trained |= {pair for _, truth in more for pair in pairs_of(truth)}
    for truth in data.split("test").truths:
        assert set(pairs_of(truth)) - trained
    assert all(tokens_of(text) == list(words) for text, _, words in zip(*data.split("test"), strict=True))
