"""Tables of an Excel file: .xlsx by the standard library (a zip of XML), the older .xls by xlrd (extra `bench`).

Which of the two a file is, its first bytes say; its name may be wrong.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from o2t_jax.data.recorded.recording import read_bytes
from o2t_jax.errors import UsageError
from o2t_jax.parsing import unzipped

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
Cell = float | str | None


def read_sheets(path: Path) -> dict[str, list[list[Cell]]]:
    """Name of each sheet -> its rows of cells: numbers, texts, None where empty. Raises: UsageError."""
    content = read_bytes(path)
    try:
        if content.startswith(b"PK"):
            return _zipped(content)
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            return _compound(content)
    except UsageError:
        raise
    except Exception as error:  # damaged files fail in many ways, in three libraries
        raise UsageError(f"{path} is a damaged Excel file ({type(error).__name__}): copy it again") from error
    raise UsageError(f"{path} is neither an .xls nor an .xlsx file: copy it again")


def _zipped(content: bytes) -> dict[str, list[list[Cell]]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:

        def parsed(name: str) -> ElementTree.Element:
            return ElementTree.fromstring(unzipped(archive, name))

        texts: list[str] = []
        if "xl/sharedStrings.xml" in archive.namelist():
            items = parsed("xl/sharedStrings.xml").findall(f"{_MAIN}si")
            texts = ["".join(part.text or "" for part in item.iter(f"{_MAIN}t")) for item in items]
        targets = {item.get("Id"): item.get("Target") for item in parsed("xl/_rels/workbook.xml.rels")}
        found = {}
        for sheet in parsed("xl/workbook.xml").iter(f"{_MAIN}sheet"):
            rows = parsed(f"xl/{targets[sheet.get(_RELATION)]}").iter(f"{_MAIN}row")
            found[str(sheet.get("name"))] = [_row(row, texts) for row in rows]
        return found


def _row(row: ElementTree.Element, texts: list[str]) -> list[Cell]:
    cells: list[Cell] = []
    for cell in row.iter(f"{_MAIN}c"):
        at, value = _column(cell.get("r", "")), cell.find(f"{_MAIN}v")
        cells += [None] * (at + 1 - len(cells))
        if value is not None and value.text is not None:
            kind = cell.get("t", "n")
            cells[at] = texts[int(value.text)] if kind == "s" else float(value.text) if kind == "n" else value.text
    return cells


def _column(place: str) -> int:
    """0 for "A1", 27 for "AB7"."""
    letters = re.match("[A-Z]{1,3}(?![A-Z])", place)  # XFD is Excel's last
    if not letters:
        raise ValueError(f"cell {place!r}")
    number = 0
    for letter in letters.group():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _compound(content: bytes) -> dict[str, list[list[Cell]]]:
    try:
        import xlrd  # pyright: ignore[reportMissingModuleSource, reportMissingImports]
    except ImportError:
        raise UsageError('reading an .xls file needs xlrd: pip install "o2t_jax[bench]"') from None
    # It prints a line for each thing that it finds odd.
    book = xlrd.open_workbook(file_contents=content, logfile=io.StringIO())
    return {
        sheet.name: [[None if cell == "" else cell for cell in sheet.row_values(row)] for row in range(sheet.nrows)]
        for sheet in book.sheets()
    }


__all__ = ["Cell", "read_sheets"]
