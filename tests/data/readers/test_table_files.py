"""Small tables: byte-order marks, blanks, short lines, other encodings."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.data.readers.table_files import read_table
from sonoseg.errors import DatasetError


def test_mark_blank_lines_short_lines(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes("\ufeffa; b\r\n1;2\r\n\r\n;\r\n3\r\n".encode())
    assert read_table(table, "a", "b") == [{"a": "1", "b": "2"}, {"a": "3", "b": ""}]


def test_another_encoding(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes("a\nä\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="not a table of text in UTF-8"):
        read_table(table, "a")


def test_an_empty_table(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.touch()
    with pytest.raises(DatasetError, match=r"no column 'a' \(found: nothing\)"):
        read_table(table, "a")


cells = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufeff"), min_size=1, max_size=6
)


@given(st.lists(st.tuples(cells, cells), max_size=6))
def test_what_was_written_is_read(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([("a", "b"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "t.csv")
        table.write_text(text.getvalue(), encoding="utf-8")
        assert read_table(table, "a", "b") == [{"a": a, "b": b} for a, b in rows]
