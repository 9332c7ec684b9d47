"""From a sentence to a simulated scene: what is in it, where it stands, how it moves (docs/scene.md).

description = understand(sentence, kinds)
stage = arrange(description, kinds)
track = play(stage, seconds=3.0)
frames = shoot(stage, track)                   # o2t_jax.systems.scene_film
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from o2t_jax.data.scene import words
from o2t_jax.data.scene.knowledge import PERSON, thing
from o2t_jax.data.scene.parser import parse
from o2t_jax.errors import UsageError
from o2t_jax.physics.scene import planner
from o2t_jax.physics.scene.description import Action, Description, Relation
from o2t_jax.physics.scene.humanoid import UP, Clip, Humanoid
from o2t_jax.physics.scene.kinds import Kind
from o2t_jax.physics.scene.mjcf import Placed
from o2t_jax.physics.scene.simulation import Push, Track, simulate

ASSIST_N = 800.0
DROP_M = 1.2
_ROLL, _SLIDE = 1.2, 2.5  # m/s at the start
_PUSH_AT = 0.8  # s
_PUSHES = {"push": (1.2, 1.0), "kick": (0.1, 2.5)}  # how long, s, and the speed that is reached, m/s


@dataclasses.dataclass(frozen=True)
class Stage:
    """A scene's things in their places. `names` count what has the same noun; `entity` is each thing's in the
    description; `relations` count things."""

    description: Description
    names: tuple[str, ...]
    things: tuple[Kind, ...]
    entity: tuple[int, ...]
    relations: tuple[Relation, ...]
    plan: planner.Plan

    def of(self, entity: int) -> list[int]:
        """The things of an entity."""
        return [i for i, e in enumerate(self.entity) if e == entity]

    def verbs(self, number: int) -> list[Action]:
        """What thing `number` does."""
        return [action for action in self.description.actions if action.subject == self.entity[number]]

    @property
    def persons(self) -> list[int]:
        """The things that are persons."""
        return [i for i, kind in enumerate(self.things) if kind.name == PERSON]


def understand(sentence: str, kinds: Mapping[str, Kind]) -> Description:
    """The rule parser's reading. Raises: UsageError, see `parse`."""
    return parse(sentence, kinds)


def arrange(description: Description, kinds: Mapping[str, Kind], seed: int = 0) -> Stage:
    """Everything in its place. Raises: UsageError for an unknown noun and for relations that cannot all hold."""
    names, things, entity = [], [], []
    for e, said in enumerate(description.entities):
        kind = thing(kinds, said.noun, said.attributes)
        if kind is None:
            raise UsageError(f"the thing {said.noun!r} is unknown: add it by --objects=FILE.json, or say another")
        for _ in range(said.number):
            names.append(f"{said.noun}{sum(name.startswith(said.noun) for name in names) or ''}")
            things.append(kind)
            entity.append(e)
    said = list(description.relations)
    for action in description.actions:  # who pushes a thing stands by it
        if action.object is not None and not _tied(said, action.subject, action.object):
            said.append(Relation(action.subject, "next to", action.object))
    every = [
        Relation(i, relation.predicate, j)
        for relation in said
        for i, a in enumerate(entity)
        for j, b in enumerate(entity)
        if (a, b) == (relation.subject, relation.object)
    ]
    relations = planner.feasible_words(things, every)
    found = planner.plan(things, relations, seed)
    if not found.holds:
        raise UsageError(planner.explain(things, relations, found))
    return Stage(description, tuple(names), tuple(things), tuple(entity), tuple(relations), found)


def _tied(relations: Sequence[Relation], a: int, b: int) -> bool:
    return any({relation.subject, relation.object} == {a, b} for relation in relations)


def clip_of(verbs: Sequence[Action], seconds: float, seed: int = 0) -> Clip:
    """A motion for what a person does: the made gait of the first verb's class; `stand` where there is none.

    "slowly" and "quickly" change its speed by a third.
    """
    from o2t_jax.data.motion.gaits import CLASSES, MotionSource
    from o2t_jax.physics.motion.contacts import RATE

    gait = next((words.GAIT_OF[action.verb] for action in verbs if action.verb in words.GAIT_OF), "stand")
    manner = {word for action in verbs for word in action.manner}
    tempo = 0.75 if "slowly" in manner else 1.33 if manner & {"quickly", "fast"} else 1.0
    frames = max(8, math.ceil(seconds * RATE * tempo) + 1)
    made = MotionSource(seed, frames).make("test", np.array([CLASSES.index(gait)]))
    return Clip(np.asarray(made["root"][0]), np.asarray(made["rotations"][0]), RATE * tempo)


