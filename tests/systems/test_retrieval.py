"""From words to clips: bags of words, recalls with equal scores, and what a file of captions must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from o2t_jax.data.motion.captions import Captioned, read_motion_captions
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.motion.retrieval import best_of_items, recall
from o2t_jax.systems.retrieval import Clips, bag_of_words, measure

TEXTS = ["a person walks", "a person walks slowly", "someone waves, and waves", "a person jumps"]


def test_equal_scores_count_as_in_a_random_order() -> None:
    scores = np.array([[3.0, 2.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(recall(scores, np.array([1, 0]), 1), [0.0, 0.25])
    np.testing.assert_allclose(recall(scores, np.array([1, 0]), 2), [0.5, 0.5])
    np.testing.assert_allclose(recall(scores, np.array([1, 0]), 4), [1.0, 1.0])
    np.testing.assert_array_equal(best_of_items(scores[:1], np.array([0, 0, 1, 2])), [[3.0, 2.0, 1.0]])


def test_bags_are_unit_vectors_in_which_a_rare_word_weighs_more() -> None:
    encode = bag_of_words(TEXTS)
    bags = encode([*TEXTS, "nothing known here"])
    length = np.asarray(bags.multiply(bags).sum(axis=1)).ravel()
    np.testing.assert_allclose(length, [1, 1, 1, 1, 0], atol=1e-12)
    cosine = (bags @ bags.T).toarray()
    assert cosine[0, 1] > cosine[0, 3] > cosine[0, 2] == 0.0


def test_bags_are_those_of_scikit_learn() -> None:
    text: Any = pytest.importorskip("sklearn.feature_extraction.text")
    peer = text.TfidfVectorizer(token_pattern=r"\w+").fit(TEXTS)
    for some in (TEXTS, ["walks walks a zebra"]):
        ours, theirs = bag_of_words(TEXTS)(some), peer.transform(some)
        np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-12)


def motions() -> list[Captioned]:
    said = [("a person walks", "person walks on"), ("someone waves",), ("a man jumps", "he jumps")]
    return [Captioned(str(i), f"clip{i}", texts) for i, texts in enumerate(said)]


def test_the_nearest_clip_is_found_with_its_nearest_caption() -> None:
    first, second = Clips(motions(), bag_of_words)("a person who walks on", 2)
    assert (first.motion.path, first.text) == ("clip0", "person walks on")
    assert first.score > second.score
    with pytest.raises(UsageError, match="no caption has any word of 'zebra'"):
        Clips(motions(), bag_of_words)("zebra", 2)


def test_captions_are_looked_for_among_the_others_of_all_motions() -> None:
    found = measure(motions(), bag_of_words, ks=(1, 3))
    assert (found.queries, found.motions, found.pool) == (2, 3, 3)
    assert found.recall == {1: 1.0, 3: 1.0} and found.of_pool == {1: 1.0, 3: 1.0}
    # Bags of strange words say nothing: chance.
    nothing = lambda texts: lambda given: np.zeros((len(given), 1))  # noqa: E731
    assert measure(motions(), nothing, ks=(1,)).recall[1] == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match="two captions"):
        measure(motions()[1:2], bag_of_words)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "cannot be read"),
        ("{", "is no file"),
        ("[]", "is no file"),
        ('{"1": {"path": "x"}}', "is no file"),
        ("{}", "no captions"),
    ],
)
def test_another_file_is_one_line(tmp_path: Path, content: str | None, part: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(UsageError, match=part):
        read_motion_captions(tmp_path / "x.json")
