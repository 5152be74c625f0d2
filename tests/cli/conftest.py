"""Fixtures of the verbs' tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sonoseg.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(dark_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sonoseg predict` in process: exit code, stdout, stderr."""

    def call(*words: object, model: bool = True) -> tuple[int, str, str]:
        argv = ["sonoseg", "predict", *map(str, words)]
        if model:
            argv += ["--model", str(dark_model)]
        monkeypatch.setattr(sys, "argv", argv)
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    monkeypatch.setenv("COLUMNS", "120")
    return call
