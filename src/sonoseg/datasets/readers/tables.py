"""Reading the small tables that come with a set."""

from __future__ import annotations

import csv
from pathlib import Path

from sonoseg.errors import DatasetError


def read_table(path: Path, *columns: str, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV file as dictionaries; a byte-order mark and blank lines are passed over.

    Raises DatasetError where the file cannot be read or lacks one of `columns`.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"cannot be read as a UTF-8 table ({error})", where=path, remedy="Save it as CSV in UTF-8"
        ) from error
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    for column in columns:
        if column not in names:
            raise DatasetError(
                f"no column '{column}' (found: {', '.join(names) or 'nothing'})",
                where=path,
                remedy=f"Give the table a header line with {', '.join(columns)}",
            )
    return [{key: (value or "").strip() for key, value in row.items() if key is not None} for row in reader]
