"""Captions with scene graphs: their files, sequences and stems, the rule parser's graphs, a Visual Genome folder."""

from __future__ import annotations

import collections
import json
from pathlib import Path

import pytest

from o2t_jax.data.scene.captions import (
    Caption,
    Stems,
    from_sequence,
    graph_text,
    read_captions,
    read_graph,
    to_sequence,
    vocabulary_of,
    words_of,
)
from o2t_jax.data.scene.genome import ATTRIBUTES, GRAPHS, read_genome
from o2t_jax.data.scene.rule_graph import nouns_of, rule_graph
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.scene.triples import f1, is_relation, set_match

GRAPH = (("girl", "sit on", "bed"), ("girl", "is", "young"))
CAPTION = Caption(("young", "girl", "sitting", "on", "a", "bed"), GRAPH)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text('image_id,caption,scene_graph\n1,"Young girl sitting on a bed .","' + graph_text(GRAPH) + '"\n')
    assert read_captions(file) == [CAPTION]
    assert read_graph("( giraffe )") == (("giraffe",),)


@pytest.mark.parametrize(
    ("content", "part"), [(None, "cannot be read"), (b"a,b\n1,2\n", "no columns"), (b"\xff\xfe", "no CSV")]
)
def test_another_file_is_refused_in_a_line(tmp_path: Path, content: bytes | None, part: str) -> None:
    file = tmp_path / "some.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=part) as error:
        read_captions(file)
    assert "\n" not in str(error.value)


def test_a_graph_comes_back_from_its_sequence_whatever_its_order() -> None:
    assert to_sequence(CAPTION) == "girl | is | young ; girl | sit on | bed .".replace(" on", "  on").split()
    turned = Caption(CAPTION.words, GRAPH[::-1])
    assert to_sequence(turned) == to_sequence(CAPTION)
    assert set(from_sequence(to_sequence(CAPTION)[:-1])) == set(GRAPH)
    assert from_sequence(["girl", "|", "|", "bed", ";", ";", "cat"]) == (("cat",),)


def test_stems_are_words_that_the_graphs_have() -> None:
    stems = Stems(collections.Counter({"sit": 5, "ride": 5, "rid": 1, "lie": 2, "carry": 2, "hold": 3}))
    words = "sitting riding lying carries holds planes sit"
    assert [stems(word) for word in words.split()] == ["sit", "ride", "lie", "carry", "hold", "planes", "sit"]


def test_only_what_captions_lack_is_generated() -> None:
    listed = vocabulary_of([CAPTION] * 3, 3, 2)
    assert set(listed.fixed) == {".", "|", ";", "is", "sit"}
    assert "girl" in listed.known and "girl" not in listed.fixed
    assert listed.lemma("sitting") == "sit"


def test_measures_of_graphs() -> None:
    truth = [GRAPH, (("cat", "on", "mat"),)]
    assert set_match([GRAPH[::-1], ()], truth) == 0.5
    assert f1(truth, truth) == 1.0 and f1([(), ()], truth) == 0.0
    # 1 of 2 true relations is found, and one wrong one: 2 * 1 / (2 + 2).
    found = [(GRAPH[0], ("girl", "is", "old")), (("mat", "under", "cat"),)]
    assert f1(found, truth, is_relation) == pytest.approx(0.5)
    assert f1(found, truth) == pytest.approx(2 * 1 / (3 + 3))


def test_the_rules_graph_of_a_caption() -> None:
    nouns = nouns_of([CAPTION, Caption((), (("balls", "under", "bed"),))] * 3)
    assert set(nouns) == {"girl", "bed", "balls"}
    found = rule_graph(words_of("two red balls under a bed"), ("ball", "bed"))
    assert set(found) == {("balls", "is", "red"), ("balls", "is", "2"), ("balls", "under", "bed")}
    assert rule_graph(["nothing", "known"], ("ball",)) == ()
    assert rule_graph(["a", "ball"], ("ball",)) == (("ball",),)


def genome(folder: Path) -> None:
    objects = [{"object_id": 1, "name": "Girl"}, {"object_id": 2, "names": ["bed"]}, {"object_id": 3, "name": "lamp"}]
    relation = {"subject_id": 1, "object_id": 2, "predicate": "SITTING on"}
    regions = [
        {"region_id": 5, "phrase": "Young girl sitting on a bed.", "objects": objects, "relationships": [relation]},
        {"region_id": 6, "phrase": "nothing", "objects": [], "relationships": []},
    ]
    (folder / GRAPHS).write_text(json.dumps([{"image_id": 9, "regions": regions}]))
    said = [{"object_id": 1, "attributes": ["young", "blonde"]}, {"object_id": 2}]
    (folder / ATTRIBUTES).write_text(json.dumps([{"image_id": 9, "attributes": said}]))


def test_a_visual_genome_folder_is_read(tmp_path: Path) -> None:
    genome(tmp_path)
    (region,) = read_genome(tmp_path)
    assert (region.image, region.number) == (9, 5)
    # An attribute that the phrase does not name ("blonde") is none of the region's.
    assert set(region.caption.graph) == {("girl", "is", "young"), ("girl", "sitting on", "bed"), ("lamp",)}
    (tmp_path / ATTRIBUTES).unlink()
    assert ("girl", "is", "young") not in next(read_genome(tmp_path)).caption.graph


@pytest.mark.parametrize(
    ("content", "part"), [(None, "is missing"), ("{", "not JSON"), ('[{"regions": [{}]}]', "another form")]
)
def test_another_folder_is_refused_in_a_line(tmp_path: Path, content: str | None, part: str) -> None:
    if content:
        (tmp_path / GRAPHS).write_text(content)
    with pytest.raises(UsageError, match=part):
        list(read_genome(tmp_path))
