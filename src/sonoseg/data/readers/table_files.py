"""Read the tables that come with a set: CSV and XLSX."""

from __future__ import annotations

import csv
from pathlib import Path

from sonoseg._util.csv_text import unescape_cell
from sonoseg._util.packages import missing_extra
from sonoseg.errors import DatasetError


def read_table(path: Path, *columns: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV file as dictionaries; a byte-order mark and blank lines are skipped.

    Raises DatasetError where the file cannot be read or lacks one of `columns`.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"cannot be read as a UTF-8 table ({getattr(error, 'strerror', None) or error})",
            where=path,
            remedy="Save it as CSV in UTF-8",
        ) from error
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    return _rows([[unescape_cell(cell) for cell in row] for row in rows], path, columns)


def read_sheet(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of an XLSX file's first sheet that has `columns`, as dictionaries of text.

    Raises DatasetError where the file cannot be read or no sheet has the columns, MissingExtra without
    openpyxl.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise missing_extra("openpyxl", "data") from error
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheets = [
            [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
            for sheet in book.worksheets
        ]
        book.close()
    except Exception as error:  # a damaged XLSX raises anything: BadZipFile, KeyError, ParseError ...
        raise DatasetError(
            f"cannot be read as a spreadsheet ({error})",
            where=path,
            remedy="Fetch it again",
        ) from error
    fitting = [lines for lines in sheets if lines and set(columns) <= {cell.strip() for cell in lines[0]}]
    return _rows((fitting or sheets or [[]])[0], path, columns)


def _rows(lines: list[list[str]], path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    names = [name.strip() for name in lines[0]] if lines else []
    for column in columns:
        if column not in names:
            raise DatasetError(
                f"no column '{column}' (found: {', '.join(names) or 'nothing'})",
                where=path,
                remedy=f"Give the table a header line with {', '.join(columns)}",
            )
    cells = [[cell.strip() for cell in line] for line in lines[1:] if any(line)]
    return [dict.fromkeys(names, "") | dict(zip(names, line, strict=False)) for line in cells]
