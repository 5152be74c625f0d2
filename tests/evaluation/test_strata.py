"""Strata: stable size quarters, and marks that are unknown where nobody looked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.errors import DatasetError
from sonoseg.evaluation.strata import SIZES, levels_of, marks_strata, size_edges, size_stratum


def test_quartiles_leave_images_without_a_lesion_out() -> None:
    assert size_edges([0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx((0.2, 0.3, 0.4))


def test_each_stratum_holds_its_upper_edge() -> None:
    edges = (0.2, 0.3, 0.4)
    shares = (0.0001, 0.2, 0.2001, 0.3, 0.35, 0.4, 0.41, 1.0)
    assert [SIZES.index(size_stratum(share, edges)) for share in shares] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert size_stratum(0.0, edges) == ""


@given(st.lists(st.floats(1e-4, 1.0), min_size=4, max_size=60, unique=True))
def test_quarters_are_quarters(shares: list[float]) -> None:
    edges = size_edges(shares)
    counts = [sum(size_stratum(share, edges) == size for share in shares) for size in SIZES]
    assert sum(counts) == len(shares)
    assert max(counts) - min(counts) <= 2


def test_without_a_lesion_there_are_no_sizes() -> None:
    with pytest.raises(DatasetError, match="no image has a lesion"):
        size_edges([0.0, 0.0])


def test_levels_are_those_that_occur_in_their_order() -> None:
    rows = pd.DataFrame(
        {"size_stratum": ["Q4 largest", "", "Q1 smallest"], "label": ["malignant", "normal", "benign"]}
    ).assign(set="one")
    assert levels_of(rows, "size") == ["Q1 smallest", "Q4 largest"]
    assert levels_of(rows, "class") == ["benign", "malignant"]
    assert levels_of(rows, "set") == []
    assert levels_of(rows.assign(set=["b", "a", "b"]), "set") == ["a", "b"]


def test_marks_are_unknown_in_a_set_that_names_none() -> None:
    table = pd.DataFrame(
        {
            "set": ["busi", "busi", "busi", "bus-bra"],
            "marks": ["measurement text", "text", "", ""],
        },
        index=["a", "b", "c", "d"],
    )
    strata = marks_strata(table)
    assert strata["marks_stratum"].to_dict() == {"a": "yes", "b": "yes", "c": "no", "d": "unknown"}
    assert strata["callipers"].to_dict() == {"a": "yes", "b": "no", "c": "no", "d": "unknown"}
    assert np.array_equal(strata.index, table.index)
