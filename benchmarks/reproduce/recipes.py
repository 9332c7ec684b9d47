"""Which command measures which row of results/benchmarks again, and where its number is in what the command leaves.

A row is named by its file and its `what`. A row without a recipe has a reason in `REASONS`, by file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fuzz.parsers import NEEDS
from benchmarks.reproduce.judge import Kind, Measured

FIGURES = "figures.json"


class Command(NamedTuple):
    """Arguments of `python`; {out} is a folder of its own. `minutes` on a quiet core, `needs` optional packages."""

    arguments: tuple[str, ...]
    minutes: float
    needs: tuple[str, ...] = ()


class Recipe(NamedTuple):
    """`pick(folder)` is the row's figure; several commands (one for each seed) give a list of them."""

    file: str
    what: str
    kind: Kind
    commands: tuple[Command, ...]
    pick: Callable[[Path], Measured]


def module(text: str, minutes: float, *needs: str) -> Command:
    """A module with its flags, of which the last writes `FIGURES`."""
    return Command(("-m", *text.split(), f"--json={{out}}/{FIGURES}"), minutes, needs)


def figures(out: Path) -> Any:
    return json.loads((out / FIGURES).read_text())


def row_of(out: Path, **keys: Any) -> dict[str, Any]:
    """The only row with these values."""
    (row,) = [row for row in figures(out)["rows"] if all(row.get(name) == value for name, value in keys.items())]
    return row


def from_row(column: str, scale: float = 1.0, **keys: Any) -> Callable[[Path], Measured]:
    return lambda out: scale * row_of(out, **keys)[column]


def from_keys(*names: str | int, scale: float = 1.0) -> Callable[[Path], Measured]:
    def pick(out: Path) -> float:
        found = figures(out)
        for name in names:
            found = found[name]
        return scale * found

    return pick


def _parameters() -> list[Recipe]:
    wide = module("benchmarks.parameters", 0.3)
    small = module("benchmarks.parameters --bases=8 --size=64", 0.3)
    rows = {f"base {base}": (wide, base) for base in (8, 16, 32, 64)} | {"base 8 at 64 px": (small, 8)}
    return [
        Recipe("95_parameters", what, Kind.COUNTED, (command,), from_row("all", base_ch=base))
        for what, (command, base) in rows.items()
    ]


PARSERS = {
    "calibration": "calibrations (JSON, YAML, XML)",
    "tracks": "tracks of recordings (CSV: own, Tracker, DeepLabCut)",
    "disc_tracks": "tracks of discs (CSV)",
    "clips_table": "table of clips (CSV)",
    "numbers": "tables of numbers",
    "xz_numbers": "packed tables (.csv.xz)",
    "sheets": "Excel sheets",
    "pictures": "pictures in a zip",
    "picture": "a picture in a folder",
    "digits": "digits (.npz, IDX, .gz)",
    "set_metadata": "a set's metadata, its sum made right",
    "set_sums": "a set's SHA256SUMS",
    "set_shard": "a set's shard",
    "config": "config.json",
    "results": "results.json",
    "metrics": "metrics.jsonl",
    "sessions": "sessions.jsonl",
    "manifest": "a checkpoint's manifest",
    "film": "films (MP4, GIF)",
    "lengths": "a pendulum's columns, a table of balls",
    "old_sheets": "old Excel sheets (.xls)",
    "kernel": "kernels of planets (.bsp)",
    "recording_result": "a recording's result.json",
    "checkpoint": "a checkpoint, its sums made right",
    "kept_pictures": "kept pictures of a module",
    "bvh": "motions (BVH), brought to our skeleton",
    "bvh_archive": "an archive of motions",
    "amc": "motions (ASF, AMC)",
    "motion_features": "features of motions (.npy)",
    "embeddings": "embeddings of an evaluator (.npy)",
    "motion_texts": "captions and lists of a folder of motions",
    "motion_captions": "captions of motions (JSON)",
    "wordpiece": "pieces of words (vocab.txt, tokenizer.json)",
    "encoder": "a sentence encoder's folder",
    "safetensors": "arrays (.safetensors)",
    "captions": "captions with graphs (CSV)",
    "genome": "regions of Visual Genome (JSON)",
    "objects": "knowledge bases (JSON)",
    "sentences": "sentences of a scene",
    "laws": "submissions and answer keys of RoomPhys",
}


def _fuzz() -> list[Recipe]:
    def command(name: str) -> Command:
        slow = name == "checkpoint"  # Orbax takes 42 ms for one; the others' readers took 1 to 6 minutes for all
        amount, minutes = ("--n=5000", 5.0) if slow else ("--n=100000", 6.0)
        return module(f"benchmarks.fuzz --only={name} {amount}", minutes, *filter(None, [NEEDS.get(name)]))

    return [
        Recipe("92_fuzz", what, Kind.COUNTED, (command(name),), from_keys("failed")) for name, what in PARSERS.items()
    ]


