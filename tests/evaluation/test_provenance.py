"""The provenance of an evaluation: its command."""

from __future__ import annotations

import shlex
import sys

import pytest

from sonoseg.evaluation.provenance import command_given


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("/venv/bin/sonoseg", "sonoseg"),
        ("/venv/lib/sonoseg/__main__.py", "sonoseg"),
        ("my script.py", "my script.py"),
    ],
)
def test_the_command_can_be_given_again(first: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [first, "evaluate", "a run", "--part", "all"])
    assert shlex.split(command_given()) == [name, "evaluate", "a run", "--part", "all"]
