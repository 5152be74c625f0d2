"""`sonoseg model adjust`: another threshold or post-processing, the network as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.errors import OutputError, UsageError
from sonoseg.inference.predictor import Predictor
from sonoseg.model.model import Model
from sonoseg.samples import frames


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["model", "adjust", *map(str, words)], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def measured(make_dark_model: Callable[..., Path]) -> Path:
    """A model with figures on its card."""
    test = {"measure": "Dice, mean over lesion images", "value": 0.5, "n": 1, "on": "somewhere"}
    grid = {"measure": "ECE, foreground, on the network's grid", "value": 0.1, "n": 1, "on": "validation"}
    return make_dark_model(card={"threshold": 0.3, "results": [test, grid]})


def test_the_network_stays_and_figures_that_no_longer_hold_go(measured: Path, tmp_path: Path) -> None:
    said = json.loads(
        run(measured, "--out", tmp_path / "a", "--min-relative-probability", 0.8, "--no-fill-holes", "--json")
    )
    old, new = Model.load(measured), Model.load(tmp_path / "a")
    assert new.card.threshold == old.card.threshold
    assert new.file_sha256("model.onnx") == old.file_sha256("model.onnx")
    assert new.hash != old.hash, "its masks may differ"
    kept = new.card.postprocessing
    assert (kept.min_relative_probability, kept.fill_holes, kept.min_area) == (
        0.8,
        False,
        old.card.postprocessing.min_area,
    )
    assert said["postprocessing"] == kept.model_dump()
    assert [one.on for one in new.card.results] == ["validation"]
    assert "threshold 0.7" in run(tmp_path / "a", "--out", tmp_path / "a", "--threshold", 0.7, "--overwrite")
    again = Model.load(tmp_path / "a").card
    assert (again.threshold, again.postprocessing, again.results) == (0.7, kept, [])


def test_it_predicts_by_the_new_card(measured: Path, tmp_path: Path) -> None:
    run(measured, "--out", tmp_path / "none", "--min-area", 0.99)
    frame = frames()[0]
    assert Predictor(measured).predict(frame).mask.any()
    assert not Predictor(tmp_path / "none").predict(frame).mask.any()


@pytest.mark.process
def test_what_cannot_be_adjusted_is_told(measured: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to change"):
        run(measured, "--out", tmp_path / "a")
    with pytest.raises(UsageError, match="threshold"):
        run(measured, "--out", tmp_path / "a", "--threshold", 0)
    assert not (tmp_path / "a").exists()
    run(measured, "--out", tmp_path / "a", "--threshold", 0.5)
    with pytest.raises(OutputError, match="the folder holds a model"):
        run(measured, "--out", tmp_path / "a", "--threshold", 0.6)
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="not a folder but a file"):
        run(measured, "--out", tmp_path / "file", "--threshold", 0.6)