def _intervals() -> list[Recipe]:
    file, study = "40_intervals_and_forms", (module("experiments.studies.interval_coverage --sims=400", 1.5),)
    forms = tuple(module(f"experiments.studies.law_form --seed={seed}", 1.5) for seed in range(3))

    def at_heights(out: Path) -> list[float]:
        return [100 * figures(out)["coverage"][f"g({height} m)"] for height in (0, 10, 20)]

    clear, unclear = "where the true one leads by 5 or more, of 20", "where the true one leads by less than 1, of 20"
    return [
        Recipe(file, "95% interval holds g0", Kind.SEEDED, study, from_keys("coverage", "g0", scale=100)),
        Recipe(file, "95% interval holds alpha", Kind.SEEDED, study, from_keys("coverage", "alpha", scale=100)),
        Recipe(file, "95% interval holds g at 0, 10 and 20 m", Kind.SEEDED, study, at_heights),
        Recipe(file, "fits that converged, of 400", Kind.SEEDED, study, from_keys("converged")),
        Recipe(file, "mean of |g − true| over 0 to 20 m", Kind.SEEDED, study, from_keys("mean_abs_dg")),
        Recipe(file, f"form named rightly {clear}", Kind.SEEDED, forms, from_keys("counts", "clear", "right")),
        Recipe(file, f"form named wrongly {unclear}", Kind.SEEDED, forms, from_keys("counts", "unclear", "wrong")),
        Recipe(
            file,
            "form named rightly there, of 20; no form is named for the others",
            Kind.SEEDED,
            forms,
            from_keys("counts", "unclear", "right"),
        ),
    ]


def _drag() -> list[Recipe]:
    seeds = tuple(module(f"experiments.studies.drag --only=state --seed={seed}", 3.0) for seed in range(2))
    columns = {
        "state space, with drag: named, of 20": (0, "named"),
        "state space, without drag: named, of 20": (1, "named"),
        "the same, measured by size, all radii 2 % too large: with drag": (2, "named"),
        "the same, all radii 2 % too large: without drag": (3, "named"),
        "the same, each radius 2 % too large or too small: with drag": (4, "named"),
        "the same, each radius 2 % too large or too small: without drag": (5, "named"),
        "state space, with drag: 95% interval holds k, of 20 (true radii)": (0, "held"),
        "state space, with drag: mean error of g0": (0, "g0 off, %"),
        "the same without the term": (0, "g0 off without the term, %"),
    }
    return [
        Recipe("22_drag", what, Kind.SEEDED, seeds, from_keys("state", "rows", row, column))
        for what, (row, column) in columns.items()
    ]


def _speeds() -> list[Recipe]:
    """Measured here only where --machine names the row's machine."""
    drawing, buffer = (module("benchmarks.render", 3.0),), (module("benchmarks.buffer", 0.7),)
    stored = (module("benchmarks.records --gigabytes=2", 3.0),)
    rate = "per_second_per_core"
    sizes = {"room": (64, 128, 256, 512, 1024), "ballistic": (64, 128, 512)}
    drawn = {
        f"{scene}, {size} px": from_row(rate, scene=scene, size_px=size, cameras="sample")
        for scene, some in sizes.items()
        for size in some
    }
    drawn["room, 512 px, a camera for each picture"] = from_row(rate, scene="room", size_px=512, cameras="fresh")
    drawn["room, 512 px, one camera"] = from_row(rate, scene="room", size_px=512, cameras="fixed")
    read = {
        "random reads": from_keys("rows", 1, "mb_per_s"),
        "shuffled batches": from_keys("rows", 2, "mb_per_s"),
        "writing, with the sums": from_keys("write_mb_per_s"),
        "all sums (`--check`)": from_keys("verify_mb_per_s"),
    }
    memory = {
        "memory: every sample by random reads": from_keys("rows", 1, "above_mb"),
        "memory: shuffled batches of a training, read ahead, one epoch": from_keys("rows", 2, "above_mb"),
    }
    limits = (module("benchmarks.recording --frames=40", 2.0),)
    spent = {
        "40 frames, cold: processor seconds": from_row("processor_s", cache="cold"),
        "the same, warm": from_row("processor_s", cache="warm"),
    }

    def peak(out: Path) -> float:
        return max(row["peak_mb"] for row in figures(out)["rows"])

    kept = {
        f"{scene}, 64 px: samples/s cast and kept by this CPU": from_row("samples", scene=scene)
        for scene in ("ballistic", "room")
    }
    casting = (module("benchmarks.render --backend=device --samples=16 --rows=ballistic-64,room-64 --repeats=3", 1.0),)
    draws = {f"draws at batch {batch}": from_keys("draws", i, "draw_GB_per_s") for i, batch in enumerate((4, 16))}
    return [
        *(Recipe("85_rendering", what, Kind.SPEED, drawing, pick) for what, pick in drawn.items()),
        *(Recipe("89_device_samples", what, Kind.SPEED, casting, pick) for what, pick in kept.items()),
        *(Recipe("88_buffer", what, Kind.SPEED, buffer, pick) for what, pick in draws.items()),
        *(Recipe("87_records", what, Kind.SPEED, stored, pick) for what, pick in read.items()),
        *(Recipe("87_records", what, Kind.MEMORY, stored, pick) for what, pick in memory.items()),
        *(Recipe("54_recording_limits", what, Kind.SPEED, limits, pick) for what, pick in spent.items()),
        Recipe(
            "54_recording_limits",
            "40 frames: peak resident size, the larger of cold and warm",
            Kind.MEMORY,
            limits,
            peak,
        ),
    ]


