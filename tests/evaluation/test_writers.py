"""Results as text, JSON, CSV, PNG, and sorted into a run's folder."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest

from o2t_jax import media, results
from o2t_jax.errors import UsageError
from o2t_jax.evaluation.o2t import prediction
from o2t_jax.evaluation.writers import console, csv_file, curves, json_file, pictures
from o2t_jax.evaluation.writers.folder import MOST_STEPS, ResultsFolder, read_index
from o2t_jax.results import Column, Curve, Film, Picture, Scalar, Score, ScoreCurve, ScoreTable, Table

ROW = {"mode": "FUTURE", "n": "3-5", "method": "O2T", "samples": 12, "mse": 0.001234, "l1": 0.01, "psnr": 29.09}


def test_table_shows_every_number_and_lines_up():
    full = ROW | {"ball_mse": 0.02, "ball_l1": 0.1, "ball_psnr": 17.0, "centroid_px": 1.234, "missed": 0.25}
    still = full | {"method": "background only", "psnr": float("inf"), "centroid_px": float("nan"), "missed": None}
    rows = [{**dict.fromkeys(prediction.COLUMNS), **row} for row in (full, still)]
    table = ScoreTable(prediction.COLUMNS, rows, baselines=["background only"], better="lower", method="O2T")
    shown = console.shown_columns(table)
    lines = console.format_table(table.rows, shown).splitlines()
    assert lines[0].split() == list(shown) == [n for n in prediction.COLUMNS if n not in ("loss", "balls")]
    assert lines[2].split()[:7] == ["FUTURE", "3-5", "O2T", "12", "0.00123", "0.0100", "29.09"]
    assert lines[2].split()[-2:] == ["1.23", "25%"]
    assert "background only" in lines[3] and "inf" in lines[3] and lines[3].split()[-2:] == ["-", "-"]
    assert lines[0].index("psnr") + len("psnr") == lines[2].index("29.09") + len("29.09")


def test_other_rows_show_every_field():
    lines = console.format_table([{"horizon": 3, "energy": 0.123456, "model": "mlp"}]).splitlines()
    assert lines[0].split() == ["horizon", "energy", "model"] and lines[2].split() == ["3", "0.1235", "mlp"]


def test_json_is_valid_whatever_the_numbers():
    rows = [
        {"psnr": float("inf"), "centroid_px": np.float64("nan"), "mse": np.float32(0.5), "n": np.int64(3), "m": "x"}
    ]
    assert json.loads(json_file.to_json(rows)) == [{"psnr": None, "centroid_px": None, "mse": 0.5, "n": 3, "m": "x"}]


def test_json_goes_to_a_file_or_to_standard_output(tmp_path, capsys):
    json_file.write_json(ROW, tmp_path / "row.json")
    json_file.write_json(ROW, "-")
    assert json.loads((tmp_path / "row.json").read_text()) == json.loads(capsys.readouterr().out) == ROW
    with pytest.raises(UsageError, match="cannot be written"):
        json_file.write_json(ROW, tmp_path / "nowhere" / "row.json")


@pytest.mark.parametrize(("size", "scale"), [(64, 2), (128, 1), (160, 1), (32, 4)])
def test_sheet_holds_the_pictures_unsmoothed(size, scale):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (2, size, size, 3), np.uint8)
    second = rng.uniform(-0.2, 1.2, (2, size, size, 3))
    sheet = pictures.picture_grid({"input": first, "prediction": second}, ["FUTURE n=3", "DIS"])
    tile, gap, strip = size * scale, pictures.MARGIN, pictures.STRIP
    left, top = gap + tile + gap, 2 * strip + tile + gap + strip
    shown = sheet[top : top + tile, left : left + tile][::scale, ::scale]
    assert np.array_equal(shown, np.round(np.clip(second[1], 0, 1) * 255).astype(np.uint8))
    assert np.array_equal(sheet[2 * strip : 2 * strip + tile, gap : gap + tile][scale - 1 :: scale, ::scale], first[0])
    assert sheet[:strip].min() < 128, "the columns are labelled"


def test_png_keeps_the_colours_and_says_when_it_cannot(tmp_path):
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200
    pictures.write_png(tmp_path / "a.png", picture)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], picture)
    with pytest.raises(UsageError, match="cannot be written"):
        pictures.write_png(tmp_path / "nowhere" / "a.png", picture)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    json_file.write_whole(path, b"old")
    link = tmp_path / "link.json"
    link.symlink_to(path)
    json_file.write_whole(link, b"new")
    assert link.is_symlink() and path.read_bytes() == b"new"
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(UsageError, match="No space left"):
        json_file.write_whole(path, b"newer")
    assert path.read_bytes() == b"new" and sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "link.json"]


def test_a_number_is_a_line_and_a_score_names_its_best_baseline():
    assert console.as_text("loss", Scalar(0.5, "m", 0.25, 0.75)) == "loss 0.5 m [0.25, 0.75]"
    score = Score(20.0, "dB", baselines={"still": 18.0, "straight": 19.5}, better="higher")
    assert console.as_text("psnr", score) == "psnr 20 dB (best baseline: straight 19.5)"
    assert console.as_text("FUTURE/psnr", score) == "", "the table has it"
    long = Table({"n": Column()}, [{"n": i} for i in range(console.MOST_ROWS + 1)])
    assert console.as_text("per_n", long) == "per_n: 41 rows, see --json"
    assert console.as_text("none", Table({"n": Column()}, [])) == "none: 0 rows, see --json"


def test_formats_of_a_table_follow_its_columns():
    rows = [
        {"n": 3, "x": 0.123456, "share": 0.25, "name": "a", "ok": True},
        {"n": 12, "x": 2, "share": None, "name": "b", "ok": False},
    ]
    columns = {"n": Column(), "x": Column("m"), "share": Column(spec=".0%"), "name": Column(), "ok": Column()}
    table = Table(columns, rows)
    lines = console.as_text("t", table).strip().splitlines()
    assert lines[2].split() == ["3", "0.1235", "25%", "a", "True"]
    assert lines[3].split() == ["12", "2", "-", "b", "False"]
    assert csv_file.table_csv(table) == "n,x,share,name,ok\n3,0.123456,0.25,a,True\n12,2,,b,False\n"


CURVE = ScoreCurve(
    [1, 2, 4],
    [0.5, math.nan, 2.0],
    low=[0.25, math.nan, 1.0],
    high=[1.0, math.nan, math.inf],
    x_label="horizon",
    x_unit="s",
    y_label="error_px",
    y_unit="px",
    baselines={"still": [1.0, 2.0, 4.0]},
    better="lower",
    method="ours",
)


def test_a_curve_as_csv_has_its_band_and_baselines():
    lines = csv_file.curve_csv(CURVE).splitlines()
    assert lines == ["horizon [s],error_px,low,high,still", "1.0,0.5,0.25,1.0,1.0", "2.0,,,,2.0", "4.0,2.0,1.0,inf,4.0"]


def test_a_curve_shows_its_truth_where_it_is_known():
    known = Curve([0, 1], [9.7, 9.8], truth=[9.81, 9.81])
    assert csv_file.curve_csv(known) == "x,y,truth\n0.0,9.7,9.81\n1.0,9.8,9.81\n"
    svg = curves.svg_of(curves.figure_of(known), "a")
    assert ">truth<" in svg and ">measured<" in svg
    assert ">measured<" not in curves.svg_of(curves.figure_of(Curve([0, 1], [9.7, 9.8])), "a"), "one line needs no name"


def test_a_curve_as_picture_shows_its_lines():
    colour = np.array([int(curves.MEASURED[i : i + 2], 16) for i in (1, 3, 5)])
    plain = curves.pixels_of(curves.figure_of(Curve([0, 1], [0, 1])))
    assert plain.dtype == np.uint8 and np.any(np.all(plain == colour, axis=-1))
    dashed = curves.pixels_of(curves.figure_of(ScoreCurve([0, 1], [0, 1], baselines={"a": [1, 0]}, better="lower")))
    second = np.array([int(curves.COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)])
    assert np.any(np.all(dashed == second, axis=-1)) and not np.any(np.all(plain == second, axis=-1))


def test_a_curve_as_svg_takes_the_pages_own_text_colour():
    one, again = (curves.svg_of(curves.figure_of(CURVE), "a") for _ in range(2))
    assert one == again and one.startswith("<svg") and one.endswith("</svg>")
    assert "currentColor" in one and curves.INK not in one and ">error_px, lower is better<" in one and ">still<" in one


class FakeScreen:
    def __init__(self):
        self.shown = {}

    def write_images(self, step, images):
        self.shown |= images

    def write_videos(self, step, videos):
        self.shown |= videos


RESULTS = {
    "test/loss": Score(np.float32(0.5), baselines={"still": 1.0}, better="lower"),
    "test/pictures": Picture(np.full((8, 9, 3), 7, np.uint8), "grey"),
    "test/film": Film(np.arange(3 * 64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(3, 64, 64, 3), 10, "noise"),
    "test/table": Table({"psnr": Column("dB")}, [{"psnr": math.inf}]),
    "test/error": CURVE,
}


def test_results_are_sorted_into_a_runs_folder(tmp_path):
    screen = FakeScreen()
    files = ResultsFolder(tmp_path, screen).write(7, RESULTS)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == [
        "curves/test_error.csv",
        "curves/test_error.png",
        "films/test_film_0000007.mp4",
        "pictures/test_pictures_0000007.png",
        "results.json",
        "tables/test_table.csv",
        "tables/test_table.json",
    ]
    assert set(files) == set(RESULTS) - {"test/loss"} and all(path.is_file() for path in files.values())
    assert json.loads((tmp_path / "tables" / "test_table.json").read_text()) == {"step": 7, "rows": [{"psnr": None}]}
    assert np.array_equal(cv2.imread(str(files["test/pictures"])), RESULTS["test/pictures"].pixels)
    assert set(screen.shown) == {"test/pictures", "test/film", "test/error"}
    assert screen.shown["test/film"].shape == (3, 128, 128, 3), "enlarged: 4:2:0 would blur its colours"
    index = read_index(tmp_path)
    for name, result in RESULTS.items():
        assert index[name]["step"] == 7 and index[name]["kind"] == results.kind_of(result)
        if index[name]["kind"] not in ("picture", "film"):
            assert results.from_json(index[name]) == result
        if name in files:
            assert tmp_path / index[name]["file"] == files[name]


def test_a_later_evaluation_takes_the_place_of_its_own_results_only(tmp_path):
    ResultsFolder(tmp_path).write(7, RESULTS)
    ResultsFolder(tmp_path).write(9, {"test/loss": Scalar(0.25), "agent/return": Scalar(1.0)})
    index = read_index(tmp_path)
    assert set(index) == {*RESULTS, "agent/return"}
    assert (index["test/loss"]["step"], index["test/loss"]["value"], index["test/table"]["step"]) == (9, 0.25, 7)


def test_a_long_run_keeps_pictures_spread_over_its_training(tmp_path):
    """A run may evaluate without an end; what it leaves on the disk has one."""
    small = np.zeros((2, 2, 3), np.uint8)
    other = tmp_path / "pictures" / "test_a_of_mine_0000001.png"
    for step in range(10, 2010, 10):
        files = ResultsFolder(tmp_path).write(step, {"test/a": Picture(small), "test/a/b": Picture(small)})
        assert files["test/a"].is_file() and files["test/a/b"].is_file()
        other.write_bytes(b"")
    kept = {name: sorted(int(p.stem[-7:]) for p in other.parent.glob(f"{name}_0*")) for name in ("test_a", "test_a_b")}
    assert kept["test_a"] == kept["test_a_b"] and len(kept["test_a"]) == MOST_STEPS and other.is_file()
    gaps = np.diff(kept["test_a"])
    assert kept["test_a"][0] == 10 and kept["test_a"][-1] == 2000 and gaps.max() <= 450, "an even one is 222"


def test_a_run_that_goes_back_keeps_the_picture_it_has_just_drawn(tmp_path):
    small = Picture(np.zeros((2, 2, 3), np.uint8))
    for step in (*range(100, 3100, 100), 1050):
        path = ResultsFolder(tmp_path).write(step, {"a": small})["a"]
        assert path.is_file() and len(list(path.parent.iterdir())) <= MOST_STEPS


def test_films_are_kept_like_pictures(tmp_path):
    film = Film(np.zeros((2, 8, 8, 3), np.uint8), 10)
    for step in range(MOST_STEPS + 3):
        path = ResultsFolder(tmp_path).write(step, {"a": film})["a"]
    assert path.is_file() and len(list(path.parent.iterdir())) == MOST_STEPS


def test_in_a_folder_of_the_users_choice_nothing_is_removed(tmp_path):
    for step in range(MOST_STEPS + 3):
        ResultsFolder(tmp_path, flat=True).write(step, {"a": Picture(np.zeros((2, 2, 3), np.uint8))})
    assert len(list(tmp_path.glob("a_*.png"))) == MOST_STEPS + 3


def test_without_an_encoder_the_film_is_a_gif(tmp_path, monkeypatch):
    monkeypatch.setattr(media, "H264_ENCODERS", ())
    files = ResultsFolder(tmp_path, flat=True).write(7, {"test/film": RESULTS["test/film"]})
    assert files["test/film"] == tmp_path / "test_film_0000007.gif"
    assert files["test/film"].read_bytes().startswith(b"GIF89a")


def test_names_are_no_paths_and_never_overwrite_each_other(tmp_path):
    files = ResultsFolder(tmp_path / "run").write(1, {"../../../test/g(z) [m/s²]": RESULTS["test/pictures"]})
    (path,) = files.values()
    assert path.parent == tmp_path / "run" / "pictures" and path.exists()
    with pytest.raises(ValueError, match="would be one file"):
        ResultsFolder(tmp_path).write(1, {"a/b": Scalar(1.0), "a_b": Scalar(2.0)})


def test_a_folder_that_cannot_be_written_or_read_says_so(tmp_path):
    (tmp_path / "pictures").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be created"):
        ResultsFolder(tmp_path).write(1, RESULTS)
    for text in ("{", "[1]", '{"a": 1}'):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(UsageError, match=r"repair or delete it"):
            ResultsFolder(tmp_path).write(1, {"a": Scalar(1.0)})
