"""A table of spacings."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing
from sonoseg.inputs.spacing_table import read_spacings


def table(folder: Path, text: str) -> Path:
    path = folder / "spacings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_and_columns(tmp_path: Path) -> None:
    found = read_spacings(table(tmp_path, "file,row,column\na.png,0.1,0.2\nclinic/a.png,0.3,0.4\nb,1,1\n\n"))
    assert found.of("a.png") == Spacing(0.1, 0.2)
    assert found.of(Path("elsewhere/a.png")) == Spacing(0.1, 0.2)
    assert found.of("data/clinic/a.png") == Spacing(0.3, 0.4)  # the longest name wins
    assert found.of("b.jpg") == Spacing(1, 1)
    assert found.of("c.png") is None


@pytest.mark.parametrize(
    "text",
    [
        "file,spacing\na.png,0.08\n",
        "\ufeffFile; Spacing\r\na.png; 0,08\r\n",
        "column\trow\tfile\tnote\n0,08\t0.08\ta.png\tfine\n",
        "file,spacing\n.\\a.png,0.08\nother.png,\n",
        "sep=;\nfile;spacing\na.png;0,08\n",
        'file,spacing\na.png,"0,08"\n',
    ],
)
def test_spreadsheets_write_in_many_ways(tmp_path: Path, text: str) -> None:
    found = read_spacings(table(tmp_path, text))
    assert found.of("a.png") == Spacing(0.08, 0.08)
    assert found.of("other.png") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column 'file'"),
        ("file,row\na,1\n", "no column 'column'"),
        ("file,row,column\na,1,x\n", "line 2: 'x' is not a spacing"),
        ("file,row,column\na,1,0\n", "line 2: '0' is not a spacing"),
        ("file,row,column\na,90,1\n", "line 2: '90' is not a spacing in mm per pixel"),
        ("file,row,column\na,1,0.0009\n", "between 0.001 and 10 mm per pixel"),
        ("file,row,column\na,1,nan\n", "line 2: 'nan' is not a spacing"),
        ("file,spacing\na,1,08\n", "line 2: 3 cells, 2 columns"),
        ("file,spacing\na,1.000,5\n", "line 2: 3 cells, 2 columns"),
        ("file,spacing,Spacing\na,1,1\n", "more than one column 'spacing'"),
        ("file,row,column\nb,1,1\na,1\n", "line 3: no cell for the column 'column'"),
        ("file,row,column\n,1,1\n", "line 2: no file is named"),
        ("file,row,column\na,1,\n", "line 2: '' is not a spacing"),
        ("file,row,column\na,1,1\na,2,2\n", "line 3: 'a' has another spacing further up"),
        ("file,\0row\n", "not a table of text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_spacings(table(tmp_path, text))
    assert said in str(caught.value)


def test_what_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    for path, said in (
        (tmp_path / "x.csv", "UTF-8"),
        (tmp_path / "no.csv", "no such"),
        (tmp_path, "no such"),
    ):
        with pytest.raises(InputError, match=said):
            read_spacings(path)


def test_names_are_compared_as_they_are_read(tmp_path: Path) -> None:
    one, two = (unicodedata.normalize(form, "Müller_é.png") for form in ("NFC", "NFD"))
    assert one != two
    for written, asked in ((one, two), (two, one)):
        found = read_spacings(table(tmp_path, f"file,spacing\n{written},0.1\n"))
        assert found.of(Path("exam") / asked) == Spacing(0.1, 0.1)
        assert found.unmatched([asked]) == []
    with pytest.raises(InputError, match="another spacing"):
        read_spacings(table(tmp_path, f"file,spacing\n{one},0.1\n{two},0.2\n"))


def test_rows_that_match_no_file(tmp_path: Path) -> None:
    found = read_spacings(table(tmp_path, "file,spacing\na.png,1\nb/a,1\nA.png,1\nc,1\nd.png,\n"))
    assert found.unmatched(["b/a.png", "c.jpg"]) == ["A.png"]
    assert found.unmatched([]) == ["a.png", "b/a", "A.png", "c"]


@given(st.text(max_size=80))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    with suppress(InputError):
        read_spacings(table(tmp_path, "file,spacing\n" + text))


def test_both_columns_may_have_a_decimal_comma(tmp_path: Path) -> None:
    found = read_spacings(table(tmp_path, "file;row;column\na.png;0,1;0,25\n"))
    assert found.of("a.png") == Spacing(0.1, 0.25)


def test_a_bad_row_names_the_table_and_the_line(tmp_path: Path) -> None:
    path = table(tmp_path, "file,row,column\na.png,x,0.1\n")
    with pytest.raises(InputError) as caught:
        read_spacings(path)
    assert str(path) in str(caught.value.where)