def _compiled() -> list[Recipe]:
    flags = "--backend=device --samples=64 --rows=ballistic-512,room-512 --repeats=0"
    bounds = (module(f"benchmarks.render {flags}", 2.0),)
    devices = (module("benchmarks.scaling", 7.0),)

    def reductions(out: Path) -> Sequence[float]:
        return [row["all_reduce"] for row in figures(out)["rows"] if row["devices"] > 1]

    return [
        *(
            Recipe(
                "89_device_samples",
                f"{scene}, 512 px: bound of an H100",
                Kind.SEEDED,
                bounds,
                from_row("bound_h100", scene=scene),
            )
            for scene in ("room", "ballistic")
        ),
        Recipe(
            "90_scaling",
            "all-reduces compiled: 2, 4, 8 devices, and 2 in two processes",
            Kind.COUNTED,
            devices,
            reductions,
        ),
        Recipe("90_scaling", "one device", Kind.COUNTED, devices, from_row("all_reduce", devices=1)),
    ]


def _worlds() -> list[Recipe]:
    """Of 10_law_constant: three trainings a world."""

    def errors(out: Path) -> Sequence[float]:
        return [row["mean_g_error_%"] for row in json.loads((out / "table.json").read_text())]

    flags = "--config=experiments/configs/cpu.py --seeds=3 --out={out}"
    return [
        Recipe(
            "10_law_constant",
            f"world {g0} m/s²",
            Kind.LEARNED,
            (Command(("-m", *f"experiments.studies.worlds --worlds={g0} {flags}".split()), 6.0),),
            errors,
        )
        for g0 in (1.62, 3.71, 9.81, 24.8, 14.26, 14.246)
    ]


RECIPES = (*_parameters(), *_fuzz(), *_intervals(), *_drag(), *_speeds(), *_compiled(), *_worlds())

_LONG, _FOREIGN = "hours of trainings", "its films or tables are not part of the project"
REASONS = {
    "10_law_constant": "follows from other rows, or needs the folders of finished trainings",
    "20_law_curve": "five trainings of worlds drawn at run time, an hour",
    "22_drag": _LONG,
    "24_filmed": "needs the folders of two trainings, one of them a quarter of an hour: no recipe yet",
    "30_law_refined": "trainings of worlds drawn at run time, then 4 minutes a world",
    "42_dynamics": _LONG,
    "43_dynamics_energy": _LONG,
    "44_discs": _LONG,
    "44_discs_learned": _LONG,
    "44_discs_steps": _LONG,
    "45_recorded_states": _FOREIGN,
    "46_dynamics_law": "an hour, in many files: no recipe yet",
    "47_discs_recorded": _FOREIGN,
    "48_recordings": _FOREIGN,
    "49_recording_coverage": "an hour of films: no recipe yet",
    "50_recording_audit": f"an hour of films, or {_FOREIGN}",
    "50_roomphys": "needs the module of RoomPhys and another Python",
    "51_recording_network": _FOREIGN,
    "52_motion_linter": "needs an archive of recorded motions",
    "53_motion": f"{_LONG}; some need an archive",
    "54_recording_limits": "1,800 frames take five minutes of two idle cores",
    "54_scene_parser": "an hour of training, or its captions are not part of the project",
    "55_scene": "a quarter of an hour of simulations: no recipe yet",
    "60_prediction": "needs the folder of a finished training",
    "62_dynamics_pictures": _LONG,
    "63_video": _LONG,
    "64_agent": "four trainings, half an hour: no recipe yet",
    "64_agent_cartpole": "two trainings, a quarter of an hour each on busy cores: no recipe yet",
    "70_train_step": "the machine's state (jax, hour) is a part of the figure: no recipe yet",
    "75_forms_and_seams": "needs another checkout of the project",
    "75_pytorch": "needs PyTorch and other versions of jax",
    "76_dynamics_speed": "needs PyTorch or gymnax, and one idle core",
    "77_discs_speed": "needs PyTorch or PyMunk, and one idle core",
    "78_video_speed": "needs PyTorch, and one idle core",
    "79_motion_speed": "needs PyTorch, and one idle core",
    "80_start": "needs other versions of jax, and an empty machine",
    "85_rendering": "needs two idle cores, or VTK",
    "86_module": "needs the module of RoomPhys and another Python",
    "88_buffer": "speed of memory alone: no recipe yet",
    "90_scaling": "differences of rounding have no scale of their own",
    "92_fuzz": "needs atheris",
    "93_faults": "hours of kills: the same command with the same --out goes on where it ended",
    "94_endurance": "an hour, and the load of the machine is a part of it",
}
