"""Which images the page shows, and that they are brought as the figures want them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sonoseg.evaluation.case_selection import best_median_worst, gather, table_of_images


def rows(dice: list[float], normals: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        [
            *({"id": f"l{n}", "group": f"l{n}", "kind": "lesion", "dice": d} for n, d in enumerate(dice)),
            *(
                {"id": f"n{n}", "group": f"n{n}", "kind": "normal", "predicted_area_share": n / 10}
                for n in range(normals)
            ),
        ],
        columns=["id", "group", "kind", "dice", "predicted_area_share"],
    )


def test_best_median_and_worst_by_dice() -> None:
    chosen = best_median_worst(rows([0.5, 0.1, 0.9, 0.7, 0.3, 0.8, 0.6, 0.2, 0.4]), n=2)
    assert chosen == {"best": ["l2", "l5"], "median": ["l6", "l0"], "worst": ["l7", "l1"]}


def test_copies_do_not_fill_a_row() -> None:
    table = rows([0.9, 0.89, 0.88, 0.5, 0.45, 0.4, 0.2, 0.1, 0.05])
    table["group"] = ["a", "a", "a", "b", "c", "c", "d", "e", "e"]
    assert best_median_worst(table, n=2) == {"best": ["l0", "l3"], "median": ["l4"], "worst": ["l6", "l8"]}


@pytest.mark.parametrize("count", range(12))
def test_no_image_is_shown_twice(count: int) -> None:
    chosen = best_median_worst(rows([n / 20 for n in range(count)]))
    names = [name for part in chosen.values() for name in part]
    assert len(names) == len(set(names))
    assert bool(names) == (count >= 3)


def test_equal_scores_are_ordered_by_id() -> None:
    one = best_median_worst(rows([0.5] * 6), n=1)
    assert one == best_median_worst(rows([0.5] * 6).sample(frac=1, random_state=1), n=1)


def test_the_table_runs_from_best_to_worst_with_the_largest_alarm() -> None:
    chosen = table_of_images(rows([n / 10 for n in range(9)], normals=4))
    assert chosen == ["l8", "l6", "l4", "l2", "l0", "n3", "n0"]
    assert table_of_images(rows([0.2])) == ["l0"]
    assert table_of_images(rows([0.3, 0.2], normals=1), lesions=5) == ["l0", "l1", "n0"]


def test_cases_carry_their_arrays(mixed: Any, shifted: Any) -> None:
    table = pd.DataFrame({"id": mixed.ids, "dice": 0.5, "label": "benign"})
    cases = gather(shifted, mixed, ["toy/lesion05", "toy/normal1", "toy/lesion05"], table)
    assert list(cases) == ["toy/lesion05", "toy/normal1"]
    one = cases["toy/lesion05"]
    assert one["pixels"].shape == one["true"].shape == one["predicted"].shape == one["processed"].shape
    assert one["predicted"].dtype == bool
    assert one["true"].sum() == mixed.mask("toy/lesion05").sum()
