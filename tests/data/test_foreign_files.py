"""Files from anywhere: each that is damaged, or made to do harm, is refused in one line and in little memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from o2t_jax import media
from o2t_jax.data.recorded import film, track_file
from o2t_jax.data.recorded.film import Film
from o2t_jax.data.recorded.pictures import pictures
from o2t_jax.data.recorded.sheets import read_sheets
from o2t_jax.data.recordings.calibration import read_cameras
from o2t_jax.data.recordings.track_files import read_tracks
from o2t_jax.data.stored import open_set
from o2t_jax.data.video.digits import load_digits
from o2t_jax.errors import UsageError
from o2t_jax.parsing import DEEPEST, gunzipped, inside, json_of, plain_name, unxzipped, unzipped

K = [[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]
MIB = 1 << 20


def refused(read, path, content, says=None, memory=64 * MIB):
    """The line with which `read(path)` refuses `content`, within `memory` bytes."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=says) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def calibration(path):
    return read_cameras([path])


@pytest.mark.parametrize(
    "content",
    [
        {"cameras": 3},
        {"cameras": {"K": K}},
        {"cameras": [{"K": K}, 4]},
        {"K": K, "size": "wide"},
        {"K": K, "size": [1e400, 2]},
        {"K": K, "size": [640]},
        {"K": K, "size": [-640, 480]},
        {"K": [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]},
        {"K": K, "R": [[1e308, 0, 0], [0, 1, 0], [0, 0, 1]]},
        {"K": {"rows": 3}},
    ],
)
def test_calibrations_that_are_none(tmp_path, content):
    refused(calibration, tmp_path / "c.json", json.dumps(content))


def test_a_calibration_with_a_pair_beside_what_is_no_camera(tmp_path):
    (tmp_path / "pair.json").write_text(json.dumps({"R": np.eye(3).tolist(), "T": [1, 0, 0]}))
    refused(lambda path: read_cameras([path, tmp_path / "pair.json"]), tmp_path / "c.json", json.dumps([{"K": K}, 4]))


def test_json_without_end_is_refused(tmp_path):
    for depth in (DEEPEST, 900, 100_000):
        refused(calibration, tmp_path / "c.json", '{"K":' + "[" * depth + "]" * depth + "}", "deeper")
    assert json_of("[" * DEEPEST + "]" * DEEPEST)


def test_a_matrix_that_is_larger_than_its_data(tmp_path):
    head = "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 40000\n   cols: 40000\n   dt: d\n   data: [ 1. ]\n"
    refused(calibration, tmp_path / "c.yml", head, "holds no camera")


def test_tracks_with_short_rows_and_long_cells(tmp_path):
    path = tmp_path / "t.csv"
    refused(read_tracks, path, "t,x,y,id\n0,1,2,a\n1,2,3\n", "line 3")
    refused(read_tracks, path, "t,x,y,id,used\n0,1,2,a,1\n1,2,3,a\n", "line 3")
    refused(read_tracks, path, "t,x,y\n" + "\n".join(f"{i},{i}e300,0" for i in range(9)), "below")
    row = "1,2,0.9\n"
    dlc = "scorer,a,a,a\nbodyparts\ncoords,x,y,likelihood\n"
    for cell in ("inf", "nan"):
        refused(lambda path: read_tracks(path, 30), path, dlc + "".join(f"{cell},{row}" for _ in range(9)))
    refused(read_tracks, path, 't,x,y\n"' + "1" * 200_000, "cannot be read")
    refused(track_file.read_tracks, path, 't,id,x,y\n"' + "1" * 200_000, "cannot be read")


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_unpacking_stops_at_its_limit():
    data = b"\0" * (4 * MIB)
    archive = zipfile.ZipFile(io.BytesIO(zipped("a", data)))
    for unpack in (lambda most: unzipped(archive, "a", most), lambda most: gunzipped(gzip.compress(data), most)):
        assert unpack(4 * MIB) == data
        with pytest.raises(ValueError, match="unpacks to more than"):
            unpack(4 * MIB - 1)
    assert unxzipped(lzma.compress(data), 4 * MIB) == data
    with pytest.raises(ValueError, match="unpacks"):
        unxzipped(lzma.compress(data), MIB)


def test_digits_whose_packing_or_header_is_wrong(tmp_path):
    def load(path):
        return load_digits(str(path))

    whole = gzip.compress(struct.pack(">4I", 2051, 1, 28, 28) + bytes(range(256)) * 4)
    refused(load, tmp_path / "d.gz", whole[:12] + bytes([whole[12] ^ 7]) + whole[13:])
    refused(load, tmp_path / "d.idx", struct.pack(">4I", 2051, 1 << 31, 28, 28), "not all of it")
    for shape in ("(99999999999, 28, 28)", "(1, 28", "(" * 300, "(1, 28, 28) if exit() else 1"):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
        npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n"
        refused(load, tmp_path / "d.npz", zipped("a.npy", npy))


