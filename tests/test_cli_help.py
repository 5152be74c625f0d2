"""Help answers at once: every verb has it, and asking for it loads nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sonoseg.cli.main import app

HEAVY = ("torch", "pandas", "matplotlib", "sklearn", "onnxruntime", "scipy", "accelerate", "monai", "pooch")

SCRIPT = """
import json, sys, typer
from sonoseg.cli.main import app
command = typer.main.get_command(app)
for words in json.loads(sys.argv[1]):
    command([*words, "--help"], standalone_mode=False)
loaded = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(loaded), file=sys.stderr)
"""


def _verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb's words with its command, the root first; typer brings a click of its own, so no types."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _verbs(inner, (*words, name))


VERBS = dict(_verbs(typer.main.get_command(app)))


def test_the_verbs_are_found() -> None:
    assert {(), ("data", "list"), ("train",), ("model", "show")} <= set(VERBS)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words) or "sonoseg")
def test_a_verb_explains_itself(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert told.exit_code == 0
    assert f"Usage: sonoseg {' '.join(words)}".rstrip() in told.output
    command = VERBS[words]
    assert command.help, "the verb has no docstring"
    unexplained = [p.name for p in command.params if not getattr(p, "help", None) and p.name != "help"]
    assert not unexplained


@pytest.mark.process
def test_help_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([list(words) for words in VERBS])],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = json.loads(ran.stderr.strip().splitlines()[-1])
    assert not set(loaded) & set(HEAVY)
