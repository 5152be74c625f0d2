"""Read CSV tables that people write with spreadsheets: other separators, encodings and capitals."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.csv_text import unescape_cell
from sonoseg.errors import InputError

MAX_BYTES = 64 << 20
"""A larger file is not a table that a person wrote."""

SEPARATORS = ";\t,"

_LINE_END = re.compile(r"\r\n|\r|\n")
_SEP_LINE = re.compile(r"sep=([,;|\t])", re.IGNORECASE)


@dataclass(frozen=True)
class CsvTable:
    """The rows of a table, by column.

    columns: names of the header, lower case. rows: (number of the last line, cells by column). Cells are
    without blanks around them; a row that is shorter than the header lacks its last columns. Blank rows are
    left out.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def require(self, *columns: str) -> None:
        """Raise InputError where the header lacks one of `columns`, or has it twice."""
        for column in columns:
            if (count := self.columns.count(column)) != 1:
                found = ", ".join(self.columns) or "nothing"
                raise InputError(
                    f"{'no column' if not count else 'more than one column'} '{column}' (found: {found})",
                    where=self.path,
                    remedy=f"Give the table a header line with {', '.join(columns)}",
                )


def read_csv_table(path: Path) -> CsvTable:
    """Read a CSV file as spreadsheets and people write it.

    Separated by semicolons, tabs or commas: whichever the header has most of, or what a first line `sep=;`
    names. UTF-8, or UTF-16 with its byte-order mark. Column names in any case.

    Raises InputError where the file cannot be read, or a row has more cells than the header.
    """
    text = _text(path)
    first, *rest = _LINE_END.split(text, maxsplit=1)
    if named := _SEP_LINE.fullmatch(first.strip(' "')):
        text = "".join(rest)
    header = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
    separator = named[1] if named else max(SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns: tuple[str, ...] = ()
    rows = []
    try:
        for row in reader:
            cells = [unescape_cell(cell.strip()) for cell in row]
            if not any(cells):
                continue
            if not columns:
                columns = tuple(cell.lower() for cell in cells)
                continue
            line = reader.line_num + bool(named)
            if any(cells[len(columns) :]):
                raise InputError(
                    f"{len(cells)} cells, {len(columns)} columns",
                    where=f"{path}, line {line}",
                    remedy=f'Put a cell that holds "{separator}" in quotation marks',
                )
            rows.append((line, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise InputError(
            f"cannot be read as a table ({error})", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    return CsvTable(path, columns, tuple(rows))


def comparable_name(name: str) -> str:
    """Return a file name as names are compared, whatever system wrote it.

    Slashes separate folders, and accents are composed: macOS writes "é" as two characters.
    """
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def decimal(text: str) -> str:
    """Return a number with a decimal point, where it has a decimal comma."""
    return text.replace(",", ".")


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError("no such file", where=path, remedy="Check the path")
        if path.stat().st_size > MAX_BYTES:
            raise InputError("too large for a table", where=path, remedy="Check the path")
        data = path.read_bytes()
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            "not a table of text in UTF-8", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        raise InputError("this table cannot be read", where=path, remedy="Check the path") from error
    if "\0" in text:
        raise InputError("not a table of text in UTF-8", where=path, remedy="Save it as CSV in UTF-8")
    return text
