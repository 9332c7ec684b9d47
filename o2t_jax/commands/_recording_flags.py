"""The flags of `experiments.recording`, and what they say: the film, and what is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from absl import flags

from o2t_jax.errors import UsageError


def check(values: flags.FlagValues) -> None:
    """Raises: UsageError where flags contradict each other."""
    from o2t_jax.commands import _recording_seeing

    if bool(values.video) == bool(values.track):
        raise UsageError("give --video=FILE, or --track=FILE.csv to skip the seeing: one of them")
    if len(values.video or []) > 1 and not values.calibration:
        raise UsageError(f"{len(values.video)} --video are one recording by several cameras: give --calibration=FILE")
    if values.track and values.calibration:
        raise UsageError("--calibration needs the picture's size, which --track does not have: give --video")
    _recording_seeing.check_way(values.seeing, len(values.video or []) == 1)
    if values.track and values.diameter is not None:
        raise UsageError("--diameter needs the object's size in the picture, which --track does not have: give --scale")


def film_of(values: flags.FlagValues, path: Path) -> Any:
    """The film at `path`, cut as the flags say."""
    from o2t_jax.data.recorded.film import Film
    from o2t_jax.data.recorded.pictures import is_pictures

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
    from o2t_jax.commands._recordings import Wanted

    points = None
    if values.scale:
        place, colon, metres = values.scale.partition(":")
        if not colon:
            raise UsageError(f"--scale={values.scale} must be x1,y1,x2,y2:METRES")
        points = (*_numbers("scale", place, 4), *_numbers("scale", metres, 1))
    known = {}
    for item in values.known or []:
        name, colon, number = item.partition(":")
        if not colon:
            typed = item.replace("=", ":", 1) if "=" in item else "g:9.81"
            raise UsageError(f"--known={item} must be NAME:NUMBER, such as {typed}")
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
        shutter=values.shutter,
        objects=values.objects,
        level=values.level,
    )


class _Quantity(flags.FloatParser):
    """A number in the unit of its flag, which an error names with an example."""

    def __init__(self, unit: str, example: str) -> None:
        super().__init__()
        self._form = f"must be a number of {unit}, such as {example}"

    def convert(self, argument: Any) -> float:
        try:
            return super().convert(argument)
        except ValueError:
            raise ValueError(self._form) from None


def _numbers(flag: str, text: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count:
        raise UsageError(f"--{flag}: {text!r} must be {count} number{'s' * (count > 1)}")
    return found


def define(values: flags.FlagValues) -> None:
    for name, text in (
        ("track", "a CSV file (t, id, x, y; Tracker's or DeepLabCut's export) in place of a film"),
        ("out", "a new folder for the results"),
        ("scale", "two points of the picture and their distance in metres: x1,y1,x2,y2:METRES"),
        ("root", "a folder of clips, for a table of all; with --table, what is known of each"),
        ("table", "a CSV file with the columns file, law, known, truth: the clips below --root"),
        ("roi", "the part of the picture to look at, px: x,y,width,height"),
    ):
        flags.DEFINE_string(name, None, text, flag_values=values)
    for name, unit, example, text in (
        ("diameter", "metres", "0.06", "diameter of the moving ball, m"),
        ("speed", "m/s", "3.5", "speed of the launch, m/s"),
        ("fps", "frames/s", "240", "frames/s at which it was filmed; the frames' own time stamps if left out"),
    ):
        flags.DEFINE(
            _Quantity(unit, example), name, None, text, flag_values=values, serializer=flags.ArgumentSerializer()
        )
    for name, default, text in (
        ("angle", None, "of the launch above the horizontal, degrees; without it the launch is the first sighting"),
        ("start", 0.0, "first second that is used"),
        ("end", None, "last second that is used"),
        ("up", 90.0, "the picture's direction that is up, degrees from its right, counterclockwise"),
        ("tilt", 5.0, "how far the plane of motion may be tilted, degrees (a standard deviation); 0: it is not"),
        ("scale_error", 0.005, "relative error of --scale: 0.5 % for a stick 1 cm behind the motion, seen from 2 m"),
        ("focal", 1.0, "focal length of the camera, in widths of the picture"),
        ("shutter", 0.4, "readout of a rolling shutter, in frames (a standard deviation); 0: all rows at once"),
    ):
        flags.DEFINE_float(name, default, text, flag_values=values)
    flags.DEFINE_list(
        "known",
        None,
        "what is known, in SI units: g:9.81, length:0.637, rope:0.62, or distance:2.5 (to the camera)",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "video",
        None,
        "the film, or a zip or folder of pictures; several are one recording by --calibration; a folder of films gives "
        "one table",
        flag_values=values,
    )
    flags.DEFINE_list(
        "calibration", None, "the cameras of --video in its order: OpenCV's YAML or XML, or JSON", flag_values=values
    )
    flags.DEFINE_string(
        "seeing",
        "classical",
        "classical, network (trained on this film, a minute or two more), or best: both, by held-out residuals",
        flag_values=values,
    )
    flags.DEFINE_bool("audit", False, "whether the motion is lawful: checks that need no scale", flag_values=values)
    flags.DEFINE_bool(
        "level", False, "the camera is level: a slope in the picture is one against gravity", flag_values=values
    )
    flags.DEFINE_integer("objects", 3, "objects that are fitted at most", lower_bound=1, flag_values=values)


__all__ = ["check", "define", "film_of", "wanted_of"]
