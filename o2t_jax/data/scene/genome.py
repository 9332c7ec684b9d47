"""Captions with scene graphs from a user's Visual Genome folder (Krishna et al. 2017, arXiv 1602.07332).

Needed are `region_graphs.json` (regions with their phrases, objects and relationships) and, for attributes,
`attributes.json`, as the data set has them. Nothing is downloaded. Its graphs are those of the annotators: predicates
stand as in the sentence ("sitting on"), and an attribute counts where the region's phrase has its word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from o2t_jax.data.scene.captions import Caption, Triple, words_of
from o2t_jax.errors import UsageError
from o2t_jax.parsing import json_of

GRAPHS, ATTRIBUTES = "region_graphs.json", "attributes.json"


class Region(NamedTuple):
    """A region's caption and where it is from."""

    image: int
    number: int
    caption: Caption


def read_genome(folder: Path) -> Iterator[Region]:
    """All regions that have a phrase and a graph. Raises: UsageError where a file is missing or of another form."""
    images, attributes = _read(folder / GRAPHS), folder / ATTRIBUTES
    said = _attributes(_read(attributes)) if attributes.is_file() else {}
    try:
        for image in images:
            for region in image["regions"]:
                caption = _caption(region, said)
                if caption.words and caption.graph:
                    yield Region(int(image["image_id"]), int(region["region_id"]), caption)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UsageError(f"{folder / GRAPHS}: a region has another form ({error!r}): see docs/scene.md") from None


def _caption(region: dict[str, Any], said: dict[int, list[str]]) -> Caption:
    words = words_of(region["phrase"])
    names = {entry["object_id"]: _name(entry) for entry in region["objects"]}
    graph: list[Triple] = []
    for number, name in names.items():
        graph += [(name, "is", word) for word in said.get(number, ()) if set(word.split()) <= set(words)]
    for relation in region["relationships"]:
        subject, other = names.get(relation["subject_id"]), names.get(relation["object_id"])
        if subject and other:
            graph.append((subject, " ".join(relation["predicate"].lower().split()), other))
    mentioned = {part for triple in graph for part in triple}
    graph += [(name,) for name in names.values() if name not in mentioned]
    return Caption(tuple(words), tuple(dict.fromkeys(triple for triple in graph if all(triple))))


def _name(entry: dict[str, Any]) -> str:
    name = entry["name"] if "name" in entry else entry["names"][0]
    return " ".join(str(name).lower().split())


def _attributes(images: Any) -> dict[int, list[str]]:
    try:
        return {
            entry["object_id"]: [" ".join(str(word).lower().split()) for word in entry.get("attributes") or ()]
            for image in images
            for entry in image["attributes"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{ATTRIBUTES}: an entry has another form ({error!r}): see docs/scene.md") from None


def _read(path: Path) -> Any:
    try:
        return json_of(path.read_text("utf-8"))
    except OSError:
        raise UsageError(f"{path} is missing: give a folder of Visual Genome that has {GRAPHS}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error})") from None


__all__ = ["Region", "read_genome"]
