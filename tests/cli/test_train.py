"""`sonoseg train` and `sonoseg model`, as a user calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.errors import MissingExtra, OutputError, SonosegError, UsageError
from sonoseg.model.model import Model
from sonoseg.training.initial_weights import IMAGENET

TINY = ("--set", "data.size=64", "--set", "epochs=1", "--set", "batch=8")


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, SonosegError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_train_then_resume(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    given = ("--recipe", "quick", "--data", phantom_set, "--split", phantom_split, "--fold", 1)
    text = run("train", *given, "--out", out, *TINY)
    assert "epoch   1/1" in text
    assert "validation Dice" in text
    assert json.loads((out / "run.json").read_text())["fold"] == 1
    assert "validation Dice" in run("train", "--resume", "--out", out)
    with pytest.raises(UsageError, match="uses what it was started with"):
        run("train", "--resume", "--out", out, "--recipe", "seed")
    with pytest.raises(OutputError, match="not empty"):
        run("train", *given, "--out", out, *TINY)


def test_a_new_run_needs_its_three(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--recipe, --data and --split"):
        run("train", "--out", tmp_path / "run", "--recipe", "quick")


def test_without_the_extra_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "sonoseg._util.packages.find_spec", lambda name: None if name == "torch" else object()
    )
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[train\]'"):
        run("train", "--out", tmp_path / "run")


@pytest.mark.process
def test_model_show_prints_the_table_and_draws(tmp_path: Path) -> None:
    text = run("model", "show", "seed", "--figure", tmp_path / "seed.png")
    assert "10,199,141" in text
    assert "256x256x32" in text
    assert "15,763" in text
    assert (tmp_path / "seed.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="the figure exists"):
        run("model", "show", "seed", "--figure", tmp_path / "seed.png")
    shown = json.loads(run("model", "show", "unet", "--json", "--size", 64))
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])


@pytest.mark.process
def test_model_show_of_another_encoder() -> None:
    """Counts at 256 pixels: see tests/networks/test_efficientnet.py."""
    text = run("model", "show", "sonoseg")
    assert "4,068,518" in text
    assert "1,797" in text
    for part in ("stem", "encoder.3", "bottleneck", "presence", "gates.0", "decoder.3", "head"):
        assert part in text, part
    assert "1x1x1" in text
    shown = json.loads(run("model", "show", "sonoseg", "--json", "--size", 64))
    assert [layer["kind"] for layer in shown["layers"]].count("encoder") == 4


def test_model_list_and_card(phantom_run: Path, tmp_path: Path) -> None:
    assert "same-scale" not in run("model", "list")
    assert "efficientnet-lite1" in run("model", "list", "--json")
    assert json.loads(run("model", "list", "--json"))["seed"]["widths"] == [32, 64, 128, 256, 512]
    text = run("model", "card", phantom_run)
    assert "Research software" in text
    assert "validation" in text
    assert json.loads(run("model", "card", phantom_run, "--json"))["name"] == "quick"
    assert "started from" not in text
    shutil.copytree(phantom_run / "model", tmp_path / "model")
    card = Model.load(tmp_path / "model").card
    started = card.model_copy(update={"data": [*card.data, IMAGENET]})
    started.write(tmp_path / "model" / "card.json")
    text = " ".join(run("model", "card", tmp_path / "model").split())
    assert "started from ImageNet-1k classification" in text
    assert "weights Apache-2.0" in text
    assert "0 images" not in text


def test_model_show_unknown() -> None:
    with pytest.raises(UsageError, match="Choose one of"):
        run("model", "show", "sed")
