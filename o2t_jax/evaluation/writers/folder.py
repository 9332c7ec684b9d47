"""The results of an evaluation, sorted by kind into a run's folder.

results.json           every result by name: step, kind, all its numbers, and the file that shows it
pictures/<name>_<step>.png
films/<name>_<step>.mp4, or .gif if H.264 cannot be encoded
tables/<name>.json     {"step", "rows"}; tables/<name>.csv
curves/<name>.png, curves/<name>.csv

In file names, all characters but letters, digits, dot, plus and minus become underscores. Tables and curves are those
of the last evaluation; a run that continues overwrites them. Of each picture and film a run keeps `MOST_STEPS` steps,
spread over the training, so that a long one does not fill the disk; TensorBoard's files, if any, keep all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from o2t_jax import media, results
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.writers.csv_file import curve_csv, table_csv
from o2t_jax.evaluation.writers.curves import figure_of, pixels_of
from o2t_jax.evaluation.writers.json_file import to_json, write_whole
from o2t_jax.parsing import json_of
from o2t_jax.results import Curve, Film, Picture, Result, Scalar, Table

INDEX = "results.json"
MOST_STEPS = 10  # of one picture or film, kept in a run's folder
FILM_SIDE = 128  # px; smaller films are enlarged, since 4:2:0 would lose half of their colours


class Screen(Protocol):
    """A display for pictures during a run, such as CLU's metric writers for TensorBoard."""

    def write_images(self, step: int, images: Mapping[str, np.ndarray], /) -> None: ...

    def write_videos(self, step: int, videos: Mapping[str, np.ndarray], /) -> None: ...


class ResultsFolder:
    """Writes results below `root`; also pictures, films and curves to a `screen`.

    flat: all files directly in `root`, without a subfolder for each kind.
    """

    def __init__(self, root: Path, screen: Screen | None = None, *, flat: bool = False) -> None:
        self._root, self._screen, self._flat = root, screen, flat

    def write(self, step: int, found: Mapping[str, Result]) -> dict[str, Path]:
        """Writes results by name; a result replaces an earlier one of the same name in `results.json`.

        Returns: name -> the file that shows the result, for results that have one.
        Raises: UsageError if something cannot be written; ValueError if two names are the same in the file system.
        """
        stems: dict[str, str] = {}
        for name in found:
            if (other := stems.setdefault(_stem(name).lower(), name)) != name:
                raise ValueError(f"results {other!r} and {name!r} would be one file: rename one of them")
        index = read_index(self._root)
        files: dict[str, Path] = {}
        for name, result in found.items():
            entry, path = self._write_one(step, name, result)
            index[name] = {"step": step, **entry}
            if path is not None:
                files[name] = path
                index[name]["file"] = path.relative_to(self._root).as_posix()
        if index:
            self._folder("")
            write_whole(self._root / INDEX, (json.dumps(index, indent=1, allow_nan=False) + "\n").encode())
        return files

    def _write_one(self, step: int, name: str, result: Result) -> tuple[dict[str, Any], Path | None]:
        stem = _stem(name)
        if isinstance(result, Scalar):
            return results.to_json(result), None
        if isinstance(result, Table):
            path = self._folder("tables") / f"{stem}.json"
            write_whole(path, to_json({"step": step, "rows": result.rows}).encode())
            write_whole(path.parent / f"{stem}.csv", table_csv(result).encode())
            return results.to_json(result), path
        if isinstance(result, Curve):
            path = self._folder("curves") / f"{stem}.png"
            pixels = pixels_of(figure_of(result))
            write_whole(path, media.png(pixels))
            write_whole(path.parent / f"{stem}.csv", curve_csv(result).encode())
            self._show(step, name, pixels)
            return results.to_json(result), path
        if isinstance(result, Picture):
            path = self._folder("pictures") / f"{stem}_{step:07d}.png"
            write_whole(path, media.png(result.pixels))
            self._thin_out(path)
            self._show(step, name, result.pixels)
            return {"kind": "picture", "caption": result.caption}, path
        assert isinstance(result, Film)
        frames = media.enlarged(result.frames, FILM_SIDE)
        data, kind = media.film(frames, result.fps)
        path = self._folder("films") / f"{stem}_{step:07d}.{kind}"
        write_whole(path, data)
        self._thin_out(path)
        if self._screen is not None:
            self._screen.write_videos(step, {name: frames})
        return {"kind": "film", "caption": result.caption, "fps": result.fps}, path

    def _thin_out(self, newest: Path) -> None:
        """Removes steps of one picture or film until `MOST_STEPS` are left; never `newest`."""
        if self._flat:  # single evaluations, which were asked for one by one
            return
        stem, _, step = newest.stem.rpartition("_")
        pattern = re.compile(rf"{re.escape(stem)}_(\d{{7,}})\{newest.suffix}")
        files = {int(found[1]): path for path in newest.parent.iterdir() if (found := pattern.fullmatch(path.name))}
        while len(files) > MOST_STEPS:
            files.pop(most_crowded(files, int(step))).unlink(missing_ok=True)

    def _show(self, step: int, name: str, pixels: np.ndarray) -> None:
        if self._screen is not None:
            self._screen.write_images(step, {name: pixels})

    def _folder(self, kind: str) -> Path:
        path = self._root if self._flat else self._root / kind
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{path} cannot be created ({error.strerror}): give another folder") from error
        return path


def most_crowded(steps: Iterable[int], kept: int) -> int:
    """The step whose neighbours are nearest to each other, the earliest of several; not the first, last or `kept`.

    What is left is close to even. `steps` are four or more.
    """
    ordered = sorted(steps)
    gaps = {step: after - before for before, step, after in zip(ordered, ordered[1:], ordered[2:], strict=False)}
    return min(gaps.keys() - {kept}, key=lambda step: (gaps[step], step))


def read_index(root: Path) -> dict[str, Any]:
    """The entries of `results.json`, name -> entry; empty if it is missing. Raises: UsageError if it is damaged."""
    path = root / INDEX
    try:
        found = json_of(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not readable JSON ({error}): repair or delete it") from error
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise UsageError(f"{path} is not a list of results: repair or delete it")
    return found


def _stem(name: str) -> str:
    return re.sub(r"[^\w.+-]", "_", name)
