"""The tables of docs/scene.md: does the planner find layouts, and does a simulated person stay on their feet?

python -m experiments.studies.scenes --out=DIR [--only=planner|humanoid] [--n=200] [--seed=0]

- `planner`: n scenes of two to six of the library's things, drawn as layouts with their relations read off, so that a
  layout exists; and each again with one of its relations reversed beside it, so that none does.
- `humanoid`: n / 10 made clips of 3 s, the classes in turn, followed by joints of limited torque in MuJoCo (extra
  [motion]); with the hips held as `experiments.scene` does, by half of that, and not at all.

One JSON a scene and a clip in DIR; finished ones are skipped.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

TABLES = ("planner", "humanoid")
MOST_THINGS = 6
SECONDS = 3.0


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(study, argv, doc=__doc__ or "", define=_define, with_config=False)


def study(arguments: _cli.Arguments) -> int:
    """Makes what is unfinished, then prints the tables."""
    values = arguments.flags
    out = _cli.out_folder(values, "the results")
    if not values.n >= 1:
        raise UsageError(f"--n={values.n} must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for table in [values.only] if values.only else TABLES:
        count = values.n if table == "planner" else -(-values.n // 10)
        make = {"planner": planned, "humanoid": followed}[table]
        found = [
            folders.once(out / f"{table}-seed{values.seed}-{i:03d}.json", functools.partial(make, values.seed, i))
            for i in range(count)
        ]
        lines += {"planner": _planner_table, "humanoid": _humanoid_table}[table](found)
    (out / "table.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


def planned(seed: int, index: int) -> dict[str, Any]:
    """One scene: whether a layout is found, and what is said of it with a relation reversed."""
    from o2t_jax.data.scene.knowledge import load_kinds
    from o2t_jax.physics.scene import planner
    from o2t_jax.physics.scene.layouts import draw_scene, reversed_relation

    rng, kinds = np.random.default_rng((seed, index)), list(load_kinds(None).values())
    things, relations = draw_scene(rng, kinds, int(rng.integers(2, MOST_THINGS + 1)))
    found: dict[str, Any] = {"things": len(things), "relations": len(relations)}

    def holds(wanted: Sequence[Any]) -> bool:
        try:
            return planner.plan(things, planner.feasible_words(things, wanted), index).holds
        except UsageError:  # the words alone contradict each other
            return False

    found["satisfied"] = holds(relations)
    turned = reversed_relation(rng, relations)
    found["refused"] = None if turned is None else not holds([*relations, turned])
    return found


def followed(seed: int, index: int) -> dict[str, Any]:
    """One clip, followed with less and less help: whether the person stays upright."""
    from o2t_jax.data.motion.gaits import CLASSES, MotionSource
    from o2t_jax.physics.motion.contacts import RATE
    from o2t_jax.physics.scene.humanoid import Clip, Humanoid, stays_upright
    from o2t_jax.physics.scene.simulation import simulate
    from o2t_jax.systems.scene import ASSIST_N

    kind = index % len(CLASSES)
    made = MotionSource(seed + index, int(SECONDS * RATE) + 1).make("test", np.array([kind]))
    clip = Clip(np.asarray(made["root"][0]), np.asarray(made["rotations"][0]), RATE)
    found: dict[str, Any] = {"class": CLASSES[kind]}
    for name, assist in (("held", ASSIST_N), ("held by half", 0.5 * ASSIST_N), ("torques alone", 0.0)):
        person = Humanoid("person", clip, assist=assist)
        track = simulate([], SECONDS, [], [person])
        found[name] = stays_upright(person, track.of(person.joint(0)), track.time)
    return found


def _planner_table(found: list[dict[str, Any]]) -> list[str]:
    turned = [each["refused"] for each in found if each["refused"] is not None]
    return [
        f"planner: {sum(each['satisfied'] for each in found)} of {len(found)} scenes that exist are laid out",
        f"planner: {sum(turned)} of {len(turned)} with a relation reversed beside it are called impossible",
    ]


def _humanoid_table(found: list[dict[str, Any]]) -> list[str]:
    lines = []
    for name in [key for key in found[0] if key != "class"]:
        upright = [each["class"] for each in found if each[name]]
        kinds = ", ".join(f"{kind} {upright.count(kind)}" for kind in dict.fromkeys(upright))
        lines.append(f"humanoid, {name}: {len(upright)} of {len(found)} clips of {SECONDS:g} s stay upright ({kinds})")
    return lines


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_enum("only", "", ["", *TABLES], "one table; empty: both", flag_values=values)
    flags.DEFINE_integer("n", 200, "scenes of the planner's table; a tenth of it: clips", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of scenes and clips", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the results", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
