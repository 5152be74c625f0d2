"""`sonoseg export` and `sonoseg model precisions`: files for other engines, int8, and what it costs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import MissingExtra, ModelError, OutputError, UsageError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import choice
from sonoseg.model.card import LowerPrecision
from sonoseg.model.export.int8 import calibration_images
from sonoseg.model.model import CARD, Model
from sonoseg.networks import bfloat16
from sonoseg.networks.bfloat16 import has_bf16


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
        *("--calibrate", phantom_set, "--split", phantom_split, "--images", 6),
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
    monkeypatch.setattr("sonoseg.model.export.formats.largest_difference", lambda *_: 0.01)
    done = run("export", model, "--out", tmp_path / "network.onnx")
    assert isinstance(done.exception, ModelError)
    assert "differs from the model by 0.01" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--format", "keras", "--precision", "int8", "--out", "n.keras"), "keras holds fp32, not int8"),
        (("--format", "onnx", "--precision", "bf16", "--out", "n.onnx"), "onnx holds fp32 or int8, not bf16"),
        (("--format", "torch", "--out", "n.onnx"), "ends in .pt2"),
        ((), "no file to write"),
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
    with pytest.raises(ModelError, match=r"model\.int8\.onnx: the file differs from its card"):
        Model.load(with_int8)


def weights_of(path: Path) -> list[np.ndarray]:
    """The int8 kernels of a network's convolutions."""
    import onnx
    from onnx.numpy_helper import to_array

    graph = onnx.load(path).graph
    stored = {one.name: to_array(one) for one in graph.initializer}
    return [one for one in stored.values() if one.dtype == np.int8 and one.ndim == 4]


def test_products_fit_the_16_bits_of_processors_without_vnni(with_int8: Path) -> None:
    """They add two products of uint8 and int8 in 16 bits with saturation (x86 instruction VPMADDUBSW)."""
    for path in (with_int8, Model.load().folder):
        weights = weights_of(path / "model.int8.onnx")
        assert len(weights) > 8
        assert all(255 * 2 * int(np.abs(one.astype(int)).max()) <= 32767 for one in weights)


def test_calibration_sees_training_images_alone(
    phantom_run: Path, phantom_set: Path, phantom_split: Path
) -> None:
    card = Model.load(phantom_run).card
    prepared, split = PreparedSet.open(phantom_set), Split.load(phantom_split)
    chosen = calibration_images(card, prepared, split, phantom_split, count=5)
    assert chosen.shape == (5, 64, 64)
    pixels, _ = prepared.arrays(64, card.preprocessing.fit)
    training = pixels[prepared.rows(split.part(0).train)]
    assert all((training == image).all(axis=(1, 2)).any() for image in chosen)
    with pytest.raises(UsageError, match="was not trained on fold 1 of this split"):
        calibration_images(card, prepared, split, phantom_split, fold=1)


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
    told = {(one.runtime, one.precision) for one in card.precisions}
    assert ("onnx", "int8") in told
    assert (("torch", "bf16") in told) is has_bf16(torch.device("cpu"))
    assert all(one.on.startswith("The validation part") for one in card.precisions)


def test_what_was_measured_on_another_machine_stays(
    with_int8: Path, phantom_set: Path, phantom_split: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {"runtime": "torch", "precision": "bf16", "loss": 0.0003, "n": 9, "on": "another machine"}
    earlier = {"runtime": "onnx", "precision": "int8", "loss": 0.5, "n": 9, "on": "before"}
    card = Model.load(with_int8).card
    both = [LowerPrecision.model_validate(one) for one in (elsewhere, earlier)]
    card.model_copy(update={"precisions": both}).write(with_int8 / CARD)
    monkeypatch.setattr(bfloat16, "has_bf16", lambda device: False)
    words = ("model", "precisions", with_int8, "--data", phantom_set, "--split", phantom_split)
    done = run(*words, "--write")
    assert done.exit_code == 0, done.output
    assert "not measured: torch bf16" in done.output
    assert "this processor has no bfloat16" in done.output
    found = {(one.runtime, one.precision): one.on for one in Model.load(with_int8).card.precisions}
    assert found["torch", "bf16"] == "another machine"
    assert found["onnx", "int8"].startswith("The validation part")
