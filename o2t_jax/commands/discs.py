"""Discs that collide, recorded: restitution, mass ratio and friction with intervals from tracks or from a film.

    python -m experiments.discs --infer=tracks.csv --json=FILE                          # columns t (s), id, x, y
    python -m experiments.discs --track=FILM.mp4 --out=tracks.csv --fps=240             # two discs on a table -> tracks
    python -m experiments.discs --infer=FILM.mp4 --fps=240 --json=- --plot=FILE.png     # both

--fps is the rate at which a slow-motion film was recorded; the frames' own time stamps without it. Times of --start and
--end are by that clock. --scale, metres per unit of x, gives the friction coefficient. docs/discs_recorded.md says what
the intervals hold, and what is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from o2t_jax.commands import _cli
from o2t_jax.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from o2t_jax.evaluation.discs.inference import Findings

TABLES = (".csv", ".txt")


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return _cli.run(run_discs, argv, doc=__doc__ or "", define=_define, with_config=False)


def run_discs(arguments: _cli.Arguments) -> int:
    """Tracks, infers, prints and writes."""
    values = arguments.flags
    if bool(values.infer) == bool(values.track):
        raise UsageError("give one of --infer=FILE (tracks .csv, or a film) and --track=FILM")
    if values.track and not values.out:
        raise UsageError("--out is missing: give the file for the tracks, such as tracks.csv")
    if values.plot and not values.plot.endswith(".png"):
        raise UsageError(f"--plot={values.plot}: give a file that ends in .png")
    source = Path(values.infer or values.track)
    is_film = bool(values.track) or source.suffix.lower() not in TABLES
    _check_folders(values)
    from o2t_jax.evaluation.writers.console import text_stream
    from o2t_jax.evaluation.writers.json_file import write_whole

    tracks = _film_tracks(source, values) if is_film else _file_tracks(source)
    stream = text_stream(values.json)
    if is_film and values.out:
        from o2t_jax.data.recorded.track_file import tracks_text

        write_whole(Path(values.out), tracks_text(tracks).encode())
        rows = ", ".join(f"{len(rows)} of disc {name}" for name, rows in tracks.items())
        print(f"tracks: {values.out} ({rows})", file=stream)
    if values.infer:
        _infer(tracks, values, is_film)
    return 0


def _infer(tracks: dict[str, np.ndarray], values: flags.FlagValues, is_film: bool) -> None:
    import numpy as np

    from o2t_jax.evaluation.discs.contacts import Path as DiscPath
    from o2t_jax.evaluation.discs.inference import infer
    from o2t_jax.evaluation.writers.console import report
    from o2t_jax.evaluation.writers.json_file import write_whole

    paths = {}
    for name, rows in tracks.items():
        known = np.isfinite(rows[:, 3]).all()
        paths[name] = DiscPath(rows[:, 0], rows[:, 1:3], float(np.median(rows[:, 3])) if known else None)
    found = infer(paths, values.scale, values.uneven, values.table)
    clock = "time stamps" if values.fps is None else f"{values.fps:g} frames/s"
    record = {
        "source": values.infer,
        "clock": clock if is_film else "the file's t, s",
        "scale": values.scale,
        **found.as_dict(),
        "level": 0.95,
        "systematic": {"uneven": values.uneven, "table": values.table},
    }
    report(summary(found), record, values.json)
    if values.plot:
        from o2t_jax.evaluation.discs.picture import picture

        write_whole(Path(values.plot), picture(paths, found, down=is_film))


def summary(found: Findings) -> str:
    """What was found, for people."""
    lines = []
    for meeting in found.meetings:
        record = meeting.as_dict()
        lines.append(
            f"collision of {meeting.ids[0]} and {meeting.ids[1]} at {meeting.time:.4f} s, centres "
            f"{meeting.distance:.4g} apart, misfit {record['misfit']:.2f}, tangential over normal impulse "
            f"{record['tangential_over_normal_impulse']:.2f}"
        )
    for name, value in found.parameters.items():
        lines.append(f"{name}: {value.value:.4g} [{value.low:.4g}, {value.high:.4g}] {value.unit}".rstrip())
    lines += [f"{name}: refused: {reason}" for name, reason in found.refused.items()]
    return "\n".join(lines)


def _film_tracks(path: Path, values: flags.FlagValues) -> dict[str, np.ndarray]:
    """Rows [T, 4] (t, x, y, r) by disc, numbered from 1."""
    import numpy as np

    from o2t_jax.data.recorded.discs import track_discs
    from o2t_jax.data.recorded.film import Film

    if values.fps is not None and not values.fps > 0:
        raise UsageError(f"--fps={values.fps:g} must be above 0")
    if not 0 <= values.start < values.end:
        raise UsageError(f"--start={values.start:g} and --end={values.end:g}: 0 <= start < end")
    if values.discs < 1:
        raise UsageError(f"--discs={values.discs} must be at least 1")
    film = Film(path, values.start, values.end, values.fps, _roi(values.roi))
    seen = track_discs(film, values.discs)
    return {str(i): np.column_stack([one.times, one.places, one.radii]) for i, one in enumerate(seen, 1)}


def _file_tracks(path: Path) -> dict[str, np.ndarray]:
    from o2t_jax.data.recorded.track_file import read_tracks

    return read_tracks(path)


def _roi(given: list[str]) -> tuple[int, int, int, int] | None:
    if not given:
        return None
    try:
        x, y, width, height = (int(part) for part in given)
    except ValueError:
        raise UsageError(f"--roi={','.join(given)}: give x,y,width,height in px") from None
    return x, y, width, height


def _check_folders(values: flags.FlagValues) -> None:
    """Before minutes of work, not after. Raises: UsageError."""
    for name in ("out", "json", "plot"):
        _cli.check_folder(name, getattr(values, name))


def _define(values: flags.FlagValues) -> None:
    from o2t_jax.evaluation.discs.encounter import UNEVEN
    from o2t_jax.evaluation.discs.inference import TABLE

    flags.DEFINE_string("infer", None, "tracks (.csv: t, id, x, y) or a film", flag_values=values)
    flags.DEFINE_string("track", None, "a film whose discs are only tracked", flag_values=values)
    flags.DEFINE_string("out", None, "file for the tracks of a film", flag_values=values)
    flags.DEFINE_string("json", None, "file for the findings; - is standard output", flag_values=values)
    flags.DEFINE_string("plot", None, "picture of tracks, contact and fits, .png", flag_values=values)
    flags.DEFINE_float("scale", None, "metres per unit of x", flag_values=values)
    flags.DEFINE_float("uneven", UNEVEN, "spread of friction along a path, a share of it", flag_values=values)
    flags.DEFINE_float("table", TABLE, "share of an impulse that the table may take up", flag_values=values)
    flags.DEFINE_integer("discs", 2, "discs in the film", flag_values=values)
    flags.DEFINE_float("fps", None, "frames/s at which the film was recorded; its time stamps", flag_values=values)
    flags.DEFINE_float("start", 0.0, "of the part of the film that is read, s", flag_values=values)
    flags.DEFINE_float("end", float("inf"), "of that part, s", flag_values=values)
    flags.DEFINE_list("roi", [], "part of the picture that is read: x,y,width,height px", flag_values=values)


if __name__ == "__main__":
    sys.exit(main())
