"""One image's row: which figures it has, and which it may not have."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sonoseg.errors import DatasetError
from sonoseg.evaluation.image_measures import ImageMeasures, kind_of, measure
from sonoseg.evaluation.policy import POLICY
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.metrics.boundary import hd95, nsd
from sonoseg.metrics.overlap import dice

LESION_ONLY = (
    "dice",
    "iou",
    "precision",
    "recall",
    "hd95_px",
    "nsd",
    "nsd_px",
    "asd_px",
    "missed",
    "raw_dice",
)


def found(
    probability: np.ndarray, mask: np.ndarray | None = None, spacing: Spacing | None = None
) -> Segmentation:
    raw = probability >= 0.5
    frame = Frame(np.zeros(probability.shape, np.uint8), spacing, name="x")
    processed = raw if mask is None else mask
    return Segmentation(frame, probability.astype(np.float32), raw, processed, 0.5, None, "m", "r")


@pytest.fixture
def one(make_disc: Callable[..., np.ndarray]) -> Callable[..., ImageMeasures]:
    def run(label: str = "benign", spacing: Spacing | None = None, miss: bool = False) -> ImageMeasures:
        true = make_disc(30, 40, 10) if label != "normal" else np.zeros((60, 80), bool)
        probability = np.where(make_disc(30, 43, 10), 0.8, 0.1)
        if miss:
            probability = np.full((60, 80), 0.1)
        return measure(true, label, found(probability, spacing=spacing), POLICY)

    return run


def test_a_lesion_has_the_scores_of_its_masks(one: Any, make_disc: Any) -> None:
    true, predicted = make_disc(30, 40, 10), make_disc(30, 43, 10)
    values = one().values
    assert values["kind"] == "lesion"
    assert values["dice"] == values["raw_dice"] == dice(true, predicted)
    assert values["hd95_px"] == hd95(true, predicted)
    assert values["hd95_percent_diagonal"] == pytest.approx(values["hd95_px"])  # the diagonal is 100 pixels
    assert values["nsd"] == nsd(true, predicted, 1.0)
    assert values["nsd_px"] == nsd(true, predicted, 5.0) == 1.0
    assert math.isnan(values["hd95_mm"])
    assert math.isnan(values["false_positive"])
    assert (values["n_lesions"], values["n_found"], values["n_false_positives"]) == (1, 1, 0)
    assert values["max_probability"] == pytest.approx(0.8)
    assert values["missed"] == 0.0


def test_a_missed_lesion_has_the_worst_of_each(one: Any) -> None:
    values = one(miss=True, spacing=Spacing(0.1, 0.2)).values
    assert (
        values["dice"] == values["precision"] == values["recall"] == values["nsd"] == values["nsd_mm"] == 0.0
    )
    assert values["hd95_percent_diagonal"] == 100.0
    assert values["hd95_px"] == values["asd_px"] == 100.0
    assert values["hd95_mm"] == pytest.approx(math.hypot(60 * 0.1, 80 * 0.2))
    assert values["missed"] == 1.0
    assert values["n_found"] == 0


@pytest.mark.parametrize("spacing", [Spacing(0.1, 0.1), Spacing(0.1, 0.25)])
def test_millimetres_follow_the_spacing(one: Any, make_disc: Any, spacing: Spacing) -> None:
    true, predicted = make_disc(30, 40, 10), make_disc(30, 43, 10)
    values = one(spacing=spacing).values
    assert values["hd95_mm"] == pytest.approx(hd95(true, predicted, tuple(spacing)))
    assert values["nsd_mm"] == pytest.approx(nsd(true, predicted, 1.0, tuple(spacing)))


def test_a_normal_has_a_false_positive_and_no_score(one: Any) -> None:
    values = one("normal").values
    assert values["kind"] == "normal"
    assert all(math.isnan(values[name]) for name in LESION_ONLY)
    assert values["false_positive"] == values["raw_false_positive"] == 1.0
    assert values["n_false_positives"] == 1
    assert values["predicted_area_share"] == pytest.approx(317 / 4800)
    quiet = one("normal", miss=True).values
    assert quiet["false_positive"] == 0.0
    assert quiet["pixel_accuracy"] == 1.0


def test_the_false_positive_is_of_the_processed_mask(make_disc: Any) -> None:
    probability = np.where(make_disc(30, 40, 5), 0.9, 0.1)
    cleaned = found(probability, mask=np.zeros((60, 80), bool))
    values = measure(np.zeros((60, 80), bool), "normal", cleaned, POLICY).values
    assert (values["false_positive"], values["raw_false_positive"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("label", "kind"),
    [("normal", "normal"), ("unknown", "normal"), ("benign", "unannotated"), ("malignant", "unannotated")],
)
def test_an_empty_mask_is_a_normal_only_where_the_label_allows_it(label: str, kind: str) -> None:
    assert kind_of(label, np.zeros((3, 3), bool)) == kind
    assert kind_of(label, np.eye(3, dtype=bool)) == "lesion"


def test_an_unannotated_image_is_in_no_figure() -> None:
    measured = measure(np.zeros((60, 80), bool), "benign", found(np.full((60, 80), 0.9)), POLICY)
    for name in (*LESION_ONLY, "false_positive", "raw_false_positive"):
        assert math.isnan(measured.values[name])
    assert measured.bins == {}


def test_calibration_regions(one: Any, make_disc: Any) -> None:
    bins = one().bins
    assert set(bins) == {"whole", "foreground", "band"}
    assert bins["whole"].n_pixels == 4800
    assert bins["foreground"].n_pixels == (21 + 2 * 5) ** 2  # 5 % of a diagonal of 100 pixels
    assert 0 < bins["band"].n_pixels < make_disc(30, 40, 10).sum()
    assert set(one("normal").bins) == {"normals"}


def test_candidates_are_taken_below_the_threshold(make_disc: Any) -> None:
    true = make_disc(30, 40, 10)
    doubtful = measure(true, "benign", found(np.where(true, 0.3, 0.02)), POLICY)
    assert doubtful.values["n_found"] == 0
    assert doubtful.candidates.lesions == pytest.approx([0.3])


def test_masks_must_have_the_images_size(make_disc: Any) -> None:
    with pytest.raises(DatasetError, match="prepare"):
        measure(np.zeros((5, 5), bool), "benign", found(np.zeros((60, 80))), POLICY)
