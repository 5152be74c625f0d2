"""Several runs on the same images: averaged image by image, and their bins pooled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import DatasetError
from sonoseg.evaluation.evaluation import Evaluation, evaluate
from sonoseg.evaluation.policy import Policy
from sonoseg.evaluation.seed_averages import average_runs, pooled_ece

QUICK = Policy(resamples=50)


@pytest.fixture
def perfect(mixed: Any, scripted: Any) -> Evaluation:
    found = scripted(lambda name: np.where(mixed.mask(name), 0.9, 0.1))
    return evaluate(found, mixed, mixed.ids, policy=QUICK)


@pytest.fixture
def moved(mixed: Any, shifted: Any) -> Evaluation:
    return evaluate(shifted, mixed, mixed.ids[:14], policy=QUICK)


@pytest.mark.process
def test_each_image_is_averaged_over_the_runs_that_measured_it(
    perfect: Evaluation, moved: Evaluation
) -> None:
    rows = average_runs([perfect, moved]).set_index("id")
    assert list(rows.index) == list(perfect.rows["id"])
    dice = moved.rows.set_index("id")["dice"]
    assert rows.loc["toy/lesion05", "dice"] == pytest.approx((1 + dice["toy/lesion05"]) / 2)
    assert rows.loc["toy/lesion00", "missed"] == 0.5
    assert rows.loc["toy/normal1", "false_positive"] == 0.5
    assert rows.loc["toy/normal3", "false_positive"] == 0.0  # only one of the two measured it
    assert math.isnan(rows.loc["toy/normal1", "dice"])
    facts = ["group", "kind", "size_stratum", "lesion_area_px"]
    pd.testing.assert_frame_equal(rows[facts], perfect.rows.set_index("id")[facts])
    same = average_runs([moved])
    pd.testing.assert_frame_equal(same[["id", "dice"]], moved.rows[["id", "dice"]])


@pytest.mark.process
def test_another_true_mask_is_refused(perfect: Evaluation, moved: Evaluation) -> None:
    moved.rows.loc[3, "lesion_area_px"] += 1
    with pytest.raises(DatasetError, match="true mask of 'toy/lesion03' differs"):
        average_runs([perfect, moved])


@pytest.mark.process
def test_the_pooled_error_of_folds_is_that_of_one_evaluation_of_all(mixed: Any, shifted: Any) -> None:
    ids = mixed.ids
    whole, one, two = (evaluate(shifted, mixed, part, policy=QUICK) for part in (ids, ids[:7], ids[7:]))
    for region in ("foreground", "normals"):
        expected = whole.summary["calibration"][region]["ece"]["mean"]
        assert pooled_ece([one, two], region) == pytest.approx(expected)
    assert math.isnan(pooled_ece([one], "normals"))  # the first seven have no normal