def png(width, height):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_pictures_that_are_none_or_too_large(tmp_path):
    def read(path):
        return list(pictures(path))

    path = tmp_path / "p.zip"
    refused(read, path, zipped("a.png", png(8_000, 8_000)), "shrink")
    refused(read, path, zipped("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "no whole picture")
    whole = zipped("a.png", bytes(range(256)) * 9)
    refused(read, path, whole[:40] + b"\xff" * 20 + whole[60:])
    (tmp_path / "p").mkdir()
    refused(lambda _: read(tmp_path / "p"), tmp_path / "p" / "²5.png", png(3, 3)[:40])


def test_a_film_is_read_whose_notes_are_no_text_and_refused_where_it_is_too_large(tmp_path, monkeypatch):
    data, kind = media.film(np.zeros((3, 64, 64, 3), np.uint8), 30.0)
    path = tmp_path / f"f.{kind}"
    path.write_bytes(data.replace(b"Lavf", b"La\xc4\xff"))
    assert len(list(Film(path).frames())) == 3
    monkeypatch.setattr(film, "MOST_PIXELS", 64 * 63)
    if kind == "mp4":
        refused(lambda path: list(Film(path).frames()), path, data)


def test_a_sheet_with_a_cell_far_to_the_right(tmp_path):
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    path = tmp_path / "s.xls"
    parts = {
        "xl/workbook.xml": f'<w {main} xmlns:r="{relations}"><sheet name="a" r:id="r"/></w>',
        "xl/_rels/workbook.xml.rels": '<R><R Id="r" Target="a.xml"/></R>',
        "xl/a.xml": f'<s {main}><row><c r="ZZZZZZ1"><v>1</v></c></row></s>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    refused(read_sheets, path, path.read_bytes(), "damaged")


FILE = {"file": "a.arrayrecord", "samples": 2, "bytes": 100}
METADATA = {
    "format": "o2t_jax samples",
    "version": 1,
    "description": {},
    "spec": [{"name": "x", "shape": [3], "dtype": "float32"}],
    "splits": {"train": {"samples": 2, "files": [FILE]}},
}


def open_with(folder, metadata, sums=""):
    """Opens a set with this metadata, whose sum is right."""
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    (folder / "metadata.json").write_bytes(text)
    (folder / "a.arrayrecord").write_bytes(bytes(100))
    lines = f"{hashlib.sha256(text).hexdigest()}  metadata.json\n{'0' * 64}  a.arrayrecord\n{sums}"
    (folder / "SHA256SUMS").write_text(lines)
    return open_set(folder)


def test_metadata_with_the_right_sum_is_checked_all_the_same(tmp_path):
    assert open_with(tmp_path, METADATA).size("train") == 2

    def splits(**changes):
        return METADATA | {"splits": {"train": {"samples": 2, "files": [FILE | changes]}}}

    (tmp_path.parent / "secret").write_bytes(bytes(100))
    wrong = [
        [],
        METADATA | {"splits": 3},
        METADATA | {"splits": {"train": {"samples": 2}}},
        METADATA | {"spec": None},
        METADATA | {"spec": [{"name": "x", "shape": [1 << 40], "dtype": "float32"}]},
        METADATA | {"spec": [{"name": "x", "shape": [-1], "dtype": "float32"}]},
        METADATA | {"spec": [{"name": "x", "shape": [3], "dtype": "O"}]},
        METADATA | {"version": "new"},
        splits(file="../secret"),
        splits(file=str(tmp_path.parent / "secret")),
        splits(file=7),
        splits(bytes="100"),
        splits(samples=9),
        json.dumps(METADATA).encode()[:-1] + b',"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ]
    for metadata in wrong:
        with pytest.raises(UsageError) as caught:
            open_with(tmp_path, metadata)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no file of the set"):
        open_with(tmp_path, METADATA, sums=f"{'0' * 64}  ../secret\n")


def test_names_that_leave_their_folder(tmp_path):
    assert plain_name("a.b") and inside(tmp_path, "a/b")
    for name in ("", "..", "a/b", "a\\b", "C:a", "a\0", "a" * 256, 7, None):
        assert not plain_name(name), name
    (tmp_path / "link").symlink_to(tmp_path.parent)
    for name in ("../a", "/etc/passwd", "a/../../b", "link/a", "a\0b", "a" * 5000, "a\ud800"):
        assert not inside(tmp_path, name), name
