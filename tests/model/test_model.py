"""A model folder: read, checked, and refused with the right word."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sonoseg.errors import ModelError
from sonoseg.model.card import ModelCard
from sonoseg.model.model import Model


@pytest.fixture
def folder(phantom_run: Path, tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return Path(shutil.copytree(phantom_run / "model", tmp_path / "model"))


def test_load_from_the_folder_or_the_run(phantom_run: Path) -> None:
    model = Model.load(phantom_run)
    assert model == Model.load(phantom_run / "model")
    assert model.card.name == "quick"
    assert model.card.preprocessing.size == 64
    assert len(model.hash) == 12
    assert model.onnx_path.is_file()
    assert model.weights_path.is_file()


def test_the_shipped_model_is_whole_and_small() -> None:
    model = Model.load()
    assert set(model.card.sha256) == {
        "model.onnx",
        "model.int8.onnx",
        "weights.safetensors",
        "training-distance.npz",
    }
    assert model.card.data
    assert all(part.licence and part.citation for part in model.card.data)
    size = {path.name: path.stat().st_size for path in model.folder.iterdir()}
    assert size["model.onnx"] + size["weights.safetensors"] <= 25_000_000
    assert size["model.int8.onnx"] <= 5_000_000
    assert size["training-distance.npz"] <= 200_000


def test_a_changed_file_is_refused(folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelError, match=r"model\.onnx: the file differs from its card"):
        Model.load(folder)
    assert Model.load(folder, verify=False).card.name == "quick"


@pytest.mark.parametrize("name", ["model.onnx", "weights.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        Model.load(folder)
    model = Model.load(folder, verify=False)
    with pytest.raises(ModelError, match=name):
        _ = model.onnx_path if name == "model.onnx" else model.weights_path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 1.5}, "'threshold': input should be less than 1"),
        ({"preprocessing": {"size": "big"}}, "'preprocessing.size'"),
        ({"format": "sonoseg-model/9"}, "'format'"),
        ({"format": "sonoseg-model/1", "postprocessing": {"beside_surest": 0.8}}, "sonoseg-model/2"),
        ({"colour": "blue"}, "unknown key 'colour'"),
    ],
)
def test_a_wrong_card_names_its_key(folder: Path, change: dict[str, object], words: str) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError) as caught:
        Model.load(folder)
    assert words in str(caught.value)
    assert "card.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_card_that_is_none(folder: Path, text: str) -> None:
    (folder / "card.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"card\.json"):
        Model.load(folder)


def test_no_model_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a model folder.*leave --model out"):
        Model.load(tmp_path)


def test_the_card_survives_a_round_trip(folder: Path) -> None:
    card = Model.load(folder).card
    card.write(folder / "card.json")
    assert ModelCard.read(folder / "card.json") == card


@pytest.mark.process
def test_reading_a_model_needs_no_torch(folder: Path) -> None:
    code = (
        f"import sys; from sonoseg import Model; Model.load({str(folder)!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
