"""Small files in the formats of the recordings, from motions that are known."""

from __future__ import annotations

import lzma
import zipfile
from pathlib import Path

import numpy as np


def table(path: Path, rows: np.ndarray, header: str = "% header\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + "\n".join(" ".join(f"{x:.16e}" for x in row) for row in rows) + "\n")


def schmidt_lipson(folder: Path) -> None:
    """A spring x = 100 cos 2 t, as real_linear_a_1 (x, a, v), and a double pendulum with a gap."""
    place = folder / "tracks" / "schmidt_lipson"
    t = np.arange(90) / 29.97
    x, v, a = 100 * np.cos(2 * t), -200 * np.sin(2 * t), -400 * np.cos(2 * t)
    table(place / "real_linear_a_1.txt", np.column_stack([0 * t, np.round(t, 3), x, a, v]))
    t = np.delete(np.arange(61) * 0.01, 30)
    angles = np.column_stack([3 + t, 40 * t])
    speeds = np.tile([1.0, 40.0], (60, 1))
    rows = np.column_stack([np.zeros(60), t, angles, speeds, speeds, 0 * speeds])
    later = rows + np.eye(10)[0] + 9 * np.eye(10)[1]
    table(place / "real_double_pend_h_1.txt", np.concatenate([rows, later]), "% o1 o2 w1 w2\n")


def ibm(folder: Path, turn: float = 6.0) -> np.ndarray:
    """Two films of arms that turn evenly, `turn` rad/s and half of it; returns the angles [T, 2] of the first."""
    place = folder / "ibm_double_pendulum"
    place.mkdir(parents=True)
    t = np.arange(400) / 500
    for film in range(2):
        angles = np.column_stack([0.3 + turn * t, -0.5 - turn / 2 * t]) + film
        pivot = np.array([1200.0, 1180.0])
        first = pivot + 600 * np.column_stack([np.cos(angles[:, 0]), np.sin(angles[:, 0])])
        second = first + 450 * np.column_stack([np.cos(angles[:, 1]), np.sin(angles[:, 1])])
        rows = np.column_stack([np.tile(pivot, (400, 1)), first, second])
        text = "\n".join(",".join(f"{x:.3f}" for x in row) for row in rows)
        (place / f"{film}.csv.xz").write_bytes(lzma.compress(text.encode()))
    return np.column_stack([0.3 + turn * t, -0.5 - turn / 2 * t])


def pendulum_lengths(folder: Path) -> None:
    place = folder / "pendulum_lengths"
    place.mkdir(parents=True)
    t = np.arange(240) / 30
    for length, scale in ((50, 300.0), (80, 480.0)):
        angle = 0.2 * np.cos(np.sqrt(9.81 / (length / 100)) * t)
        for name, column in zip(
            "txyr", (t, 500 + scale * np.sin(angle), scale * np.cos(angle), 40 + 0 * t), strict=True
        ):
            (place / f"{length}_{name}.csv").write_text("\n".join(f"{x:.8e}" for x in column) + "\n")


def ball_drops(folder: Path, rows: list[list[float]] | None = None) -> None:
    """A workbook of one sheet, named .xls but an .xlsx inside, as the original is."""
    place = folder / "ball_drops"
    place.mkdir(parents=True, exist_ok=True)
    (place / "balls.txt").write_text("ball weight(oz) circumference(cm)\nyellowWiffle 1.5 29.0\nvolleyball ?? ??\n")
    if rows is None:
        rows = [[1, i / 15, 48 - 4.9 * (i / 15) ** 2, -9.8 * i / 15] for i in range(20)]
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    cells = "".join(
        f'<row r="{r}">' + "".join(f'<c r="{"ABCD"[c]}{r}"><v>{x}</v></c>' for c, x in enumerate(row)) + "</row>"
        for r, row in enumerate(rows, 2)
    )
    head = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
    parts = {
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{relations}"><sheets><sheet name="Yellow Whiffle Ball" '
        'sheetId="1" r:id="rId7"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<R><Relationship Id="rId7" Target="worksheets/sheet1.xml"/></R>',
        "xl/sharedStrings.xml": f"<sst {main}><si><t>Drop #</t></si><si><r><t>Height</t></r></si></sst>",
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{head}{cells}</sheetData></worksheet>",
    }
    with zipfile.ZipFile(place / "Ball_drops_data.xls", "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
