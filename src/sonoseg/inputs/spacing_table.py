"""A table of spacings: a CSV file with a row for each image, for those whose file says none."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.csv_text import unescape_cell
from sonoseg.errors import InputError
from sonoseg.image.calibration import SPACING_RANGE, Spacing, plausible

MAX_BYTES = 64 << 20
"""A table is small: what is larger is another file."""


@dataclass(frozen=True)
class Spacings:
    """The spacings of a table, by file name.

    source: the table. by_name: the name as it is written there -> (row, column) mm per pixel.
    """

    source: Path
    by_name: dict[str, Spacing]

    def of(self, path: str | Path) -> Spacing | None:
        """The spacing of an image, or None where the table has no row for it.

        The longest matching name wins: "clinic/a.png" goes before "a.png", and that before "a".
        """
        return next((self.by_name[name] for name in _names(path) if name in self.by_name), None)

    def unmatched(self, paths: Iterable[str | Path]) -> list[str]:
        """Return the names of the table that match none of the files, in the table's order."""
        matched = {name for path in paths for name in _names(path)}
        return [name for name in self.by_name if name not in matched]


def _names(path: str | Path) -> Iterator[str]:
    """Yield the names by which a table may list a file, the longest first."""
    parts = Path(_composed(str(path))).parts
    for count in range(len(parts), 0, -1):
        tail = Path(*parts[-count:])
        yield tail.as_posix()
        if tail.suffix:
            yield tail.with_suffix("").as_posix()


def _composed(name: str) -> str:
    """Normalise a name: macOS writes "é" as two characters, spreadsheets as one."""
    return unicodedata.normalize("NFC", name)


def read_spacings(path: str | Path) -> Spacings:
    """Read a CSV of spacings.

    Columns: file (a name, with or without folders and ending), row and column (mm per pixel), or one column
    spacing for both. Commas, semicolons or tabs; a decimal comma is understood where semicolons or tabs
    separate. Empty cells mean that the spacing is unknown.

    Raises InputError, naming the line, for a table that cannot be read, lacks a column, or holds what is no
    plausible pixel spacing, or one file twice with different spacings.
    """
    path = Path(path)
    lines = _lines(path)
    separator = max(";\t,", key=lines[0].count) if lines else ","
    rows = csv.reader(lines, delimiter=separator)
    header = [cell.strip().lower() for cell in next(rows, [])]
    wanted = ("file", "row", "column") if "spacing" not in header else ("file", "spacing", "spacing")
    for name in wanted:
        if name not in header:
            raise InputError(
                f"its header has no column '{name}'",
                where=path,
                remedy="Give the columns file, row, column (mm per pixel)",
            )
    places = [header.index(name) for name in wanted]
    found: dict[str, Spacing] = {}
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) <= max(places):
            raise _bad(path, number, f"{len(cells)} cells, {len(header)} are needed")
        name, down, across = (cells[place].strip() for place in places)
        name = _composed(unescape_cell(name)).replace("\\", "/").removeprefix("./")
        if not name:
            raise _bad(path, number, "no file is named")
        if not down and not across:
            continue
        spacing = Spacing(_number(path, number, down, separator), _number(path, number, across, separator))
        if found.setdefault(name, spacing) != spacing:
            raise _bad(path, number, f"'{name}' has another spacing further up")
    return Spacings(path, found)


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file():
            raise InputError("no such file", where=path, remedy="Check the path")
        if path.stat().st_size > MAX_BYTES:
            raise InputError("too large for a table of spacings", where=path, remedy="Check the path")
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("no table of text in UTF-8", where=path, remedy="Save it as CSV in UTF-8") from error
    except (OSError, ValueError) as error:
        raise InputError("this table cannot be read", where=path, remedy="Check the path") from error
    if "\0" in text:
        raise InputError("no table of text in UTF-8", where=path, remedy="Save it as CSV in UTF-8")
    return text.splitlines()


def _number(path: Path, line: int, text: str, separator: str) -> float:
    try:
        value = float(text.replace(",", ".") if separator != "," else text)
    except ValueError:
        value = 0.0
    if not plausible([value]):
        raise _bad(path, line, f"'{text[:40]}' is not a spacing in mm per pixel: {SPACING_RANGE}")
    return value


def _bad(path: Path, line: int, found: str) -> InputError:
    return InputError(found, where=f"{path}, line {line}", remedy="Correct this line")
