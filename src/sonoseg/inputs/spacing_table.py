"""A table of spacings: a CSV file with a row for each image, for those whose file says none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.csv_tables import comparable_name, decimal, read_csv_table
from sonoseg.errors import InputError
from sonoseg.image.calibration import SPACING_RANGE, Spacing, plausible


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
    parts = Path(comparable_name(str(path))).parts
    for count in range(len(parts), 0, -1):
        tail = Path(*parts[-count:])
        yield tail.as_posix()
        if tail.suffix:
            yield tail.with_suffix("").as_posix()


def read_spacings(path: str | Path) -> Spacings:
    """Read a CSV of spacings.

    Columns: file (a name, with or without folders and ending), row and column (mm per pixel), or one column
    spacing for both; separators and encodings as `read_csv_table` reads them, decimal commas too. Empty cells
    mean that the spacing is unknown.

    Raises InputError, naming the line, for a table that cannot be read, lacks a column, or holds what is no
    plausible pixel spacing, or one file twice with different spacings.
    """
    path = Path(path)
    table = read_csv_table(path)
    wanted = ("file", "row", "column") if "spacing" not in table.columns else ("file", "spacing", "spacing")
    table.require(*dict.fromkeys(wanted))
    found: dict[str, Spacing] = {}
    for line, row in table.rows:
        if missing := [column for column in wanted if column not in row]:
            raise _bad(path, line, f"no cell for the column '{missing[0]}'")
        name, down, across = (row[column] for column in wanted)
        name = comparable_name(name)
        if not name:
            raise _bad(path, line, "no file is named")
        if not down and not across:
            continue
        spacing = Spacing(_number(path, line, down), _number(path, line, across))
        if found.setdefault(name, spacing) != spacing:
            raise _bad(path, line, f"'{name}' has another spacing further up")
    return Spacings(path, found)


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(decimal(text))
    except ValueError:
        value = 0.0
    if not plausible([value]):
        raise _bad(path, line, f"'{text[:40]}' is not a spacing in mm per pixel: {SPACING_RANGE}")
    return value


def _bad(path: Path, line: int, found: str) -> InputError:
    return InputError(found, where=f"{path}, line {line}", remedy="Correct this line")
