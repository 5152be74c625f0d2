"""Standard output that cannot take a character, or anything at all."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonoseg.cli.common import out
from sonoseg.cli.main import main

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """rich keeps what it could not write, and would write it before what the next test prints."""
    yield
    out._buffer.clear()


def run(monkeypatch: pytest.MonkeyPatch, stream: io.TextIOBase | None, *words: str) -> int:
    """Run `sonoseg` with these words and this standard output; returns the exit code."""
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["sonoseg", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("encoding", ["gbk", "cp1250", "cp932", "ascii"])
@pytest.mark.parametrize("words", [("info",), ("info", "--json"), ("data", "list"), ("--help",)])
def test_characters_that_the_encoding_lacks_are_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str, words: tuple[str, ...]
) -> None:
    # What it imports, it imports now: a module that copied another version would keep it for other tests.
    assert run(monkeypatch, io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), *words) == 0
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "sonoseg" and "__version__" in vars(module):
            monkeypatch.setattr(module, "__version__", "1 \N{THIN SPACE}\N{MICRO SIGN}\N{SNOWMAN}日")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    assert run(monkeypatch, stream, *words) == 0
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue().decode(encoding)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [("info",), ("info", "--json"), ("--version",), ("--help",)])
def test_a_full_device_is_an_error_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with FULL.open("w") as stream:
        assert run(monkeypatch, stream, *words) == 1
    assert capsys.readouterr().err == "error: output cannot be written: No space left on device\n"


def test_a_closed_output_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, None, "info", "--json") == 0
