"""`sonoseg export` and `sonoseg model precisions`: files for other engines, int8, and what it costs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from sonoseg.cli.main import app
from sonoseg.datasets.prepared import PreparedSet
from sonoseg.datasets.splits import Split
from sonoseg.errors import MissingExtra, ModelError, OutputError, UsageError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import choice
from sonoseg.model.model import Model
from sonoseg.training.quantise import calibration_pixels


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def model(phantom_run: Path, tmp_path: Path) -> Path:
    """A model folder to add to."""
    return Path(shutil.copytree(phantom_run / "model", tmp_path / "model"))


@pytest.fixture
def with_int8(model: Path, phantom_set: Path, phantom_split: Path) -> Path:
    """The same with its int8 network, made by the command."""
    made = run(
        *("export", model, "--precision", "int8"),
        *("--calibrate", phantom_set, "--split", phantom_split, "--pictures", 6),
    )
    assert made.exit_code == 0, made.output
    assert "calibrating on 6 training images" in made.output
    return model


@pytest.mark.parametrize(
    ("form", "precision", "ending"),
    [
        ("onnx", "fp32", "onnx"),
        ("openvino", "fp32", "xml"),
        ("torch", "fp32", "pt2"),
        ("torch", "bf16", "pt2"),
    ],
)
def test_a_file_agrees_with_the_model(
    model: Path, tmp_path: Path, form: str, precision: str, ending: str
) -> None:
    if form == "openvino" and not choice.installed("openvino"):
        pytest.skip("no openvino here")
    to = tmp_path / f"network.{ending}"
    words = ("export", model, "--format", form, "--precision", precision, "--out", to)
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert f"{form}, {precision}" in done.output
    worst = float(done.output.split("probabilities within ")[1].split(" ")[0])
    assert worst <= (1e-4 if precision == "fp32" else 0.05)
    assert sorted(path.suffix for path in tmp_path.glob("network.*")) == sorted(
        [f".{ending}", ".bin"] if form == "openvino" else [f".{ending}"]
    )
    assert not list(tmp_path.glob(".*"))  # nothing half-made stays
    again = run(*words)
    assert isinstance(again.exception, OutputError)
    assert run(*words, "--overwrite").exit_code == 0


def test_a_file_that_differs_is_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg.training.formats.furthest", lambda *_: 0.01)
    done = run("export", model, "--out", tmp_path / "network.onnx")
    assert isinstance(done.exception, ModelError)
    assert "differs from the model by 0.01" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--format", "keras", "--precision", "int8", "--out", "n.keras"), "keras holds fp32, not int8"),
        (("--format", "onnx", "--precision", "bf16", "--out", "n.onnx"), "onnx holds fp32 or int8, not bf16"),
        (("--format", "torch", "--out", "n.onnx"), "ends in .pt2"),
        ((), "no file to write to"),
        (("--calibrate", "set", "--split", "s.json"), "--calibrate makes the ONNX file in int8"),
    ],
)
def test_words_that_do_not_fit(model: Path, words: tuple[str, ...], reason: str) -> None:
    done = run("export", model, *words)
    assert isinstance(done.exception, UsageError)
    assert reason in str(done.exception)


def test_a_model_without_int8_says_so(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "--precision", "int8", "--out", tmp_path / "network.onnx")
    assert isinstance(done.exception, ModelError)


def test_keras_is_named_where_it_is_missing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    done = run("export", model, "--format", "keras", "--out", tmp_path / "network.keras")
    assert isinstance(done.exception, MissingExtra)
    assert "sonoseg[keras]" in str(done.exception)
    assert not list(tmp_path.glob("*.keras"))


def test_int8_becomes_a_part_of_the_model(with_int8: Path, tmp_path: Path) -> None:
    loaded = Model.load(with_int8)  # its hashes hold
    assert "model.int8.onnx" in loaded.card.sha256
    assert loaded.card.training["int8"]["calibrated_on"] == 6
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    low, full = (
        Predictor(loaded, runtime="onnx", precision=precision).predict_grid(pixels)
        for precision in ("int8", "fp32")
    )
    assert 0 < np.abs(low - full).max() < 0.3
    done = run("export", with_int8, "--precision", "int8", "--out", tmp_path / "network.onnx")
    assert done.exit_code == 0, done.output
    if choice.installed("openvino"):
        to = tmp_path / "network.xml"
        done = run("export", with_int8, "--format", "openvino", "--precision", "int8", "--out", to)
        assert done.exit_code == 0, done.output
    with_int8.joinpath("model.int8.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"model\.int8\.onnx: the file is not the one its card describes"):
        Model.load(with_int8)


def test_calibration_sees_training_images_alone(
    phantom_run: Path, phantom_set: Path, phantom_split: Path
) -> None:
    card = Model.load(phantom_run).card
    prepared, split = PreparedSet.open(phantom_set), Split.load(phantom_split)
    chosen = calibration_pixels(card, prepared, split, phantom_split, count=5)
    assert chosen.shape == (5, 64, 64)
    pixels, _ = prepared.arrays(64, card.preprocessing.fit)
    training = pixels[prepared.rows(split.part(0).train)]
    assert all((training == picture).all(axis=(1, 2)).any() for picture in chosen)
    with pytest.raises(UsageError, match="was not trained on fold 1 of this split"):
        calibration_pixels(card, prepared, split, phantom_split, fold=1)


def test_losses_are_measured_and_written_to_the_card(
    with_int8: Path, phantom_set: Path, phantom_split: Path, tmp_path: Path
) -> None:
    words = ("model", "precisions", with_int8, "--data", phantom_set, "--split", phantom_split)
    done = run(*words, "--limit", 3, "--json", "--json-file", tmp_path / "loss.json")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "loss.json").read_text())
    assert told["part"] == "validation"
    losses = {(one["runtime"], one["precision"]): one for one in told["losses"]}
    assert abs(losses["torch", "fp32"]["loss"]) < 1e-3
    assert losses["torch", "fp32"]["probability"] < 1e-4
    assert losses["onnx", "int8"]["probability"] > 1e-4
    assert not Model.load(with_int8).card.precisions
    assert run(*words, "--limit", 3, "--write").exit_code != 0
    done = run(*words, "--write")
    assert done.exit_code == 0, done.output
    card = Model.load(with_int8).card
    assert {(one.runtime, one.precision) for one in card.precisions} >= {("onnx", "int8"), ("torch", "bf16")}
    assert all(one.on.startswith("The validation part") for one in card.precisions)
