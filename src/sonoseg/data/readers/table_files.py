"""Read the tables that come with a set: CSV and XLSX."""

from __future__ import annotations

from pathlib import Path

from sonoseg._util.csv_tables import CsvTable, read_csv_table
from sonoseg._util.packages import missing_extra
from sonoseg.errors import DatasetError, InputError


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file as dictionaries by column, lower case; see `read_csv_table`.

    A row that is shorter than the header has "" in its last columns.
    Raises DatasetError where the file cannot be read or lacks one of `columns`.
    """
    return [row for _, row in numbered_rows(path, *columns)]


def numbered_rows(path: Path, *columns: str) -> list[tuple[int, dict[str, str]]]:
    """The rows as `read_table` gives them, each with the number of its line."""
    try:
        table = read_csv_table(path)
    except InputError as error:
        raise DatasetError(error.found, where=error.where, remedy=error.remedy) from error
    return _rows(table, columns)


def read_sheet(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of an XLSX file's first sheet that has `columns`, as dictionaries of text by
    column, lower case.

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
    tables = [_as_table(path, lines) for lines in sheets]
    fitting = [table for table in tables if set(columns) <= set(table.columns)]
    return [row for _, row in _rows((fitting or tables or [_as_table(path, [])])[0], columns)]


def _as_table(path: Path, lines: list[list[str]]) -> CsvTable:
    names = tuple(cell.strip().lower() for cell in lines[0]) if lines else ()
    cells = ((number, [cell.strip() for cell in line]) for number, line in enumerate(lines[1:], start=2))
    rows = ((number, dict(zip(names, line, strict=False))) for number, line in cells if any(line))
    return CsvTable(path, names, tuple(rows))


def _rows(table: CsvTable, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    try:
        table.require(*columns)
    except InputError as error:
        raise DatasetError(error.found, where=error.where, remedy=error.remedy) from error
    return [(line, dict.fromkeys(table.columns, "") | row) for line, row in table.rows]
