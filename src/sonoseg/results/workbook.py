"""Workbooks for spreadsheets (Office Open XML, ECMA-376): sheets of rows, text always as text."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sonoseg._util.packages import require
from sonoseg.errors import SonosegWarning

MAX_ROWS = 1_048_576
"""Rows of a sheet, with the header, that spreadsheets read."""

MAX_TEXT = 32_767
"""Characters of a cell that spreadsheets read."""

CREATED = datetime(2000, 1, 1)
"""The time that every workbook states, so that equal results give equal files."""


@dataclass(frozen=True)
class Sheet:
    """A sheet. rows: cells by column; those of no column are left out."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Mapping[str, Any]]


def require_xlsx() -> None:
    """Raise MissingExtra without the package that writes workbooks."""
    require("xlsx", "xlsxwriter")


def write_workbook(path: Path, sheets: Iterable[Sheet]) -> None:
    """Write sheets with a header each, one row at a time, so that memory does not grow with their number.

    Text is written as text, so that no cell is a formula or a link; numbers as numbers; None and "" leave a
    cell empty. Warns (SonosegWarning) of rows beyond MAX_ROWS and texts beyond MAX_TEXT, which are cut.
    Raises MissingExtra, and OSError where the file cannot be written.
    """
    require_xlsx()
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    try:
        options = {"constant_memory": True, "use_zip64": True}
        _write(xlsxwriter.Workbook(str(path), options), sheets)
    except FileCreateError as error:
        raise error.__cause__ or error.__context__ or OSError(str(error)) from None


def _write(workbook: Any, sheets: Iterable[Sheet]) -> None:
    with workbook as book:
        book.set_properties({"created": CREATED})
        plain, bold = book.add_format(), book.add_format({"bold": True})
        for sheet in sheets:
            page = book.add_worksheet(sheet.name)
            page.freeze_panes(1, 0)
            for column, name in enumerate(sheet.columns):
                page.set_column(column, column, max(10, min(len(name) + 2, 30)))
                page.write_string(0, column, name, bold)
            rows, cut = iter(sheet.rows), False
            for number, row in enumerate(islice(rows, MAX_ROWS - 1), start=1):
                for column, name in enumerate(sheet.columns):
                    cut |= _write_cell(page, number, column, row.get(name), plain)
            if next(rows, None) is not None:
                _warn(f"the sheet {sheet.name} ends after {MAX_ROWS:,} rows, the most that spreadsheets read")
            if cut:
                _warn(f"the sheet {sheet.name} has texts cut after {MAX_TEXT:,} characters")


def _write_cell(page: Any, row: int, column: int, value: Any, plain: Any) -> bool:
    """Write a cell. plain: a format without attributes. Returns whether its text was cut."""
    if isinstance(value, bool):
        page.write_boolean(row, column, value)
    elif isinstance(value, int | float):
        page.write_number(row, column, value)
    elif value is not None and value != "":
        text = str(value)[:MAX_TEXT]
        if text.startswith("<r>") and text.endswith("</r>"):
            # write_string takes this for markup of its own and would not escape it.
            page.write_rich_string(row, column, text[:3], plain, text[3:])
        else:
            page.write_string(row, column, text)
        return len(str(value)) > MAX_TEXT
    return False


def _warn(found: str) -> None:
    warnings.warn(f"{found}; the CSV file is complete", SonosegWarning, stacklevel=3)
