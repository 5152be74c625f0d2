"""Rows of batch inference: masks as run lengths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from sonoseg.batch.rows import RESULT, run_lengths
from sonoseg.results.schema import ImageResult


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_run_lengths_give_the_mask_back_after_json(mask: NDArray[np.bool_]) -> None:
    encoded = json.loads(json.dumps(run_lengths(mask)))
    assert encoded["size"] == list(mask.shape)
    assert np.array_equal(coco.decode(encoded), mask)


def test_the_document_names_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "batch-inference.md").read_text("utf-8")
    for name in RESULT.names:
        assert f"`{name}`" in page, name


def test_a_row_has_the_fields_of_an_image_in_results_json() -> None:
    fields = set(ImageResult.model_fields)
    # A batch writes no files and names no results; referral needs all images at once.
    assert fields - set(RESULT.names) == {"image", "files", "referred"}
    assert set(RESULT.names) - fields == {"sha256", "mask", "error"}
