"""The parsers that are tried: for each a small valid file, made by the library where it can write one, and a reader.

To be added with their readers: motion files (BVH), checkpoints whose sums are right.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

K = [[500.0, 0, 32], [0, 500.0, 24], [0, 0, 1]]
TIMES = np.arange(16) / 30
PLACES = np.stack([10 + 50 * TIMES, 20 - 30 * TIMES], 1)


class Parser(NamedTuple):
    """`seeds`, names of files with their content; `read`, of a path; `slow`, whether few are tried in tests."""

    seeds: Mapping[str, bytes]
    read: Callable[[Path], Any]
    slow: bool = False


def parsers(folder: Path) -> dict[str, Callable[[], Parser]]:
    """Name -> what makes the parser, whose imports only its own process needs. `folder` holds files that are needed."""
    return {
        "calibration": lambda: calibration(folder),
        "tracks": tracks,
        "disc_tracks": disc_tracks,
        "clips_table": clips_table,
        "numbers": numbers,
        "xz_numbers": lambda: xz_numbers(folder),
        "sheets": lambda: sheets(folder),
        "pictures": pictures,
        "picture": lambda: picture(folder),
        "digits": digits,
        "set_metadata": lambda: set_metadata(folder),
        "set_sums": lambda: set_sums(folder),
        "set_shard": lambda: set_shard(folder),
        "config": config,
        "results": results,
        "metrics": metrics,
        "sessions": sessions,
        "manifest": lambda: manifest(folder),
        "film": film,
    }


def calibration(folder: Path) -> Parser:
    import cv2

    from o2t_jax.data.recordings.calibration import read_cameras

    seeds = {}
    camera = {"K": K, "distortion": [0.1, 0, 0, 0, 0], "size": [64, 48]}
    second = camera | {"R": np.eye(3).tolist(), "t": [0.1, 0, 0]}
    seeds["one.json"] = json.dumps(camera).encode()
    seeds["two.json"] = json.dumps({"cameras": [camera, second]}).encode()
    for name in ("one.yml", "one.xml"):
        file = cv2.FileStorage(str(folder / name), cv2.FILE_STORAGE_WRITE)
        file.write("camera_matrix", np.array(K))
        file.write("distortion_coefficients", np.zeros((1, 5)))
        file.write("image_width", 64)
        file.write("image_height", 48)
        file.release()
        seeds[name] = (folder / name).read_bytes()
    return Parser(seeds, lambda path: read_cameras([path]))


def tracks() -> Parser:
    from o2t_jax.data.recordings.track_files import read_tracks

    rows = [f"{t:.4f},{i},{x:.3f},{y:.3f},1" for i in (0, 1) for t, (x, y) in zip(TIMES, PLACES, strict=True)]
    tracker = [f"{t:.4f}\t{x:.3f}\t{y:.3f}" for t, (x, y) in zip(TIMES, PLACES, strict=True)]
    deep = [f"{n},{x:.3f},{y:.3f},0.9" for n, (x, y) in enumerate(PLACES)]
    head = ["scorer,a,a,a", "bodyparts,b,b,b", "coords,x,y,likelihood"]
    seeds = {
        "own.csv": ["t,id,x,y,used", *rows],
        "tracker.csv": ["mass A\t\t", "t\tx\ty", *tracker],
        "dlc.csv": [*head, *deep],
    }
    return Parser(
        {name: "\n".join(lines).encode() for name, lines in seeds.items()},
        lambda path: read_tracks(path, 30.0 if path.name.endswith("dlc.csv") else None),
    )


def disc_tracks() -> Parser:
    from o2t_jax.data.recorded.track_file import read_tracks, tracks_text

    one = np.column_stack([TIMES, PLACES, np.ones(16)])
    return Parser({"t.csv": tracks_text({"0": one, "1": one}).encode()}, read_tracks)


def clips_table() -> Parser:
    from o2t_jax.commands._recording_table import read_table

    return Parser({"t.csv": b"file,law,known,truth\na.mp4,fall,--fps=240,g=9.81\nb/c.mp4,,,l=1;g=2\n"}, read_table)


def numbers() -> Parser:
    from o2t_jax.data.recorded.recording import Track, read_numbers

    def read(path: Path) -> Any:
        table = read_numbers(path, 3)
        return Track("0", table[:, 0], table[:, 1:])

    rows = np.column_stack([TIMES, PLACES])
    return Parser({"n.txt": ("% t x y\n" + "\n".join(" ".join(map(str, row)) for row in rows)).encode()}, read)


def xz_numbers(folder: Path) -> Parser:
    from o2t_jax.data.recorded.ibm_double_pendulum import load

    place = folder / "ibm_double_pendulum"
    place.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    text = "\n".join(",".join(f"{x:.3f}" for x in row) for row in rng.normal(size=(20, 6)))
    return Parser({"0.csv.xz": lzma.compress(text.encode())}, beside(place, "0.csv.xz", lambda: load(folder)))


def beside(place: Path, name: str, read: Callable[[], Any]) -> Callable[[Path], Any]:
    """A reader of the file `name` in `place`, for files that are only read under their own name."""

    def moved(path: Path) -> Any:
        path.replace(place / name)
        return read()

    return moved


def sheets(folder: Path) -> Parser:
    from o2t_jax.data.recorded.ball_drops import load

    place = folder / "ball_drops"
    place.mkdir(exist_ok=True)
    (place / "balls.txt").write_text("ball weight(oz) circumference(cm)\nGolf 1.5 13.0\n")
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    rows = "".join(
        f'<row r="{r}">' + "".join(f'<c r="{c}{r}"><v>{r / 15}</v></c>' for c in "BCD") + "</row>" for r in range(2, 9)
    ).replace('<c r="B', '<c r="A1"><v>1</v></c><c r="B')
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", f'<w {main} xmlns:r="{relations}"><sheet name="Golf" r:id="r"/></w>')
        archive.writestr("xl/_rels/workbook.xml.rels", '<R><R Id="r" Target="a.xml"/></R>')
        archive.writestr("xl/a.xml", f"<s {main}>{rows}</s>")
    return Parser({"b.xls": file.getvalue()}, beside(place, "Ball_drops_data.xls", lambda: load(folder)))


def pictures() -> Parser:
    from o2t_jax.data.recorded.pictures import pictures as read

    seeds = {}
    for suffix, data in encoded().items():
        file = io.BytesIO()
        method = zipfile.ZIP_DEFLATED if suffix == "bmp" else zipfile.ZIP_STORED
        with zipfile.ZipFile(file, "w", method) as archive:
            for number in range(2):
                archive.writestr(f"frame{number}.{suffix}", data)
        seeds[f"{suffix}.zip"] = file.getvalue()
    return Parser(seeds, lambda path: list(read(path)))


def picture(folder: Path) -> Parser:
    """Alone in a folder, where no sum of a zip refuses it before its decoder sees it."""
    from o2t_jax.data.recorded.pictures import pictures as read

    place = folder / "pictures"
    place.mkdir(exist_ok=True)

    def moved(path: Path) -> Any:
        for old in place.iterdir():
            old.unlink()
        path.replace(place / path.name)
        return list(read(place))

    return Parser({f"a.{suffix}": data for suffix, data in encoded().items()}, moved)


def encoded() -> dict[str, bytes]:
    """One small picture in every format, by suffix."""
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8))
    found = {}
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG"), ("bmp", "BMP"), ("tif", "TIFF"), ("webp", "WEBP")):
        image.save(file := io.BytesIO(), kind)
        found[suffix] = file.getvalue()
    return found


def digits() -> Parser:
    from o2t_jax.data.video.digits import EDGE, load_digits

    images = np.zeros((1, EDGE, EDGE), np.uint8)
    images[:, 5:9] = 200
    idx = struct.pack(">4I", 2051, 1, EDGE, EDGE) + images.tobytes()
    np.savez(plain := io.BytesIO(), images=images)
    np.savez_compressed(packed := io.BytesIO(), images=images, labels=np.arange(1))
    seeds = {"a.idx": idx, "a.gz": gzip.compress(idx), "a.npz": plain.getvalue(), "b.npz": packed.getvalue()}
    return Parser(seeds, lambda path: load_digits(str(path)))


class Numbers:
    """A source of samples that needs no JAX."""

    class Entry(NamedTuple):
        shape: tuple[int, ...]
        dtype: np.dtype

    name, seed, description, splits = "numbers", 1, {"env": "numbers", "scale": 2.0}, {"train": 6, "test": 3}
    spec = {"x": Entry((2,), np.dtype("float32")), "n": Entry((), np.dtype("int64"))}  # noqa: RUF012

    def make(self, split: str, indices: np.ndarray) -> dict[str, np.ndarray]:
        del split
        return {"x": np.ones((len(indices), 2), np.float32), "n": np.asarray(indices, np.int64)}


def made_set(folder: Path, name: str) -> Path:
    from o2t_jax.data.records import write_set

    write_set(folder / name, Numbers(), {"train": 6, "test": 3})  # pyright: ignore[reportArgumentType]
    return folder / name


def read_set(place: Path) -> Any:
    from o2t_jax.data.stored import open_set

    with open_set(place) as stored:
        stored.verify()
        return [stored.read(split, np.arange(size)) for split, size in stored.splits.items()]


def set_metadata(folder: Path) -> Parser:
    """With its own sum made right, so that more than the sum is tried; the shards' sums are not compared."""
    from o2t_jax.data.stored import open_set

    place = made_set(folder, "set_metadata")
    lines = (place / "SHA256SUMS").read_text().splitlines()

    def read(path: Path) -> Any:
        data = path.read_bytes()
        sum_ = f"{hashlib.sha256(data).hexdigest()}  metadata.json"
        (place / "metadata.json").write_bytes(data)
        (place / "SHA256SUMS").write_text("\n".join([sum_ if "metadata" in line else line for line in lines]) + "\n")
        with open_set(place) as stored:
            return [stored.read(split, np.arange(min(size, 9))) for split, size in stored.splits.items()]

    return Parser({"metadata.json": (place / "metadata.json").read_bytes()}, read)


