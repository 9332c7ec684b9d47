"""The law in a film: python -m experiments.recording --video=FILE --out=DIR [--scale=x1,y1,x2,y2:METRES]

FILE is a film (mp4, mov, avi, gif) or a zip or folder of pictures. One known thing turns px into metres: --scale, two
points of the picture; --diameter of the ball, m; --speed of the launch, m/s, with its --angle; --known=g:9.81,
length:0.637, or rope:0.62 (to the ball). Without any, only what needs no scale is told. Writes result.json, track.csv,
overlay.mp4 and report.html into DIR, which must be new. docs/recordings.md says how to film and to read the intervals.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags

from experiments import _cli
from o2t_jax.errors import UsageError


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(measure, argv, doc=__doc__ or "", define=_define, with_config=False)


def measure(arguments: _cli.Arguments) -> int:
    """Reads, follows, fits, writes and prints."""
    from experiments import _recording_seeing, _recordings
    from o2t_jax.data.recordings.track_files import read_tracks
    from o2t_jax.evaluation.recordings.quantities import Clock

    values = arguments.flags
    if bool(values.video) == bool(values.track):
        raise UsageError("give --video=FILE, or --track=FILE.csv to skip the seeing: one of them")
    wanted = wanted_of(values)
    wanted.check()
    _recording_seeing.check_way(values.seeing, bool(values.video))
    out = _recordings.folder_for(_cli.out_folder(values, "the results"))
    progress = Progress()
    begin = time.monotonic()
    film = None
    if values.track:
        if wanted.diameter is not None:
            raise UsageError(
                "--diameter needs the object's size in the picture, which --track does not have: give --scale"
            )
        tracks = read_tracks(Path(values.track), values.fps)
        seen = _recordings.Seen(tracks, None, Clock(1e-3, "the file's times"), [], 0.0)
        wanted = dataclasses.replace(wanted, objects=max(wanted.objects, len(tracks)))
    else:
        film = film_of(values)
        seen = _recordings.see(film, progress)
    seen, found, seeing = _recording_seeing.fit_seen(film, seen, wanted, values.seeing, progress)
    progress.end()
    result = _recordings.as_result(found, seen, wanted)
    result["seeing"] = seeing
    result["source"], result["command"] = str(values.video or values.track), " ".join(arguments.argv)
    result["seconds"]["all"] = time.monotonic() - begin
    _write(out, result, seen, found, film, wanted, arguments)
    print(summary(result))
    print(f"written: {out}")
    return 0


def _write(out: Path, result: dict[str, Any], seen: Any, found: Any, film: Any, wanted: Any, arguments: Any) -> None:
    from experiments import _recordings
    from experiments._recording_page import report
    from o2t_jax import media
    from o2t_jax.data.recordings.track_files import write_tracks
    from o2t_jax.evaluation.writers.json_file import write_json, write_whole

    out.mkdir(parents=True)
    write_json(result, out / "result.json")
    write_whole(out / "track.csv", write_tracks([each.track for each in found]).encode())
    data, kind = None, ""
    if film is not None:
        import numpy as np

        frames = np.stack(list(_recordings.overlay(film, found, wanted)))
        data, kind = media.film(frames, 15.0)
        write_whole(out / f"overlay.{kind}", data)
    page = report(
        result, found, wanted.up, (data, kind), " ".join(["python -m experiments.recording", *arguments.argv])
    )
    write_whole(out / "report.html", page.encode())


def summary(result: dict[str, Any]) -> str:
    """The result as a text: every object, every segment, value with interval."""
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
    return "\n".join(lines)


def told_entry(entry: dict[str, Any]) -> str:
    """Value, interval and unit."""
    value, low, high = ("-" if entry[key] is None else f"{entry[key]:.5g}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}) {entry['unit']}".rstrip()


class Progress:
    """One line on standard error that counts, where it is a screen; else one line for each step."""

    def __init__(self) -> None:
        self._what, self._time = "", 0.0

    def __call__(self, what: str, count: int) -> None:
        screen = sys.stderr.isatty()
        if what != self._what or (screen and time.monotonic() - self._time > 0.2):
            end = "\r" if screen else "\n"
            print(f"{what} {count}" if screen else f"{what} ...", end=end, file=sys.stderr, flush=True)
            self._what, self._time = what, time.monotonic()

    def end(self) -> None:
        """Goes to a new line."""
        if sys.stderr.isatty() and self._what:
            print(file=sys.stderr)


def film_of(values: flags.FlagValues) -> Any:
    """The film that the flags name."""
    from o2t_jax.data.recorded.film import Film
    from o2t_jax.data.recorded.pictures import is_pictures

    path = Path(values.video)
    if not path.exists():
        raise UsageError(f"--video={path} is no such file or folder")
    if is_pictures(path) and values.fps is None:
        raise UsageError(f"--video={path} is pictures, which have no clock: give --fps")
    roi = None if not values.roi else tuple(int(x) for x in _numbers("roi", values.roi, 4))
    end = float("inf") if values.end is None else values.end
    if not values.start < end:
        raise UsageError(f"--start={values.start:g} must be before --end={end:g}")
    return Film(path, values.start, end, values.fps, roi)  # type: ignore[arg-type]


def wanted_of(values: flags.FlagValues) -> Any:
    """What is known, from the flags."""
    from experiments._recordings import Wanted

    points = None
    if values.scale:
        place, colon, metres = values.scale.partition(":")
        if not colon:
            raise UsageError(f"--scale={values.scale} must be x1,y1,x2,y2:METRES")
        points = (*_numbers("scale", place, 4), *_numbers("scale", metres, 1))
    known = {}
    for item in values.known or []:
        name, _, number = item.partition(":")
        known[name.strip()] = _numbers(f"known={name}", number, 1)[0]
    return Wanted(
        diameter=values.diameter,
        scale_error=values.scale_error,
        points=points,  # type: ignore[arg-type]
        speed=values.speed,
        angle=values.angle,
        known=known,
        up=values.up,
        tilt=values.tilt,
        focal=values.focal,
        objects=values.objects,
    )


def _numbers(flag: str, text: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise UsageError(f"--{flag}: {text!r} must be {count} number{'s' * (count > 1)}")
    return found


def _define(values: flags.FlagValues) -> None:
    for name, text in (
        ("video", "the film, or a zip or folder of pictures"),
        ("track", "a CSV file (t, id, x, y; Tracker's or DeepLabCut's export) in place of a film"),
        ("out", "a new folder for the results"),
        ("scale", "two points of the picture and their distance in metres: x1,y1,x2,y2:METRES"),
        ("roi", "the part of the picture to look at, px: x,y,width,height"),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    for name, default, text in (
        ("diameter", None, "diameter of the moving ball, m"),
        ("speed", None, "speed of the launch, m/s"),
        ("angle", None, "of the launch above the horizontal, degrees; without it the launch is the first sighting"),
        ("fps", None, "frames/s at which it was filmed; the frames' own time stamps if left out"),
        ("start", 0.0, "first second that is used"),
        ("end", None, "last second that is used"),
        ("up", 90.0, "the picture's direction that is up, degrees from its right, counterclockwise"),
        ("tilt", 5.0, "how far the plane of motion may be tilted, degrees (a standard deviation); 0: it is not"),
        ("scale_error", 0.005, "relative error of --scale: 0.5 % for a stick 1 cm behind the motion, seen from 2 m"),
        ("focal", 1.0, "focal length of the camera, in widths of the picture"),
    ):
        flags.DEFINE_float(name, default, text, flag_values=values)
    flags.DEFINE_string(
        "seeing",
        "classical",
        "classical, network (trained on this film, a minute or two more), or best: both, by held-out residuals",
        flag_values=values,
    )
    flags.DEFINE_list(
        "known", None, "a known quantity in SI units: g:9.81, length:0.637 or rope:0.62", flag_values=values
    )
    flags.DEFINE_integer("objects", 3, "objects that are fitted at most", lower_bound=1, flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
