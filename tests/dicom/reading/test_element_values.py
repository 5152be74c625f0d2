"""Element values of any kind as numbers, code strings and UIDs."""

from __future__ import annotations

import pytest

from sonoseg.dicom.reading.element_values import code_string, number, numbers, uid, whole


@pytest.mark.parametrize(
    ("value", "found"), [("3", 3.0), (b"x", None), (None, None), ([1], None), (10**400, None)]
)
def test_one_number(value: object, found: float | None) -> None:
    assert number(value) == found


def test_several_numbers() -> None:
    assert numbers([1, "2"]) == [1.0, 2.0]
    assert numbers([1, "x"]) == []
    assert numbers("7") == [7.0]
    assert numbers(7) == [7.0]
    assert numbers(None) == []


def test_whole_numbers() -> None:
    assert (whole("4"), whole(4.5), whole(float("nan")), whole(1e300)) == (4, None, None, None)


def test_free_text_is_dropped() -> None:
    assert [code_string(text) for text in (" us ", "Anna^Secretname", None, "A" * 17)] == ["US", "", "", ""]
    assert (uid("1.2.3\0"), uid("Anna"), uid(None)) == ("1.2.3", "", "")
