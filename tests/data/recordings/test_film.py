"""Films and pictures are read frame by frame, by their own times; what is broken or dangerous is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from o2t_jax.data.recorded.film import Film
from o2t_jax.errors import UsageError
from tests.recording_films import flight, frames, write_film

PICTURES = frames(flight(8))


@pytest.mark.parametrize("name", ["film.mp4", "film.gif"])
def test_a_film_gives_its_frames_and_times(tmp_path, name):
    path = write_film(tmp_path / name, PICTURES, 25)
    found = list(Film(path).colours())
    assert len(found) == 8 and found[0][1].shape == PICTURES.shape[1:]
    assert np.allclose([t for t, _ in found], np.arange(8) / 25, atol=1e-3)
    assert np.abs(found[3][1].astype(float) - PICTURES[3]).mean() < 8
    assert np.allclose([t for t, _ in Film(path, fps=240).frames()], np.arange(8) / 240)
    assert [round(25 * t) for t, _ in Film(path, start=0.075, end=0.165).frames()] == [2, 3, 4]
    assert next(Film(path, roi=(10, 20, 30, 40)).frames())[1].shape == (40, 30)


def test_pictures_in_a_folder_and_a_zip_are_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "film.zip", "w") as archive:
        for number, picture in enumerate(PICTURES):
            Image.fromarray(picture).save(folder / f"a{number + 5}.png")
            archive.write(folder / f"a{number + 5}.png", f"in/a{number + 5}.png")
        archive.writestr("thumbnail.png", (folder / "a5.png").read_bytes())
    for path in (folder, tmp_path / "film.zip"):
        found = np.stack([picture for _, picture in Film(path, fps=10).colours()])
        assert np.array_equal(found, PICTURES)
    with pytest.raises(UsageError, match="--fps"):
        next(Film(folder).colours())


def test_bad_files_are_one_line(tmp_path):
    whole = write_film(tmp_path / "film.mp4", PICTURES)
    (tmp_path / "broken.mp4").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.mp4").write_text("no film")
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("../a.png", b"")
    (tmp_path / "no.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "sizes.zip", "w") as archive:
        for name, size in (("a.png", (8, 8)), ("b.png", (9, 8))):
            Image.new("RGB", size).save(tmp_path / name)
            archive.write(tmp_path / name, name)
    for name, line in (
        ("absent.mp4", "is no file"),
        ("broken.mp4", "is it whole"),
        ("text.mp4", "is it whole"),
        ("out.zip", "outside the archive"),
        ("no.zip", "is it whole"),
        ("sizes.zip", "b.png is 9 x 8 px"),
    ):
        with pytest.raises(UsageError, match=line):
            list(Film(tmp_path / name, fps=10).colours())
    with pytest.raises(UsageError, match="no frame from 5"):
        list(Film(whole, start=5).frames())
    with pytest.raises(UsageError, match="not inside the picture"):
        list(Film(whole, roi=(100, 0, 100, 10)).frames())
