"""The shipped model's training distance: breast ultrasound lies within its limit, other images do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sonoseg import Predictor
from sonoseg.samples import frames

PRECISIONS = ("fp32", "int8")


@pytest.fixture(scope="module", params=PRECISIONS)
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return Predictor(runtime="onnx", precision=request.param)


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)


def chessboard() -> np.ndarray:
    rows, columns = np.indices((256, 256)) // 32
    return np.uint8(255) * ((rows + columns) % 2).astype(np.uint8)


def document() -> np.ndarray:
    page = Image.new("L", (600, 800), 255)
    pen = ImageDraw.Draw(page)
    for line in range(40):
        pen.text((30, 20 * line), "Sonography of the left breast, no abnormal finding. " * 2, fill=0)
    return np.asarray(page)


def gradient() -> np.ndarray:
    return np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))


def test_the_sample_scans_lie_within_the_limit(predictor: Predictor) -> None:
    distances = [one.training_distance for one in predictor.predict_many(frames())]
    assert all(one is not None and 0.3 < one < 1 for one in distances)


@pytest.mark.parametrize("make", [noise, chessboard, document, gradient])
def test_other_images_lie_beyond_it(predictor: Predictor, make: object) -> None:
    assert callable(make)
    assert predictor.predict(make()).unlike_training


@pytest.mark.process
def test_other_precisions_and_engines_agree() -> None:
    pytest.importorskip("openvino")
    frame = frames()[0]
    (reference, *others) = [
        Predictor(runtime=runtime, precision=precision).predict(frame).training_distance
        for runtime in ("onnx", "openvino")
        for precision in PRECISIONS
    ]
    assert others == pytest.approx([reference] * 3, rel=0.1)


def test_a_model_without_a_fit_has_no_distance(dark_model: Path) -> None:
    found = Predictor(dark_model).predict(noise())
    assert found.training_distance is None
    assert not found.unlike_training
