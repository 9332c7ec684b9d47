"""Models of `discs` many frames ahead: python -m experiments.rollouts --workdir=DIR [--workdir=DIR2 ...] --out=DIR

From the second frame of held-out scenes each model predicts from its own predictions. --out gets rollouts.png (cosine
of predicted and true velocity, and relative error of the speed, over frames ahead, with 95 % intervals over scenes),
rollouts.csv (all of that as rows), and rollout_scene0.mp4, ...: the first scenes as films, truth and models side by
side, drawn at the predicted positions. Beside the models stand constant velocity and the ceiling: the simulator
restarted with noise as large as a model's error in one step. All runs see the scenes of the first one's seed and must
be of one world; --set=env.speed=600 or --set=env.room=L moves all of them to another one, and tells them its units.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from o2t_jax.commands import _cli, _cpu
from o2t_jax.commands._runs import run_names
from o2t_jax.commands.evaluate import set_test_field
from o2t_jax.commands.report import runs_in
from o2t_jax.config import Config, flatten
from o2t_jax.errors import UsageError
from o2t_jax.training import workdir as folders

if TYPE_CHECKING:
    from o2t_jax.loading import Run
    from o2t_jax.systems.discs_compared import Compared

_LEAST = {"scenes": 1, "steps": 1, "films": 0, "film_steps": 1}


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(roll_out, argv, doc=__doc__ or "", define=_define, with_config=False)


def roll_out(arguments: _cli.Arguments) -> int:
    """Rolls out the models of all runs, writes the figure, the rows and the films."""
    values = arguments.flags
    if not values.workdir:
        raise UsageError("--workdir is missing: give the folders of one or more runs of system 'discs'")
    out = _cli.out_folder(values, "the figure, the rows and the films")
    for name, least in _LEAST.items():
        if getattr(values, name) < least:
            raise UsageError(f"--{name}={getattr(values, name)} must be at least {least}")
    if values.films > values.scenes:
        raise UsageError(f"--films={values.films} of --scenes={values.scenes}: give at most as many films as scenes")
    workdirs = [run for folder in values.workdir for run in runs_in(Path(folder))]
    configs = [_config_of(workdir) for workdir in workdirs]
    check_one_world(workdirs, configs)
    names = values.names
    if not names and len({config.model for config in configs}) == len(configs):
        names = [config.model for config in configs]
    runs = _opened(workdirs, run_names(workdirs, names), values.step)
    from o2t_jax.evaluation.writers.console import as_text, report
    from o2t_jax.systems.discs_compared import compare
    from o2t_jax.training.resources import set_compilation_cache

    set_compilation_cache(configs[0].compilation_cache)
    _cpu.start_devices(arguments.cpu_tuning, values.device)
    models = {name: (_changed(run.config, values), run.state.params) for name, run in runs.items()}
    found = compare(models, values.steps)
    table, files = found.table(), _write(out, found, values.films, values.film_steps)
    about = {name: {"workdir": str(run.workdir), "step": run.step} for name, run in runs.items()}
    steps = ", ".join(f"{name} at step {run.step}" for name, run in runs.items())
    text = "\n".join([steps, as_text("methods", table), *map(str, files)])
    report(text, {"runs": about, "set": values.set, "scenes": values.scenes, "methods": list(table.rows)}, values.json)
    return 0


def check_one_world(workdirs: Sequence[Path], configs: Sequence[Config]) -> None:
    """Raises UsageError where a run was trained in another world than the first one."""
    first = flatten(configs[0].env.to_dict())
    for workdir, config in zip(workdirs, configs, strict=True):
        for name, value in flatten(config.env.to_dict()).items():
            if value != first.get(name):
                raise UsageError(
                    f"{workdir} and {workdirs[0]} are runs of different worlds: env.{name} is {value} and "
                    f"{first.get(name)}: compare runs of one world"
                )


def _config_of(workdir: Path) -> Config:
    """A run's config. Raises: UsageError for one of another system."""
    config = folders.config_from_json(folders.read_json(workdir / folders.CONFIG))
    if config.get("system") != "discs":
        raise UsageError(f"{workdir} is a run of system {config.get('system')!r}: give runs of 'discs'")
    return config


def _opened(workdirs: Sequence[Path], names: Sequence[str], step: str) -> dict[str, Run]:
    """The runs by name; of a run of several seeds, each seed."""
    import o2t_jax

    found: dict[str, Run] = {}
    for name, workdir in zip(names, workdirs, strict=True):
        first = o2t_jax.load(workdir, step)
        seeds = first.config.get("seeds", 1)
        found[name if seeds == 1 else f"{name}, seed 0"] = first
        found |= {f"{name}, seed {i}": o2t_jax.load(workdir, step, seed=i) for i in range(1, seeds)}
    return found


def _changed(config: Config, values: flags.FlagValues) -> Config:
    """A run's config with the world, the scenes and the steps that were asked for."""
    changed = config.copy_and_resolve_references()
    for text in values.set:
        name, _, value = text.partition("=")
        set_test_field(changed, name, value, [name for name in flatten(config.to_dict()) if name.startswith("env.")])
    steps = max(values.steps, values.film_steps if values.films else 0)
    with changed.unlocked():
        changed.update({"test_scenes": values.scenes, "rollout_steps": steps, "seeds": 1})
        changed.frames = max(config.frames, steps + 2)
    return changed


def _write(out: Path, found: Compared, films: int, film_steps: int) -> list[Path]:
    """Writes the figure, the rows and the films; returns their files."""
    from o2t_jax import media
    from o2t_jax.evaluation.writers.csv_file import table_csv
    from o2t_jax.evaluation.writers.curves import pixels_of
    from o2t_jax.evaluation.writers.json_file import write_whole

    out.mkdir(parents=True, exist_ok=True)
    data: dict[str, Any] = {
        "rollouts.png": media.png(pixels_of(found.rollouts.figure())),
        "rollouts.csv": table_csv(found.rollouts.table()).encode(),
    }
    for number in range(films):
        film, kind = media.film(found.film(number, film_steps), 1.0 / found.held.world.dt)
        data[f"rollout_scene{number}.{kind}"] = film
    for name, content in data.items():
        write_whole(out / name, content)
    return [out / name for name in data]


def _define(values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string("workdir", None, "a run's folder; can be repeated", flag_values=values)
    flags.DEFINE_list("names", [], "names of the runs; their models' or folders' if left out", flag_values=values)
    flags.DEFINE_string("out", None, "folder for the figure, the rows and the films", flag_values=values)
    flags.DEFINE_string("step", "best", "a kept step, 'latest' or 'best'", flag_values=values)
    flags.DEFINE_integer("scenes", 200, "held-out scenes", flag_values=values)
    flags.DEFINE_integer("steps", 50, "predicted frames that are measured", flag_values=values)
    flags.DEFINE_integer("films", 5, "scenes that are filmed", flag_values=values)
    flags.DEFINE_integer("film_steps", 60, "predicted frames of a film", flag_values=values)
    flags.DEFINE_multi_string("set", [], "env.FIELD=VALUE for all runs; may be repeated", flag_values=values)
    flags.DEFINE_string("json", None, "file for all numbers; - is standard output", flag_values=values)
    flags.DEFINE_string("device", "auto", "auto, cpu, gpu, cuda, rocm, tpu or mps", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
