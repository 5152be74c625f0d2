"""CSV cells: no text is a formula for a spreadsheet, numbers stay numbers, and all comes back."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg._util.csv_text import CsvWriter, escape_cell, read_csv, unescape_cell, unescape_columns

STARTS = ("=", "+", "-", "@", "\t", "\r")
TEXTS = st.text() | st.builds(
    "".join, st.lists(st.sampled_from(["'", *STARTS, "1", ".", "e", "x"]), max_size=6)
)


@pytest.mark.parametrize("start", [*STARTS, "\n", "＝"])
def test_text_that_starts_a_formula_is_escaped(start: str) -> None:
    assert escape_cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize(
    "value", [-3.2, 7, None, "", "-3.2", "+1", "-.5e-3", "1=2", "a@b", "'quoted'", "2-3"]
)
def test_numbers_and_other_text_stay(value: object) -> None:
    assert escape_cell(value) == value


@pytest.mark.parametrize("text", ["-3.2+cmd|x", "-1\n", "+", "-", "-inf", "--1", "-1 mm"])
def test_what_only_begins_as_a_number_is_escaped(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@given(TEXTS)
def test_escaping_is_undone(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


@given(TEXTS)
def test_no_cell_starts_a_formula(text: str) -> None:
    cell = escape_cell(text)
    assert not cell.startswith(STARTS) or float(cell) is not None


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_a_table_comes_back(cells: list[tuple[str, str]]) -> None:
    cells = [tuple(text.replace("\0", "") for text in pair) for pair in cells]  # type: ignore[misc]
    file = io.StringIO(newline="")
    CsvWriter(file, ("a", "b")).writerows({"a": first, "b": second} for first, second in cells)
    file.seek(0)
    assert [(row["a"], row["b"]) for row in read_csv(file)] == cells


def test_columns_of_pandas_come_back() -> None:
    table = unescape_columns(pd.DataFrame({"a": ["'=1", "x"], "n": [-1, 2]}), ("a", "absent"))
    assert table["a"].tolist() == ["=1", "x"]
    assert table["n"].tolist() == [-1, 2]


def test_unknown_keys_are_an_error_unless_ignored() -> None:
    with pytest.raises(ValueError, match="b"):
        CsvWriter(io.StringIO(), ("a",)).writerow({"a": 1, "b": 2})
    file = io.StringIO()
    CsvWriter(file, ("a", "c"), ignore=True).writerow({"a": 1, "b": 2})
    assert file.getvalue() == "a,c\n1,\n"
