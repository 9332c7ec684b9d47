"""Parsers of recordings: cameras, tracks, tables, sheets, pictures and films."""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.parser import Parser, alone, beside

K = [[500.0, 0, 32], [0, 500.0, 24], [0, 0, 1]]
TIMES = np.arange(16) / 30
PLACES = np.stack([10 + 50 * TIMES, 20 - 30 * TIMES], 1)


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
    seeds = {f"a.{suffix}": data for suffix, data in encoded().items()}
    return Parser(seeds, alone(place, lambda: list(read(place))))


def encoded() -> dict[str, bytes]:
    """One small picture in every format, by suffix."""
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8))
    found = {}
    for suffix, kind in (("png", "PNG"), ("jpg", "JPEG"), ("bmp", "BMP"), ("tif", "TIFF"), ("webp", "WEBP")):
        image.save(file := io.BytesIO(), kind)
        found[suffix] = file.getvalue()
    return found


def old_sheets() -> Parser:
    """An .xls inside: a compound file with a stream of BIFF8 records."""
    from o2t_jax.data.recorded.sheets import read_sheets

    return Parser({"b.xls": compound(biff())}, read_sheets)


def biff() -> bytes:
    """A workbook with a sheet of six numbers, a text and an empty cell."""

    def record(kind: int, *parts: tuple[str, tuple]) -> bytes:
        body = b"".join(struct.pack("<" + form, *values) for form, values in parts)
        return struct.pack("<HH", kind, len(body)) + body

    begin = lambda kind: record(0x809, ("HHHHII", (0x600, kind, 0x0DBB, 0x07CC, 0, 6)))  # noqa: E731
    head = begin(5) + record(0x42, ("H", (1200,)))
    name = record(0x85, ("IBBBB4s", (len(head) + 4 + 12 + 4, 0, 0, 4, 0, b"Golf")))
    cells = [record(0x203, ("HHHd", (row, column, 0, row / 15 + column))) for row in (0, 1) for column in range(3)]
    cells += [record(0x204, ("HHHHB3s", (2, 0, 0, 3, 0, b"abc"))), record(0x201, ("HHH", (2, 1, 0)))]
    return head + name + record(0x0A) + begin(16) + b"".join(cells) + record(0x0A)


def compound(stream: bytes) -> bytes:
    """An OLE2 file of 512-byte sectors with the only stream `Workbook`: a FAT, a directory, the stream."""
    stream = stream.ljust(4096, b"\0")  # shorter ones would lie in a second, smaller table
    count = -(-len(stream) // 512)
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16)
    head += struct.pack("<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0)
    head += struct.pack("<109I", *([0] + [0xFFFFFFFF] * 108))[4:]
    chain = [0xFFFFFFFD, 0xFFFFFFFE, *range(3, 2 + count), 0xFFFFFFFE]
    table = struct.pack("<128I", *(chain + [0xFFFFFFFF] * (128 - len(chain))))

    def entry(name: str, kind: int, child: int, first: int, size: int) -> bytes:
        text = (name + "\0").encode("utf-16-le") if name else b""
        head = text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, *[0xFFFFFFFF] * 2, child)
        return head + bytes(36) + struct.pack("<III", first, size, 0)

    none = entry("", 0, 0xFFFFFFFF, 0, 0)
    folder = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry("Workbook", 2, 0xFFFFFFFF, 2, len(stream)) + 2 * none
    return head + table + folder + stream.ljust(512 * count, b"\0")


def kernel(folder: Path) -> Parser:
    """A kernel of planets: a DAF file whose segments are Chebyshev polynomials that stand still."""
    from o2t_jax.data.recorded.planets import FIRST, NAMES, load

    place = folder / "planets"
    place.mkdir(exist_ok=True)

    def read(path: Path) -> Any:
        path.replace(place / "de421.bsp")
        return load(folder, first=FIRST, days=8)

    segments = [(target, daf_numbers(target)) for target in range(1, len(NAMES) + 2)]
    return Parser({"de421.bsp": daf(segments)}, read)


def daf_numbers(target: int) -> np.ndarray:
    """A polynomial of degree 1 in x, y and z over 32 days from `FIRST` - 4, its begin, length, size and count."""
    from o2t_jax.data.recorded.planets import FIRST

    middle = (FIRST + 12 - 2451545.0) * 86400.0
    polynomial = [middle, 16 * 86400.0, *(x for axis in range(3) for x in (1e8 * target + axis, 10.0))]
    return np.array([*polynomial, middle - 16 * 86400.0, 32 * 86400.0, len(polynomial), 1])


def daf(segments: list[tuple[int, np.ndarray]]) -> bytes:
    """The file's bytes: a record of 1,024 bytes that describes it, one of summaries, one of names, the numbers."""
    from o2t_jax.data.recorded.planets import FIRST

    begin = (FIRST - 4 - 2451545.0) * 86400.0
    at, summaries, data = 3 * 128 + 1, b"", b""
    for target, numbers in segments:
        last = at + len(numbers) - 1
        summaries += struct.pack("<2d6i", begin, begin + 32 * 86400.0, target, 0, 1, 2, at, last)
        data += numbers.astype("<f8").tobytes()
        at = last + 1
    check = b"FTPSTR:\r:\n:\r\n:\r\0:\x81:\x10\xce:ENDFTP"
    head = struct.pack("<8sii60siii8s", b"DAF/SPK ", 2, 6, b"o2t".ljust(60), 2, 2, at, b"LTL-IEEE")
    first = head.ljust(699, b"\0") + check
    second = struct.pack("<3d", 0, 0, len(segments)) + summaries
    return first.ljust(1024, b"\0") + second.ljust(1024, b"\0") + b" " * 1024 + data


def lengths(folder: Path) -> Parser:
    """One of a pendulum's four columns, and the table of balls: files that are short and belong to others."""
    from o2t_jax.data.recorded.ball_drops import read_balls
    from o2t_jax.data.recorded.pendulum_lengths import load

    place = folder / "pendulum_lengths"
    place.mkdir(exist_ok=True)
    for column, values in zip("txyr", (TIMES, *PLACES.T, np.full(16, 9.0)), strict=True):
        np.savetxt(place / f"68_{column}.csv", values)

    def read(path: Path) -> Any:
        if path.name == "balls.txt":
            return read_balls(path)
        path.replace(place / path.name)
        return load(folder)

    balls = b"ball weight(oz) circumference(cm)\nGolf 1.5 13.0\nSoft_ball 6.2 30.5\n"
    return Parser({"68_x.csv": (place / "68_x.csv").read_bytes(), "balls.txt": balls}, read)


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


__all__ = [
    "calibration",
    "clips_table",
    "disc_tracks",
    "film",
    "kernel",
    "lengths",
    "numbers",
    "old_sheets",
    "picture",
    "pictures",
    "sheets",
    "tracks",
    "xz_numbers",
]
