"""From a sentence to a film of a simulated scene (docs/scene.md).

    python -m experiments.scene "a red ball falls next to a person who walks" --out=DIR

writes to DIR: scene.json (what was understood, where it stands, seconds by step), layout.png, motion.npz and motion.bvh
of each person, simulation.npz, film.mp4. --objects=FILE.json adds things. Words that are not known are named, and the
rest is made. The simulation needs the extra [motion]; --nosimulate does without. --parser_workdir=DIR has the sentence
read by a training of scene/parser (--parser=learned).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands._parsers import open_parser, parser_of
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    from o2t_jax.physics.scene.humanoid import Humanoid
    from o2t_jax.physics.scene.simulation import Track
    from o2t_jax.systems.scene import Stage

MOST_SECONDS = 20.0


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code. The sentence may stand alone, before or after the flags."""
    given = list(sys.argv[1:] if argv is None else argv)
    sentences = [item for item in given if not item.startswith("-")]
    if len(sentences) == 1:
        given = [item if item.startswith("-") else f"--sentence={item}" for item in given]
    return _cli.run(run_scene, given, doc=__doc__ or "", define=_define, with_config=False)


def run_scene(arguments: _cli.Arguments) -> int:
    """All steps, one after the other."""
    values = arguments.flags
    if values.sentence is None:
        raise UsageError('the sentence is missing: python -m experiments.scene "a red ball falls" --out=DIR')
    if not 0.5 <= values.seconds <= MOST_SECONDS:
        raise UsageError(f"--seconds={values.seconds:g} must be from 0.5 to {MOST_SECONDS:g}")
    out = _cli.out_folder(values, "the scene")
    enhance = _enhancer(values)  # before anything is made: it may refuse
    took: dict[str, float] = {}
    with _timed(took, "parse"):
        description, kinds = _understood(values)
    if description.unknown:
        print(f"unknown words, left out: {', '.join(description.unknown)}", file=sys.stderr)
    from o2t_jax.evaluation.writers.json_file import write_json, write_whole
    from o2t_jax.systems import scene, scene_film

    with _timed(took, "plan"):
        stage = scene.arrange(description, kinds, values.seed)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "layout.png", scene_film.layout_picture(stage))
    with _timed(took, "motion"):
        persons = scene.cast_persons(stage, values.seconds, values.seed, values.assist)
        _write_motions(persons, out)
    record: dict[str, Any] = {"sentence": values.sentence, "scene": description.as_json()}
    record["layout"] = _layout(stage)
    if values.simulate:
        with _timed(took, "simulate"):
            track = scene.play(stage, values.seconds, persons)
            _write_track(track, out / "simulation.npz")
        record["persons"] = _persons(persons, track)
        if values.film:
            _film(stage, track, values, out, took, enhance)
    record["seconds"] = took | {"all": sum(took.values())}
    write_json(record, out / "scene.json")
    print("\n".join(f"{name:9} {seconds:6.2f} s" for name, seconds in record["seconds"].items()))
    print(f"written to {out}")
    return 0


def _understood(values: flags.FlagValues) -> tuple[Any, Any]:
    from o2t_jax.data.scene.knowledge import load_kinds
    from o2t_jax.systems import scene

    kinds = load_kinds(values.objects)
    if parser_of(values, {"learned": "parser_workdir"}) == "rules":
        return scene.understand(values.sentence, kinds), kinds
    from o2t_jax.systems.scene_reading import read_sentence

    return read_sentence(*open_parser(values.parser_workdir), values.sentence, kinds), kinds


def _enhancer(values: flags.FlagValues) -> Any:
    if values.enhance is None:
        return None
    from o2t_jax.systems.scene_local import enhancer

    return enhancer(values.enhance)


def _film(
    stage: Stage, track: Track, values: flags.FlagValues, out: Path, took: dict[str, float], enhance: Any
) -> None:
    from o2t_jax import media
    from o2t_jax.evaluation.writers.json_file import write_whole
    from o2t_jax.physics.scene.simulation import FPS
    from o2t_jax.render.scene.finish import finish
    from o2t_jax.systems.scene_film import shoot

    with _timed(took, "render"):
        frames = shoot(stage, track)
    if enhance is not None:
        with _timed(took, "enhance"):
            frames = enhance(frames, values.sentence)
    with _timed(took, "finish"):
        data, ending = media.film(finish(frames, values.sentence), FPS)
        write_whole(out / f"film.{ending}", data)


def _layout(stage: Stage) -> dict[str, Any]:
    things = [
        {
            "name": name,
            "noun": kind.name,
            "place_m": place.tolist(),
            "size_m": (2.0 * kind.half).tolist(),
            "mass_kg": kind.mass,
        }
        for name, kind, place in zip(stage.names, stage.things, stage.plan.place, strict=True)
    ]
    relations = [
        {
            "subject": stage.names[relation.subject],
            "predicate": relation.predicate,
            "object": stage.names[relation.object],
            "missed_m": float(missed),
        }
        for relation, missed in zip(stage.relations, stage.plan.missed, strict=True)
    ]
    return {"things": things, "relations": relations, "overlap_m": stage.plan.overlap, "energy": stage.plan.energy}


def _persons(persons: list[Humanoid], track: Track) -> list[dict[str, Any]]:
    from o2t_jax.physics.scene.humanoid import stays_upright

    return [
        {"name": p.name, "upright": stays_upright(p, track.of(p.joint(0)), track.time), "assist_N": p.assist}
        for p in persons
    ]


def _write_motions(persons: list[Humanoid], out: Path) -> None:
    import numpy as np

    from o2t_jax.data.motion.bvh import bvh_text
    from o2t_jax.evaluation.writers.json_file import write_whole

    for i, person in enumerate(persons):
        root, rotations, rate = person.clip
        with (out / f"motion{i or ''}.npz").open("wb") as file:
            np.savez_compressed(file, root=root, rotations=rotations, rate=rate)
        write_whole(out / f"motion{i or ''}.bvh", bvh_text(person.skeleton, root, rotations, rate).encode())


def _write_track(track: Track, path: Path) -> None:
    import numpy as np

    with path.open("wb") as file:
        arrays: Any = {name: np.asarray(value) for name, value in track._asdict().items()}
        np.savez_compressed(file, **arrays)


@contextmanager
def _timed(took: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    took[name] = time.perf_counter() - start


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_string("sentence", None, "the scene in words", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the files", flag_values=values)
    flags.DEFINE_float("seconds", 3.0, "of the film", flag_values=values)
    flags.DEFINE_integer("seed", 0, "of the planner's starts and the motions' manner", flag_values=values)
    flags.DEFINE_string("objects", None, "JSON file of further things", flag_values=values)
    flags.DEFINE_enum("parser", "rules", ("rules", "learned"), "what reads the sentence", flag_values=values)
    flags.DEFINE_string("parser_workdir", None, "folder of a training of scene/parser, which reads", flag_values=values)
    flags.DEFINE_string("enhance", None, "folder of an image-to-image pipeline for the film (M8)", flag_values=values)
    flags.DEFINE_float(
        "assist", 800.0, "N, most force on a person's hips beside the joints' torques", flag_values=values
    )
    flags.DEFINE_bool("simulate", True, "simulate by MuJoCo (extra [motion])", flag_values=values)
    flags.DEFINE_bool("film", True, "draw the film", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
