"""`sonoseg train` and `sonoseg model`, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.errors import MissingExtra, OutputError, SonosegError, UsageError

TINY = ("--set", "data.size=64", "--set", "epochs=1", "--set", "batch=8")


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, SonosegError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_train_then_resume(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ("--recipe", "quick", "--data", phantom_set, "--split", phantom_split, "--fold", 1)
    text = run("train", *given, "--out", out, *TINY)
    assert "epoch   1/1" in text
    assert "validation Dice" in text
    assert json.loads((out / "run.json").read_text())["fold"] == 1
    assert "validation Dice" in run("train", "--resume", "--out", out)
    with pytest.raises(UsageError, match="takes what it was started with"):
        run("train", "--resume", "--out", out, "--recipe", "seed")
    with pytest.raises(OutputError, match="not empty"):
        run("train", *given, "--out", out, *TINY)


def test_a_new_run_needs_its_three(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--recipe, --data and --split"):
        run("train", "--out", tmp_path / "run", "--recipe", "quick")


def test_without_the_extra_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sonoseg.cli.common.find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[train\]'"):
        run("train", "--out", tmp_path / "run")


def test_model_show_prints_the_table_and_draws(tmp_path: Path) -> None:
    text = run("model", "show", "seed", "--figure", tmp_path / "seed.png")
    assert "10,199,141" in text
    assert "256x256x32" in text
    assert "15,763" in text
    assert (tmp_path / "seed.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="there already"):
        run("model", "show", "seed", "--figure", tmp_path / "seed.png")
    shown = json.loads(run("model", "show", "unet", "--json", "--size", 64))
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])


def test_model_list_and_card(phantom_run: Path) -> None:
    assert "same-scale" not in run("model", "list")
    assert json.loads(run("model", "list", "--json"))["seed"]["widths"] == [32, 64, 128, 256, 512]
    text = run("model", "card", phantom_run)
    assert "Research software" in text
    assert "validation" in text
    assert json.loads(run("model", "card", phantom_run, "--json"))["name"] == "quick"


def test_model_show_unknown() -> None:
    with pytest.raises(UsageError, match="Choose one of"):
        run("model", "show", "sed")
