"""Text for messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg._util.text import LONGEST, first_line, printable


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("bad header.\nmore", "bad header"),
        ("", "ValueError"),
        ("\n  late. \n", "late"),
        ("x" * 999, "x" * 300),
    ],
)
def test_first_line(message: str, line: str) -> None:
    assert first_line(ValueError(message)) == line
    assert LONGEST == 300


def test_printable_replaces_undecodable_bytes() -> None:
    assert printable(Path("a\udcff.png")) == "a\ufffd.png"
    assert printable("ä.png") == "ä.png"
