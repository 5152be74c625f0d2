"""CSV tables for people and spreadsheets: text that a spreadsheet would take for a formula is escaped."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

# A spreadsheet evaluates a cell with such a start, also in full width (OWASP, CSV injection); a number is
# harmless. Apostrophes in front are counted in, so that escaping can be undone.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠](?s:.*)")
_NUMBER = re.compile(r"'*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_cell(value: Any) -> Any:
    """Return a cell's value with an apostrophe before text that starts a formula; numbers stay."""
    return f"'{value}" if isinstance(value, str) and _starts_formula(value) else value


def unescape_cell(value: Any) -> Any:
    """Return the value that `escape_cell` was given."""
    escaped = isinstance(value, str) and value.startswith("'") and _starts_formula(value)
    return value[1:] if escaped else value


def _starts_formula(text: str) -> bool:
    return _FORMULA.fullmatch(text) is not None and _NUMBER.fullmatch(text) is None


class CsvWriter:
    """Writes rows by column, escaped. A missing column is empty.

    file: open for writing, with newline="". ignore: drop keys that are no column; else they raise ValueError.
    """

    def __init__(self, file: TextIO, columns: Iterable[str], *, ignore: bool = False) -> None:
        self._file = file
        self._writer = csv.DictWriter(
            self, list(columns), restval="", extrasaction="ignore" if ignore else "raise"
        )
        self._writer.writeheader()

    def write(self, line: str) -> None:
        """Write a line of the csv module, which quotes a carriage return only where its lines end in one."""
        self._file.write(line.removesuffix("\r\n") + "\n")

    def writerow(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        self._writer.writerow({column: escape_cell(value) for column, value in row.items()})

    def writerows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows."""
        for row in rows:
            self.writerow(row)


def read_csv(file: TextIO) -> list[dict[str, str]]:
    """Read the rows that a CsvWriter wrote, by column. file: open for reading, with newline=""."""
    return [{column: unescape_cell(value) for column, value in row.items()} for row in csv.DictReader(file)]


def unescape_columns(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Return a table that pandas read with these columns, where it has them, as they were before escaping."""
    return table.assign(**{name: table[name].map(unescape_cell) for name in names if name in table})
