"""The fit of the training distance, and the model that carries it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sonoseg.errors import DatasetError
from sonoseg.evaluation import training_range
from sonoseg.evaluation.training_range import fit_training_distance, write_training_range
from sonoseg.inference.predictor import Predictor
from sonoseg.model.model import Model
from sonoseg.model.training_distance import TRAINING_DISTANCE

SIZE = 2000


def draw(n: int, seed: int) -> np.ndarray:
    """Correlated features of n images, float32 (n, 8)."""
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(7).normal(size=(8, 8))
    return (random.normal(size=(n, 8)) @ mix + 5).astype(np.float32)


def names(n: int) -> list[str]:
    """Groups of two images each."""
    return [f"G{k // 2}" for k in range(n)]


def test_constants() -> None:
    assert (training_range.SHARE, training_range.FOLDS, training_range.MIN_IMAGES) == (0.99, 5, 100)


def test_one_in_a_hundred_new_images_lies_beyond_the_limit() -> None:
    distance = fit_training_distance(draw(SIZE, 0), names(SIZE))
    beyond = float((distance.relative(draw(20_000, 1)) > 1).mean())
    assert 0.005 < beyond < 0.02


def test_images_of_another_kind_lie_beyond_it() -> None:
    distance = fit_training_distance(draw(SIZE, 0), names(SIZE))
    other = np.random.default_rng(2).normal(size=(500, 8)).astype(np.float32) * 20
    assert (distance.relative(other) > 1).mean() > 0.95


def test_a_group_is_left_out_whole() -> None:
    """Copies of an image in one group must not shrink the limit, as they would if they were divided."""
    few = draw(150, 3)
    copied = np.repeat(few, 4, axis=0)
    apart = fit_training_distance(copied, [f"G{k // 4}" for k in range(600)])
    divided = fit_training_distance(copied, [f"G{k}" for k in range(600)])
    assert apart.limit > divided.limit


@pytest.mark.parametrize(("images", "groups"), [(99, 50), (200, 4)])
def test_too_few_images_or_groups_are_refused(images: int, groups: int) -> None:
    with pytest.raises(DatasetError, match="too few"):
        fit_training_distance(draw(images, 0), [f"G{k % groups}" for k in range(images)])


def test_the_model_carries_it(tmp_path: Path) -> None:
    predictor = Predictor(runtime="onnx", precision="fp32")
    size = predictor.model.card.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 255, (2, size, size), dtype=np.uint8)
    channels = predictor.features_grid(pixels).shape[1]
    fit = fit_training_distance(
        np.random.default_rng(0).normal(size=(400, channels)).astype(np.float32), names(400)
    )
    model = write_training_range(predictor.model, fit, 400, 0.25, tmp_path / "model", overwrite=False)
    assert model.card.training_range is not None
    assert model.card.training_range.largest_lesion == 0.25
    assert TRAINING_DISTANCE in model.card.sha256
    found = Predictor(Model.load(tmp_path / "model"), runtime="onnx", precision="fp32").predict(pixels[0])
    assert found.training_distance == pytest.approx(
        float(fit.relative(predictor.features_grid(pixels[:1]))[0])
    )
