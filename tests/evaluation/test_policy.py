"""The evaluation policy, literally, and what happens exactly on its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sonoseg.evaluation import comparison, image_detection, risk_coverage
from sonoseg.evaluation.image_measures import measure
from sonoseg.evaluation.policy import POLICY
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation


def segmentation(mask: np.ndarray) -> Segmentation:
    frame = Frame(np.zeros(mask.shape, np.uint8), None, name="x")
    return Segmentation(frame, np.where(mask, 0.9, 0.05).astype(np.float32), mask, mask, 0.5, None, "m", "r")


def boxes(*sides: tuple[int, int]) -> list[np.ndarray]:
    """Masks (100, 100), each a box of (height, width) at the upper left corner."""
    made = []
    for height, width in sides:
        mask = np.zeros((100, 100), dtype=bool)
        mask[:height, :width] = True
        made.append(mask)
    return made


def test_the_policy_is_what_the_documents_say() -> None:
    expected = {
        "missed_dice": 0.1,
        "nsd_percent": 1.0,
        "nsd_px": 5.0,
        "nsd_mm": 1.0,
        "hit_dice": 0.1,
        "speck_share": 1e-4,
        "candidate_threshold": 0.1,
        "candidate_share": 1e-3,
        "fp_rates": [0.02, 0.05, 0.1, 0.25, 0.5, 1.0],
        "bins": 15,
        "foreground_percent": 5.0,
        "band_percent": 1.0,
        "resamples": 2000,
        "level": 0.95,
        "seed": 0,
    }
    policy = POLICY.as_dict()
    share = {name: policy.pop(name) for name in list(policy) if name.startswith("false_")}
    assert list(share.values()) == [1e-3]
    assert policy == expected


def test_the_levels_of_the_summary() -> None:
    assert image_detection.SENSITIVITIES == (0.95, 0.9)
    assert risk_coverage.NAMED == (0.05, 0.1, 0.2, 0.3, 0.5)
    assert risk_coverage.SHARES.tolist() == [share / 100 for share in range(96)]
    assert comparison.PERMUTATIONS == 9999


@pytest.mark.parametrize(
    ("true", "predicted", "missed"),
    [
        ((19, 10), (1, 10), 0.0),  # Dice 20 / 200 = 0.1
        ((19, 10), (1, 9), 1.0),  # Dice 18 / 199 = 0.09
    ],
)
def test_a_lesion_is_missed_below_a_dice_of_a_tenth(
    true: tuple[int, int], predicted: tuple[int, int], missed: float
) -> None:
    lesion, found = boxes(true, predicted)
    values = measure(lesion, "benign", segmentation(found), POLICY).values
    assert values["missed"] == missed
    assert values["n_found"] == 1 - missed


@pytest.mark.parametrize(("pixels", "counted"), [(10, 0.0), (11, 1.0)])
def test_a_false_positive_covers_more_than_a_thousandth(pixels: int, counted: float) -> None:
    normal, found = boxes((0, 0), (1, pixels))
    values = measure(normal, "normal", segmentation(found), POLICY).values
    flags = [values[name] for name in values if name.startswith(("false_", "raw_false_"))]
    assert flags == [counted, counted]


def test_candidates_have_a_thousandth_of_the_image_at_least() -> None:
    for pixels, count in ((10, 1), (9, 0)):
        normal, found = boxes((0, 0), (1, pixels))
        assert measure(normal, "normal", segmentation(found), POLICY).candidates.false.size == count


def test_a_component_of_a_ten_thousandth_is_a_lesion() -> None:
    true, found = np.zeros((2, 100, 200), dtype=bool)
    true[:30, :30] = found[:30, :30] = True
    for pixels, lesions in ((2, 2), (1, 1)):
        true[90] = False
        true[90, :pixels] = True
        assert measure(true, "benign", segmentation(found), POLICY).values["n_lesions"] == lesions


def test_a_lesion_has_no_false_positive_and_a_normal_no_missed() -> None:
    lesion, normal = boxes((10, 10), (0, 0))
    for mask, label, absent in ((lesion, "benign", "false_"), (normal, "normal", "missed")):
        values = measure(mask, label, segmentation(lesion), POLICY).values
        assert all(math.isnan(values[name]) for name in values if name.startswith(absent))


def test_another_policy_is_followed() -> None:
    lesion, found = boxes((19, 10), (1, 10))
    strict = replace(POLICY, missed_dice=0.2, hit_dice=0.2, bins=4, candidate_share=0.01)
    measured = measure(lesion, "benign", segmentation(found), strict)
    assert (measured.values["missed"], measured.values["n_found"]) == (1.0, 0)
    assert all(bins.count.size == 4 for bins in measured.bins.values())
    assert measured.candidates.lesions.tolist() == [0.0]
    assert measured.candidates.false.size == 0