def set_sums(folder: Path) -> Parser:
    place = made_set(folder, "set_sums")
    seed = (place / "SHA256SUMS").read_bytes()
    return Parser({"SHA256SUMS": seed}, beside(place, "SHA256SUMS", lambda: read_set(place)))


def set_shard(folder: Path) -> Parser:
    """Without the sum: the size is right or the set is refused at once, so only changes of the same size go on."""
    from o2t_jax.data.stored import open_set

    place = made_set(folder, "set_shard")
    (shard,) = place.glob("train-*")
    whole, right = shard.read_bytes(), Numbers().make("train", np.arange(6))

    def read(path: Path) -> Any:
        data = path.read_bytes()
        shard.write_bytes((data + whole[len(data) :])[: len(whole)])
        with open_set(place) as stored:
            found = stored.read("train", np.arange(6))
        if any(found[name].tobytes() != right[name].tobytes() for name in right):
            raise RuntimeError("other samples than those that were written, without a word")

    return Parser({"shard": whole}, read)


def config() -> Parser:
    from o2t_jax.config import flatten
    from o2t_jax.training.workdir import config_from_json, config_hash, read_json

    def read(path: Path) -> Any:
        found = config_from_json(read_json(path))
        return flatten(found.to_dict()), config_hash(found)

    tree = {"system": "o2t", "seed": 0, "lr": 1e-3, "world": {"g0": 9.8, "box": [1, 2]}, "free_fields": ["seed"]}
    return Parser({"config.json": json.dumps(tree, indent=1).encode()}, read)


