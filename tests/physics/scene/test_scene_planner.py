"""The planner holds the relations of scenes that exist, and says so of those that cannot."""

from __future__ import annotations

import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.physics.scene import planner
from o2t_jax.physics.scene.description import Relation
from o2t_jax.physics.scene.kinds import Kind, Part
from o2t_jax.physics.scene.layouts import draw_scene, reversed_relation


def box(side: float, **options: float) -> Kind:
    return Kind("box", 1.0, 0.6, "red", (Part("box", (side, side, side), (0.0, 0.0, side)),), **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_scenes_drawn_from_a_layout_hold():
    rng = np.random.default_rng(0)
    kinds = [box(0.2), box(0.4), box(0.6)]
    for _ in range(20):
        things, relations = draw_scene(rng, kinds, int(rng.integers(2, 7)))
        assert planner.plan(things, relations).holds


@pytest.mark.slow
def test_a_reversed_relation_does_not_hold():
    """Without the search for circles: by the energy alone."""
    rng = np.random.default_rng(1)
    tried = 0
    while tried < 8:
        things, relations = draw_scene(rng, [box(0.2), box(0.4)], 3)
        turned = reversed_relation(rng, relations)
        if turned is not None:
            tried += 1
            assert not planner.plan(things, [*relations, turned]).holds


def test_what_it_says_of_places_is_so():
    things = [box(0.1), box(0.5), box(0.1), box(0.1)]
    relations = [Relation(0, "on", 1), Relation(2, "left of", 1), Relation(3, "behind", 2)]
    place = planner.plan(things, relations).place
    assert place[0, 2] == pytest.approx(1.0, abs=0.01)
    assert np.all(np.abs(place[0, :2] - place[1, :2]) < 0.5)
    assert place[2, 0] + 0.1 < place[1, 0] - 0.5
    assert place[3, 1] - 0.1 > place[2, 1] + 0.1
    assert abs(place[1, 2]) < 0.01


@pytest.mark.parametrize(
    ("relations", "part"),
    [
        ([Relation(0, "above", 1), Relation(1, "above", 0)], "cannot all hold"),
        ([Relation(0, "left of", 1), Relation(1, "left of", 2), Relation(2, "left of", 0)], "cannot all hold"),
        ([Relation(0, "on", 0)], "to itself"),
        ([Relation(0, "in", 1)], "not open"),
    ],
)
def test_impossible_relations_are_one_line(relations: list[Relation], part: str):
    with pytest.raises(UsageError, match=part):
        planner.feasible_words([box(0.2)] * 3, relations)


def test_under_a_thing_without_room_means_that_it_stands_on_the_other():
    assert planner.feasible_words([box(0.2)] * 2, [Relation(0, "under", 1)]) == [Relation(1, "on", 0)]
    roomy = [box(0.2), box(0.5, clearance=0.6)]
    assert planner.feasible_words(roomy, [Relation(0, "under", 1)]) == [Relation(0, "under", 1)]


def test_too_many_things_are_refused():
    with pytest.raises(UsageError, match="at most 12"):
        planner.plan([box(0.1)] * 13, [])