def cast_persons(stage: Stage, seconds: float, seed: int = 0, assist: float = ASSIST_N) -> list[Humanoid]:
    """Each person's body with its clip, facing what it pushes, or where the way is free."""
    found = []
    for number in stage.persons:
        verbs, place = stage.verbs(number), stage.plan.place[number]
        clip = clip_of(verbs, seconds, seed + number)
        aim = next((action.object for action in verbs if action.object is not None), None)
        if aim is not None:
            heading = _facing(stage.plan.place[stage.of(aim)[0]] - place)
        else:
            heading = _free_heading(clip, np.delete(stage.plan.place, number, axis=0) - place)
        turn = _turn(heading)
        travel = turn @ (UP @ (clip.root[-1] - clip.root[0]))[:2]
        start = place[:2] - (0.5 * travel if aim is None else 0.0)
        limp = any(action.verb == "fall" for action in verbs)
        at = (float(start[0]), float(start[1]), float(place[2]))
        found.append(Humanoid(stage.names[number], clip, at, heading, assist, limp))
    return found


def _facing(way: Float[np.ndarray, 3]) -> float:
    """Heading (rad) of who looks along `way`; at 0 they look at the camera, along -y."""
    return float(np.arctan2(way[0], -way[1]))


def _turn(heading: float) -> np.ndarray:
    return np.array([[math.cos(heading), -math.sin(heading)], [math.sin(heading), math.cos(heading)]])


def _free_heading(clip: Clip, others: Float[np.ndarray, "others 3"]) -> float:
    """Of 8 headings the one whose way stays farthest from the `others`, which are given relative to its middle."""
    way = ((np.asarray(clip.root) - clip.root[0]) @ UP.T)[:, :2]
    if np.linalg.norm(way[-1]) < 0.5:
        return 0.0
    way = way - 0.5 * way[-1]
    best = (-1.0, 0.0)
    for heading in np.deg2rad([60.0, -60.0, 90.0, -90.0, 30.0, -30.0, 0.0, 180.0]):
        path = way @ _turn(heading).T
        gaps = np.linalg.norm(path[:, None] - others[None, :, :2], axis=-1)
        free = min(1.5, float(gaps.min(initial=1.5)))
        best = max(best, (free, float(heading)), key=lambda pair: pair[0])
    return best[1]


def play(stage: Stage, seconds: float, persons: Sequence[Humanoid] = ()) -> Track:
    """The scene simulated for `seconds`. Raises: UsageError, see `simulate`."""
    return simulate(_placed(stage), seconds, _pushes(stage), persons)


def _placed(stage: Stage) -> list[Placed]:
    placed = []
    for number, kind in enumerate(stage.things):
        if number in stage.persons:
            continue
        verbs = {action.verb for action in stage.verbs(number)}
        place = stage.plan.place[number].astype(float)
        falls = bool(verbs & {"fall", "drop", "bounce"})
        hangs = any(r.subject == number and r.predicate == "above" for r in stage.relations)
        speed = _ROLL if "roll" in verbs else _SLIDE if "slide" in verbs else 0.0
        away = place[:2] / max(float(np.linalg.norm(place[:2])), 1e-9) if speed else np.zeros(2)
        height = place[2] + (DROP_M if falls else 0.0) + 0.002  # things begin just above each other
        at = (float(place[0]), float(place[1]), float(height))
        velocity = (float(speed * away[0]), float(speed * away[1]), 0.0)
        placed.append(Placed(stage.names[number], kind, at, velocity, hangs and not falls, "bounce" in verbs))
    return placed


def _pushes(stage: Stage) -> list[Push]:
    """What persons do to things. It is a force on the thing, not the touch of a hand or a foot."""
    pushes = []
    for action in stage.description.actions:
        if action.object is None or action.verb not in _PUSHES:
            continue
        seconds, speed = _PUSHES[action.verb]
        for i in stage.of(action.subject):
            for j in stage.of(action.object):
                way = (stage.plan.place[j] - stage.plan.place[i])[:2]
                x, y = (float(value) for value in way / max(float(np.linalg.norm(way)), 1e-9))
                if j not in stage.persons:
                    pushes.append(Push(stage.names[j], _PUSH_AT, seconds, (x, y), speed))
    return pushes


__all__ = ["ASSIST_N", "Stage", "arrange", "cast_persons", "clip_of", "play", "understand"]
