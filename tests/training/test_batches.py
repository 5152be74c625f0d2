"""Which images are shown, how often and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, TrainingError
from sonoseg.training.batches import TrainingImages
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.train import train


def tiny(*changes: str) -> Recipe:
    return load_recipe("quick", ["data.size=64", *changes])


def test_pixels_that_cannot_be_read_name_the_images(given: tuple[PreparedSet, Split]) -> None:
    prepared, split = given
    images = TrainingImages.of(prepared, split.part().train, tiny().data, "train")
    short = TrainingImages(images.ids, images.rows, images.pixels[:2], images.masks[:2])
    with pytest.raises(TrainingError) as caught:
        short.take(np.arange(8))
    assert images.ids[0] in str(caught.value)


def test_a_part_without_a_lesion_is_an_error(given: tuple[PreparedSet, Split]) -> None:
    prepared, _ = given
    normals = [name for name in prepared.ids if prepared.table.at[name, "label"] == "normal"]
    with pytest.raises(DatasetError, match="no lesion"):
        TrainingImages.of(prepared, normals, tiny().data, "validation")


def test_normals_are_shown_as_often_as_asked(given: tuple[PreparedSet, Split]) -> None:
    prepared, _ = given
    normals = sum(prepared.table["label"] == "normal")
    assert normals > 0
    for times in (0, 1, 3):
        data = tiny(f"data.normals={times}").data
        assert (
            len(TrainingImages.of(prepared, prepared.ids, data, "train"))
            == len(prepared) + (times - 1) * normals
        )
        assert len(TrainingImages.of(prepared, prepared.ids, data, "validation")) == len(prepared)


def test_a_set_is_shown_as_often_as_asked(given: tuple[PreparedSet, Split], tmp_path: Path) -> None:
    prepared, split = given
    (name,) = set(prepared.table["set"])
    normals = sum(prepared.table["label"] == "normal")
    data = tiny(f"data.times={{{name}: 3}}", "data.normals=2").data
    shown = TrainingImages.of(prepared, prepared.ids, data, "train")
    assert len(shown) == 3 * (len(prepared) + normals)
    for at, one in enumerate(shown.ids):
        assert prepared.ids[shown.rows[at]] == one
        assert shown.ids.count(one) == (6 if prepared.table.at[one, "label"] == "normal" else 3)
    assert len(TrainingImages.of(prepared, prepared.ids, data, "validation")) == len(prepared)
    with pytest.raises(DatasetError, match=rf"unknown set 'busi'\. Choose from: {name}"):
        TrainingImages.of(prepared, prepared.ids, tiny("data.times={busi: 2}").data, "train")
    with pytest.raises(DatasetError, match="0 images and no lesion"):
        train(tiny(f"data.times={{{name}: 0}}"), prepared, split, tmp_path / "run")


def test_every_draw_is_of_the_seed() -> None:
    images = TrainingImages(
        list("abcdef"), np.arange(6), np.zeros((6, 2, 2), np.uint8), np.zeros((6, 2, 2), np.uint8)
    )
    assert np.array_equal(images.order(1, 2), images.order(1, 2))
    assert not np.array_equal(images.order(1, 2), images.order(1, 3))
    assert sorted(images.order(3, 0)) == list(range(6))
