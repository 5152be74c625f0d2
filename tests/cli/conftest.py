"""Fixtures of the verbs' tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sonoseg.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sonoseg` with these words in process: exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sonoseg", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    monkeypatch.setenv("COLUMNS", "120")
    return call


@pytest.fixture
def run(dark_model: Path, command: Run) -> Run:
    """Run `sonoseg predict` in process, with the dark model: exit code, stdout, stderr."""

    def call(*words: object, model: bool = True) -> tuple[int, str, str]:
        return command("predict", *words, *(["--model", dark_model] if model else []))

    return call


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of everything but the figures, which take most of the time."""
    monkeypatch.setattr("sonoseg.results.evaluation_folder.draw_figures", lambda *arrays: [])