def results() -> Parser:
    from o2t_jax import results as kinds
    from o2t_jax.errors import UsageError
    from o2t_jax.evaluation.writers.folder import INDEX, read_index

    x = np.arange(3.0)
    columns = {"method": kinds.Column(), "error": kinds.Column("m", ".2f")}
    rows = [{"method": "network", "error": 1.0}, {"method": "constant", "error": float("nan")}]
    found = {
        "s": kinds.Scalar(1.0, "m", low=0.0, high=2.0),
        "score": kinds.Score(1.0, baselines={"constant": 2.0}, better="lower"),
        "curve": kinds.ScoreCurve(x, x, baselines={"constant": x + 1}, better="lower"),
        "table": kinds.ScoreTable(columns, rows, baselines=["constant"], better="lower", method="network"),
    }
    index = {name: kinds.to_json(one) | {"step": 3} for name, one in found.items()}

    def read(path: Path) -> Any:
        path.replace(path.parent / INDEX)
        for name, entry in read_index(path.parent).items():
            try:
                kinds.from_json(entry)
            except ValueError as error:  # what it promises, and what the report turns into one line
                raise UsageError(f"{name}: {error}") from error

    return Parser({"results.json": json.dumps(index, indent=1).encode()}, read)


def metrics() -> Parser:
    from o2t_jax.training.metrics import read_metrics
    from o2t_jax.training.workdir import METRICS

    def read(path: Path) -> Any:
        path.replace(path.parent / METRICS)
        return read_metrics(path.parent)

    rows = [json.dumps({"step": step, "train/loss": 1 / (1 + step), "eval/x": None}) for step in range(8)]
    return Parser({METRICS: "\n".join(rows).encode()}, read)


def sessions() -> Parser:
    from o2t_jax.training.provenance import SESSIONS, read_sessions

    def read(path: Path) -> Any:
        path.replace(path.parent / SESSIONS)
        return read_sessions(path.parent)

    rows = [json.dumps({"step": step, "versions": {"jax": "0.1"}, "cores": 2}) for step in range(4)]
    return Parser({SESSIONS: "\n".join(rows).encode()}, read)


def manifest(folder: Path) -> Parser:
    from o2t_jax.training.manifest import NAME, verify_manifest, write_manifest

    place = folder / "checkpoints" / "7"
    for item in ("meta", "params"):
        (place / item).mkdir(parents=True, exist_ok=True)
        (place / item / "data").write_text(item)
    write_manifest(place)
    return Parser({NAME: (place / NAME).read_bytes()}, beside(place, NAME, lambda: verify_manifest(place)))


def film() -> Parser:
    from o2t_jax import media
    from o2t_jax.data.recorded.film import Film

    frames = np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), np.uint8)
    data, kind = media.film(frames, 30.0)
    seeds = {f"a.{kind}": data, "b.gif": media.gif(frames, 30.0)}

    def read(path: Path) -> Any:
        film = Film(path)
        film.header()
        return sum(1 for _ in film.colours())

    return Parser(seeds, read, slow=True)
