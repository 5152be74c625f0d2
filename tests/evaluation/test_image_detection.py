"""Lesion against normal images: against scikit-learn, by hand, and with images of one kind only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sonoseg.evaluation.image_detection import SENSITIVITIES, flagged, summarise_detection

peaks = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=2, max_size=40)


def rows(lesion: list[float], normal: list[float]) -> pd.DataFrame:
    """A study's rows, a group each."""
    kinds = ["lesion"] * len(lesion) + ["normal"] * len(normal)
    table = pd.DataFrame({"kind": kinds, "max_probability": [*lesion, *normal]})
    return table.assign(group=[f"g{number}" for number in range(len(table))])


@pytest.mark.process
@settings(max_examples=25, deadline=None)
@given(peaks, peaks)
def test_as_scikit_learn_has_it(lesion: list[float], normal: list[float]) -> None:
    found = summarise_detection(rows(lesion, normal))
    truth = [True] * len(lesion) + [False] * len(normal)
    assert found["auroc"]["mean"] == pytest.approx(roc_auc_score(truth, [*lesion, *normal]))
    assert found["auroc"]["n"] == len(truth)
    at = [found["flagged_normals"][f"{share:g}"]["mean"] for share in SENSITIVITIES]
    assert 0 <= at[1] <= at[0] <= 1


@given(peaks, peaks, st.sampled_from([0.5, 0.9, 0.95, 1.0]))
def test_the_flagged_are_counted(lesion: list[float], normal: list[float], share: float) -> None:
    """The highest threshold that still flags the share of the lesion images, searched for."""
    reached = max(t for t in lesion if np.mean([p >= t for p in lesion]) >= share - 1e-12)
    kind = np.array([True] * len(lesion) + [False] * len(normal))
    found = flagged(kind, np.array([*lesion, *normal]), share)
    assert found == pytest.approx([np.mean([p >= reached for p in normal])])
    twice = np.full((1, kind.size), 2.0)
    assert flagged(kind, np.array([*lesion, *normal]), share, twice) == pytest.approx(found)


def test_one_kind_alone_tells_nothing() -> None:
    for table in (rows([0.3, 0.8], []), rows([], [0.3, 0.8])):
        found = summarise_detection(table)
        assert found["auroc"]["mean"] is None
        assert all(one["mean"] is None for one in found["flagged_normals"].values())


def test_images_without_their_mask_are_kept_out() -> None:
    table = rows([0.9, 0.8, 0.7], [0.2, 0.1])
    odd = table.iloc[:1].assign(kind="unannotated", max_probability=0.0, group="odd")
    assert summarise_detection(pd.concat([table, odd])) == summarise_detection(table)


def test_a_resample_without_one_of_the_kinds_has_no_share() -> None:
    kind, peak = np.array([True, True, False]), np.array([0.5, 0.9, 0.7])
    weights = np.array([[0, 0, 2], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
    found = flagged(kind, peak, 1.0, weights)
    assert np.isnan(found[[0, 3]]).all()
    assert found[1:3].tolist() == [1.0, 0.0]
