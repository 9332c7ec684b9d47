"""Parsers of scenes: captions with graphs, Visual Genome, the knowledge base, sentences; answer keys of RoomPhys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.fuzz.parser import Parser, one_changed


def captions() -> Parser:
    from o2t_jax.data.scene.captions import read_captions, to_sequence, vocabulary_of

    def read(path: Path) -> Any:
        found = read_captions(path)
        return vocabulary_of(found, 1, 1), [to_sequence(caption) for caption in found]

    rows = [
        "image_id,caption,scene_graph",
        '1,young girl sitting on a bed,"( girl , on , bed ) , ( girl , is , young )"',
        '2,"two dogs, one lying","( dog , is , 2 ) , ( dog )"',
    ]
    return Parser({"a.csv": "\n".join(rows).encode()}, read)


def genome(folder: Path) -> Parser:
    """Either of the two files is changed."""
    from o2t_jax.data.scene.genome import ATTRIBUTES, GRAPHS, read_genome

    region = {
        "region_id": 3,
        "phrase": "a red ball on the table",
        "objects": [{"object_id": 1, "name": "ball"}, {"object_id": 2, "names": ["table"]}],
        "relationships": [{"subject_id": 1, "object_id": 2, "predicate": "ON"}],
    }
    seeds = {
        GRAPHS: json.dumps([{"image_id": 7, "regions": [region, region]}], indent=1).encode(),
        ATTRIBUTES: json.dumps([{"attributes": [{"object_id": 1, "attributes": ["red"]}]}], indent=1).encode(),
    }

    return Parser(seeds, one_changed(folder, seeds, lambda: list(read_genome(folder))))


def objects() -> Parser:
    """The knowledge base; then a scene is planned with its thing."""
    from o2t_jax.data.scene.knowledge import load_kinds, thing

    def read(path: Path) -> Any:
        kinds = load_kinds(path)
        return [thing(kinds, name, ["large", "heavy", "red"]) for name in kinds]

    part = {"shape": "box", "size": [0.3, 0.2, 0.1], "at": [0, 0, 0.1], "colour": "red"}
    ball = {"shape": "sphere", "size": [0.1], "at": [0, 0, 0.3]}
    kind = {"name": "chest", "aliases": ["trunk"], "mass": 12, "friction": 0.7, "colour": "brown"}
    kind |= {"parts": [part, ball], "hollow": True, "clearance": 0.1, "surface": 0.2}
    return Parser({"a.json": json.dumps([kind], indent=1).encode()}, read)


def sentences() -> Parser:
    from o2t_jax.data.scene.knowledge import load_kinds
    from o2t_jax.data.scene.parser import parse

    nouns = tuple(load_kinds())

    def read(path: Path) -> Any:
        return parse(path.read_text("utf-8", errors="replace"), nouns)

    said = ("Two red balls fall next to a person who walks, then the person sits on the large box.", "a ball and a cup")
    return Parser({f"{n}.txt": text.encode() for n, text in enumerate(said)}, read)


def laws() -> Parser:
    """A submission and an answer key of RoomPhys."""
    from o2t_jax.commands import _submission

    def read(path: Path) -> Any:
        if path.name.endswith("key.txt"):
            return _submission.read_key(path)
        found = _submission.read(path)
        return [_submission.score(law, (9.8, -3.0)) for law in found.values()]

    key = "Function ID : room_3\nGravity : g(z) = 9.80 + -3.1e0/(z + 10)\n"
    laws = "# o2t\n\n[room_3]\ng0 = 9.8\nalpha = -3.0\n[room_4]\ng0 = 1\n"
    return Parser({"key.txt": key.encode(), "laws.txt": laws.encode()}, read)


__all__ = ["captions", "genome", "laws", "objects", "sentences"]
