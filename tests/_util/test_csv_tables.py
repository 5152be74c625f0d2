"""Tables as people write them: separators, encodings, capitals, quotation marks."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg._util import csv_tables
from sonoseg._util.csv_tables import comparable_name, read_csv_table
from sonoseg.errors import InputError

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a table's bytes to a file."""

    def write(content: bytes) -> Path:
        path = tmp_path / "t.csv"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom"])
@pytest.mark.parametrize(
    "text",
    [
        "Bild,MASKE\na b.png,ü.png\n",
        "Bild;MASKE\r\na b.png;ü.png",
        "Bild\tMASKE\ra b.png\tü.png\r",
        "sep=;\nBild;MASKE\na b.png;ü.png\n",
        '"SEP=,"\r\nBild,MASKE\r\na b.png,ü.png\r\n',
        "sep=|\nBild|MASKE\na b.png|ü.png\n",
        "\n ; \n Bild ; MASKE \n\n;\n a b.png ; 'ü.png \n".replace("'", ""),
        '"Bild";"MASKE"\n"a b.png";"ü.png"\n',
        "Bild;MASKE;;\na b.png;ü.png;;;;\n",
    ],
)
def test_dialects(write: Write, text: str, encoding: str) -> None:
    bom = b"\xfe\xff" if encoding == "utf-16-be-bom" else b""
    table = read_csv_table(write(bom + text.encode(encoding.removesuffix("-bom"))))
    assert table.columns[:2] == ("bild", "maske")
    ((_, row),) = table.rows
    assert (row["bild"], row["maske"]) == ("a b.png", "ü.png")


def test_lines_are_counted_as_an_editor_counts_them(write: Write) -> None:
    table = read_csv_table(write(b'sep=;\nA;b\n\n1;"two\nlines"\n3\n'))
    assert table.rows == ((5, {"a": "1", "b": "two\nlines"}), (6, {"a": "3"}))


def test_formulas_are_unescaped(write: Write) -> None:
    assert read_csv_table(write(b"a\n'=1+x\n")).rows == ((2, {"a": "=1+x"}),)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a,b\n1,2,3\n", "line 2: 3 cells, 2 columns"),
        (b"a;b\n1;2\n1;2;;3\n", "line 3: 4 cells, 2 columns"),
        ("a\nä\n".encode("latin-1"), "not a table of text in UTF-8"),
        (b"\xff\xfe\x00", "not a table of text in UTF-8"),
        ("a,b\n".encode("utf-32"), "not a table of text in UTF-8"),
        (b"a,b\n\0,1\n", "not a table of text in UTF-8"),
        (b"a\n" + b"x" * 140_000 + b"\n", "cannot be read as a table"),
    ],
)
def test_refusals_name_the_place(write: Write, content: bytes, found: str) -> None:
    path = write(content)
    with pytest.raises(InputError) as caught:
        read_csv_table(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def test_required_columns(write: Write) -> None:
    table = read_csv_table(write(b"Image,mask,MASK\n"))
    table.require("image")
    with pytest.raises(InputError, match=r"no column 'label' \(found: image, mask, mask\)"):
        table.require("image", "label")
    with pytest.raises(InputError, match="more than one column 'mask'"):
        table.require("image", "mask")


def test_the_largest_table_has_64_mib(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    assert csv_tables.MAX_BYTES == 64 * 1024**2
    content = b"file,spacing\na.png,0.1\n"
    monkeypatch.setattr(csv_tables, "MAX_BYTES", len(content))
    assert len(read_csv_table(write(content)).rows) == 1
    with pytest.raises(InputError, match="too large"):
        read_csv_table(write(content + b"\n"))


def test_names_of_other_systems() -> None:
    assert comparable_name(".\\ward 7\\a\u0308.png") == "ward 7/\u00e4.png"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, suppress(InputError):
        path = Path(folder, "t.csv")
        path.write_bytes(content)
        read_csv_table(path)


cells = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufeff"), min_size=1, max_size=6
)


@given(st.lists(st.tuples(cells, cells), max_size=5), st.sampled_from(";\t,"), st.sampled_from(["", "sep="]))
def test_what_was_written_is_read(rows: list[tuple[str, str]], separator: str, line: str) -> None:
    text = io.StringIO()
    text.write(f"{line}{separator}\n" if line else "")
    csv.writer(text, delimiter=separator).writerows([("A", "b"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text(text.getvalue(), encoding="utf-8")
        assert [row for _, row in read_csv_table(path).rows] == [{"a": a, "b": b} for a, b in rows]
