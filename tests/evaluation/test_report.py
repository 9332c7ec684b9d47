"""Text tables, JSON and sheets of pictures."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from o2t_jax.errors import UsageError
from o2t_jax.evaluation import report

ROW = {"mode": "FUTURE", "n": "3-5", "method": "O2T", "samples": 12, "mse": 0.001234, "l1": 0.01, "psnr": 29.09}


def test_table_shows_every_number_and_lines_up():
    full = ROW | {"ball_mse": 0.02, "ball_l1": 0.1, "ball_psnr": 17.0, "centroid_px": 1.234, "missed": 0.25}
    still = full | {"method": "background only", "psnr": float("inf"), "centroid_px": float("nan"), "missed": None}
    lines = report.format_table([full, still]).splitlines()
    assert lines[0].split() == list(report.PREDICTION_COLUMNS)
    assert lines[2].split()[:7] == ["FUTURE", "3-5", "O2T", "12", "0.00123", "0.0100", "29.09"]
    assert lines[2].split()[-2:] == ["1.23", "25%"]
    assert "background only" in lines[3] and "inf" in lines[3] and lines[3].split()[-2:] == ["-", "-"]
    assert lines[0].index("psnr") + len("psnr") == lines[2].index("29.09") + len("29.09")


def test_other_rows_show_every_field():
    lines = report.format_table([{"horizon": 3, "energy": 0.123456, "model": "mlp"}]).splitlines()
    assert lines[0].split() == ["horizon", "energy", "model"] and lines[2].split() == ["3", "0.1235", "mlp"]


def test_json_is_valid_whatever_the_numbers():
    rows = [
        {"psnr": float("inf"), "centroid_px": np.float64("nan"), "mse": np.float32(0.5), "n": np.int64(3), "m": "x"}
    ]
    assert json.loads(report.to_json(rows)) == [{"psnr": None, "centroid_px": None, "mse": 0.5, "n": 3, "m": "x"}]


def test_json_goes_to_a_file_or_to_standard_output(tmp_path, capsys):
    report.write_json(ROW, tmp_path / "row.json")
    report.write_json(ROW, "-")
    assert json.loads((tmp_path / "row.json").read_text()) == json.loads(capsys.readouterr().out) == ROW
    with pytest.raises(UsageError, match="cannot be written"):
        report.write_json(ROW, tmp_path / "nowhere" / "row.json")


@pytest.mark.parametrize(("size", "scale"), [(64, 2), (128, 1), (160, 1), (32, 4)])
def test_sheet_holds_the_pictures_unsmoothed(size, scale):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (2, size, size, 3), np.uint8)
    second = rng.uniform(-0.2, 1.2, (2, size, size, 3))
    sheet = report.picture_grid({"input": first, "prediction": second}, ["FUTURE n=3", "DIS"])
    tile, gap, strip = size * scale, report.MARGIN, report.STRIP
    left, top = gap + tile + gap, 2 * strip + tile + gap + strip
    shown = sheet[top : top + tile, left : left + tile][::scale, ::scale]
    assert np.array_equal(shown, np.round(np.clip(second[1], 0, 1) * 255).astype(np.uint8))
    assert np.array_equal(sheet[2 * strip : 2 * strip + tile, gap : gap + tile][scale - 1 :: scale, ::scale], first[0])
    assert sheet[:strip].min() < 128, "the columns are labelled"


def test_png_keeps_the_colours_and_says_when_it_cannot(tmp_path):
    picture = np.zeros((4, 5, 3), np.uint8)
    picture[..., 0] = 200
    report.write_png(tmp_path / "a.png", picture)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], picture)
    with pytest.raises(UsageError, match="cannot be written"):
        report.write_png(tmp_path / "nowhere" / "a.png", picture)
