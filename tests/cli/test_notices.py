"""Warnings as one line, a bar only for long work on a terminal."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import suppress

import pytest
from rich.console import Console

from sonoseg.cli import warnings_display as notices
from sonoseg.cli.warnings_display import LateBar, plain_warnings, warn
from sonoseg.errors import SonosegWarning


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A stand-in for stderr as a terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(notices, "err", Console(file=stream, force_terminal=True, width=100, highlight=False))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    return stream


def test_our_warnings_are_one_line_each_time(told: io.StringIO) -> None:
    with plain_warnings():
        for _ in range(2):
            warnings.warn("[odd] file.png: its EXIF block cannot be read", SonosegWarning, stacklevel=1)
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 1, module="PIL.Tiff")
    lines = told.getvalue().splitlines()
    assert len(lines) == 2
    assert all("[odd] file.png: its EXIF block cannot be read" in line for line in lines)


def test_the_filters_are_put_back() -> None:
    before = (list(warnings.filters), warnings.showwarning)
    with plain_warnings():
        pass
    assert (list(warnings.filters), warnings.showwarning) == before


def test_short_work_shows_no_bar(told: io.StringIO) -> None:
    with LateBar("Segmenting", 3) as bar:
        for _ in range(3):
            bar.advance()
    assert told.getvalue() == ""


def test_long_work_shows_one(told: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PATIENCE", 0.0)
    with LateBar("Segmenting", 3) as bar:
        for _ in range(3):
            bar.advance()
    assert "Segmenting" in told.getvalue()
    assert "3/3" in told.getvalue()


@pytest.mark.parametrize("why", ["quiet", "no terminal"])
def test_no_bar_when_quiet_or_off_a_terminal(
    told: io.StringIO, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(notices, "PATIENCE", 0.0)
    if why == "no terminal":
        monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    with LateBar("Segmenting", 1, shown=why != "quiet") as bar:
        bar.advance()
    assert told.getvalue() == ""


def test_a_bar_is_taken_down_when_the_work_fails(told: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PATIENCE", 0.0)
    bar = LateBar("Segmenting", 2)
    with suppress(ValueError), bar:
        bar.advance()
        raise ValueError
    assert bar._bar.finished is False
    assert not bar._bar.live.is_started


def test_a_warning_of_a_verb(told: io.StringIO) -> None:
    warn("no [gates]")
    assert "warning:" in told.getvalue()
    assert "no [gates]" in told.getvalue()
