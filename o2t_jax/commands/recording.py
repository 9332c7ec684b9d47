"""The law in a film: python -m experiments.recording --video=FILE --out=DIR [--scale=x1,y1,x2,y2:METRES]

FILE is a film (mp4, mov, avi, gif) or a zip or folder of pictures. One known thing turns px into metres: --scale, two
points of the picture; --diameter of the ball, m; --speed of the launch, m/s, with its --angle; --known=g:9.81,
length:0.637, or rope:0.62 (to the ball). Without any, only what needs no scale is told. Writes result.json, track.csv,
overlay.mp4 and report.html into DIR, which must be new. --audit says whether the motion is lawful; several --video with
--calibration are one recording in metres; --root=FOLDER [--table=FILE.csv] gives one table of many clips.
docs/recordings.md says how to film and to read the intervals.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.commands._recording_flags import check, define, film_of, wanted_of
from o2t_jax.commands._recording_progress import StepProgress
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(measure, argv, doc=__doc__ or "", define=define, with_config=False)


def measure(arguments: _cli.Arguments) -> int:
    """One recording, or a table of many."""
    from o2t_jax.commands import _recording_seeing, _recordings

    values = arguments.flags
    _recording_seeing.check_way(values.seeing, True)  # at once: in a table it would be the error of every clip
    clips = _clips(values)
    if clips is None:
        check(values)
    out = _cli.out_folder(values, "the results")
    if clips is None:
        print(summary(measured(values, _recordings.folder_for(out), arguments.argv)))
    else:
        from o2t_jax.commands import _recording_table

        root, rows = clips
        base = [values[name].serialize() for name in values if values[name].present and name not in OF_A_TABLE]
        print(_recording_table.run_table(rows, root, out, base, _measured_anew))
    print(f"written: {out}")
    return 0


OF_A_TABLE = ("root", "table", "video", "track", "out", "cpu_tuning")  # flags that do not hold for each of its clips


def _clips(values: flags.FlagValues) -> tuple[Path, list[Any]] | None:
    """The folder and its clips, where many are asked for."""
    from o2t_jax.commands import _recording_table

    if values.table and not values.root:
        raise UsageError(f"--table={values.table} names files below --root: give --root=DIR")
    root = values.root
    if not root and len(values.video or []) == 1 and _recording_table.is_clips(Path(values.video[0])):
        root = values.video[0]
    elif root and (values.video or values.track):
        raise UsageError("--root is a folder of clips: leave --video and --track out")
    if not root:
        return None
    if not Path(root).is_dir():
        raise UsageError(f"--root={root} is no folder")
    if values.table:
        return Path(root), _recording_table.read_table(Path(values.table))
    clips = _recording_table.clips_of(Path(root))
    if not clips:
        raise UsageError(f"--root={root} holds no films")
    return Path(root), clips


def _measured_anew(argv: list[str], out: Path) -> dict[str, Any]:
    """`measured` for flags as they are typed."""
    from o2t_jax.commands import _recordings

    values = flags.FlagValues()
    define(values)
    try:
        rest = values(["recording", *argv])[1:]
    except flags.Error as error:
        raise UsageError(str(error)) from None
    if rest:
        raise UsageError(f"unknown argument {rest[0]!r}: flags are written --name=value")
    check(values)
    return measured(values, _recordings.folder_for(out, unfinished=True), tuple(argv))


def measured(values: flags.FlagValues, out: Path, argv: Sequence[str]) -> dict[str, Any]:
    """Reads, follows, fits and writes one recording into `out`; returns result.json."""
    from o2t_jax.commands import _recording_result, _recording_seeing
    from o2t_jax.commands._recording_further import further

    wanted = wanted_of(values)
    wanted.check()
    progress = StepProgress()
    begin = time.monotonic()
    film, seen, wanted, space, entry = _seen(values, wanted, progress)
    told, found = None, []
    result: dict[str, Any]
    if values.audit:
        from o2t_jax.commands._recording_audit import audited

        told = audited(seen, wanted)
    try:
        seen, found, seeing = _recording_seeing.fit_seen(film, seen, wanted, values.seeing, progress)
        result = _recording_result.as_result(found, seen, wanted) | {"seeing": seeing}
        result["further"] = further(found, seen, wanted)
    except UsageError as error:
        others = further([], seen, wanted)
        if told is None and not others:
            raise
        # What follows no law of places is audited too, and may follow one of sizes, or of two objects together.
        result = _recording_result.nothing(seen, wanted, str(error)) | {"further": others}
    progress.end()
    result |= entry | ({} if told is None else {"audit": told})
    result["source"], result["command"] = ", ".join(values.video or [values.track]), " ".join(argv)
    result["seconds"]["all"] = time.monotonic() - begin
    _write(out, result, seen, found, film, wanted, argv, space)
    return result


def _seen(values: flags.FlagValues, wanted: Any, progress: StepProgress) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
    """Film (None without one), what was seen, what is wanted now, places in space (or None), and further entries."""
    from o2t_jax.commands import _recordings
    from o2t_jax.data.recordings.track_files import read_tracks
    from o2t_jax.evaluation.recordings.quantities import Clock

    if values.track:
        tracks = read_tracks(Path(values.track), values.fps)
        seen = _recordings.Seen(tracks, None, Clock(1e-3, "the file's times"), [], 0.0)
        return None, seen, dataclasses.replace(wanted, objects=max(wanted.objects, len(tracks))), None, {}
    films = [film_of(values, Path(path)) for path in values.video]
    if not values.calibration:
        return films[0], _recordings.see(films[0], progress), wanted, None, {}
    from o2t_jax.commands import _recording_cameras

    cameras = _recording_cameras.cameras_for(values.calibration, len(films))
    if len(films) == 1:
        seen = _recordings.see(films[0], progress)
        return *_recording_cameras.straightened(films[0], seen, wanted, cameras[0]), None, {}
    _recording_cameras.metric_contradictions(wanted)
    seen, metric, space, entry = _recording_cameras.together(films, cameras, wanted, progress)
    return None, seen, metric, space, {"cameras": entry}


def _write(
    out: Path, result: dict[str, Any], seen: Any, found: Any, film: Any, wanted: Any, argv: Sequence[str], space: Any
) -> None:
    from o2t_jax import media
    from o2t_jax.commands._recording_overlay import overlay, overlay_times
    from o2t_jax.commands._recording_page import report
    from o2t_jax.data.recordings.track_files import write_tracks
    from o2t_jax.data.recordings.triangulation import write_space
    from o2t_jax.evaluation.writers.json_file import write_json, write_whole

    out.mkdir(parents=True, exist_ok=True)
    tracks = [each.track for each in found] or [seen.tracks[0].kept()]
    write_whole(out / "track.csv", write_tracks(tracks).encode())
    if space is not None:
        write_space(space, out / "space.csv")
    data, kind = None, ""
    if film is not None and found:
        import numpy as np

        times = overlay_times(film, found)
        data, kind = media.film(np.stack(list(overlay(film, found, wanted, times))), 15.0)
        write_whole(out / f"overlay.{kind}", data)
        result["overlay"] = {"file": f"overlay.{kind}", "times": times}
    page = report(result, found, wanted.up, (data, kind), _cli.command_line("recording", argv))
    write_whole(out / "report.html", page.encode())
    write_json(result, out / "result.json")  # the last: a folder that has it is finished


def summary(result: dict[str, Any]) -> str:
    """The result as a text: every object, every segment, value with interval."""
    from o2t_jax.evaluation.recordings.quantities import told_entry

    lines = [f"clock: {result['clock']['source']}"] + [f"note: {note}" for note in result["clock"]["notes"]]
    if "reason" in result.get("seeing", {}):
        lines.append(f"seen by: {result['seeing']['used']}: {result['seeing']['reason']}")
    for number, each in enumerate(result["objects"]):
        scale = each["scale"]["px_per_metre"]
        told = "" if scale is None else f": {scale['value']:.5g} px/m ({scale['low']:.5g} to {scale['high']:.5g})"
        lines += ["", f"object {number}, scale {each['scale']['source']}{told}"]
        for index, segment in enumerate(each["segments"]):
            mark = " (stands for the object)" if index == each["main_segment"] and len(each["segments"]) > 1 else ""
            lines.append(
                f"{segment['start']:.3f} to {segment['end']:.3f} s: {segment['law']}{mark}: {segment['reason']}"
            )
            if segment["law"] != segment["nearest"]:
                lines.append(f"  nearest: {segment['nearest']}")
            for name, entry in segment["parameters"].items():
                lines.append(f"  {name:20s} {told_entry(entry)}")
        for contact in each["contacts"]:
            lines.append(f"  contact at {contact['time']:.3f} s: restitution {told_entry(contact['restitution'])}")
        lines += [f"  refused: {reason}" for reason in each["refused"]]
    for entry in result.get("further", []):
        tracks = " and ".join(str(number) for number in entry["tracks"])
        span = f"{entry['start']:.3f} to {entry['end']:.3f} s"
        lines += ["", f"track {tracks}, {span}, by {entry['sees']}: {entry['law']}"]
        lines += [f"  {name:20s} {told_entry(each)}" for name, each in entry["parameters"].items()]
        lines += [f"  refused: {reason}" for reason in entry["refused"]]
    if not result["objects"]:
        lines += ["", *(f"refused: {reason}" for reason in result["refused"])]
    if "audit" in result:
        from o2t_jax.commands._recording_audit import audit_lines

        lines += audit_lines(result["audit"])
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
