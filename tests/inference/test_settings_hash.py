"""The hash of a run's settings: what can change a pixel changes it, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sonoseg.inference import settings_hash as module
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.settings_hash import settings_hash
from sonoseg.model.card import Postprocessing, Preprocessing
from sonoseg.model.model import INT8, WEIGHTS, Model

OTHER_POSTPROCESSING: dict[str, Any] = {
    "min_area": 0.002,
    "fill_holes": False,
    "min_mean_probability": 0.1,
    "min_relative_probability": 0.1,
    "keep_largest": True,
}
OTHER_PREPROCESSING: dict[str, Any] = {
    "size": 128,
    "fit": "letterbox",
    "channels": 3,
    "mean": 0.5,
    "std": 0.25,
}
CARDS: list[dict[str, Any]] = [
    {"threshold": 0.9},
    {"temperature": 2.0},
    {"network": {"preset": "unet"}},
    *({"postprocessing": {name: value}} for name, value in OTHER_POSTPROCESSING.items()),
    *({"preprocessing": {name: value}} for name, value in OTHER_PREPROCESSING.items()),
]


def of(model: Model, **changes: Any) -> str:
    settings: dict[str, Any] = {
        "runtime": "onnxruntime 1.32.0 (CPU, fp32)",
        "engine": "onnx",
        "precision": "fp32",
        "threshold": model.card.threshold,
        "postprocessing": model.card.postprocessing,
        "tta": "none",
    }
    return settings_hash(model, **(settings | changes))


@pytest.fixture
def model(dark_model: Path) -> Model:
    return Model.load(dark_model)


def with_card(model: Model, **values: Any) -> Model:
    return Model(model.folder, model.card.model_validate(model.card.model_dump() | values))


def test_every_step_of_the_card_is_tried_here() -> None:
    assert OTHER_POSTPROCESSING.keys() == Postprocessing.model_fields.keys()
    assert OTHER_PREPROCESSING.keys() == Preprocessing.model_fields.keys()


@pytest.mark.parametrize("card", CARDS)
def test_a_setting_of_the_card_changes_the_model_and_the_settings(model: Model, card: dict[str, Any]) -> None:
    other = with_card(model, **card)
    assert other.hash != model.hash
    assert of(other) != of(model)


@pytest.mark.parametrize(
    "card",
    [{"name": "renamed"}, {"limits": ["no use"]}, {"created": "2027-01-01"}, {"training": {"epochs": 3}}],
)
def test_a_description_on_the_card_changes_neither(model: Model, card: dict[str, Any]) -> None:
    other = with_card(model, **card)
    assert (other.hash, of(other)) == (model.hash, of(model))


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.2},
        {"threshold": 0.5000001},
        {"runtime": "onnxruntime 1.33.0 (CPU, fp32)"},
        {"runtime": "onnxruntime 1.32.0 (CUDA, fp32)"},
        {"precision": "bf16"},
        {"tta": "flip"},
        *(
            {"postprocessing": Postprocessing(**{name: value})}
            for name, value in OTHER_POSTPROCESSING.items()
        ),
    ],
)
def test_a_setting_of_the_run_changes_the_settings(model: Model, change: dict[str, Any]) -> None:
    assert of(model, **change) != of(model)


def test_the_file_of_the_network_counts(model: Model) -> None:
    def quantised(digit: str) -> Model:
        return with_card(model, sha256={INT8: digit * 64, WEIGHTS: digit * 64})

    one, two = quantised("1"), quantised("2")
    assert of(one) == of(two), "fp32 runs model.onnx"
    assert of(one, precision="int8") != of(two, precision="int8")
    assert of(one, engine="torch") != of(two, engine="torch")


def test_another_version_of_sonoseg_may_compute_otherwise(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(model)
    monkeypatch.setattr(module, "__version__", "99.0")
    assert of(model) != before


def test_threads_and_number_of_images_do_not_count(dark_model: Path) -> None:
    plain = Predictor(dark_model, runtime="onnx")
    for options in ({"threads": 1}, {"images": 100_000}, {"threshold": plain.threshold}, {"runtime": "auto"}):
        assert Predictor(dark_model, **({"runtime": "onnx"} | options)).settings_hash == plain.settings_hash
    assert Predictor(dark_model, runtime="onnx", threshold=0.2).settings_hash != plain.settings_hash


def test_the_hashes_are_those_of_their_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned: they are in archives. Where one changes with the same model, its format gets a new number."""
    monkeypatch.setattr(module, "__version__", "0.1.0")
    model = Model.load()
    assert model.hash == "d092b5b61329"
    assert of(model) == "87ff550e393d"


def test_a_segmentation_names_it(make_dark_model: Callable[..., Path]) -> None:
    import numpy as np

    predictor = Predictor(make_dark_model(), runtime="onnx")
    assert predictor.predict(np.zeros((40, 50), np.uint8)).settings_hash == predictor.settings_hash
