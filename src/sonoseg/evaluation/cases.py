"""Which images a page shows: chosen by rule from the rows, never by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.datasets.prepared import PreparedSet
    from sonoseg.evaluation.study import PredictsMany


def best_median_worst(rows: pd.DataFrame, n: int = 4) -> dict[str, list[str]]:
    """The ids of the n best, n around the median, and n worst images by Dice; lesions only, none twice.

    Of equal scores the first id in the alphabet stands first, so the choice is the same on every machine.
    """
    ids = _ranked(rows, "lesion", "dice")
    n = min(n, len(ids) // 3) if len(ids) >= 3 else 0
    middle = (len(ids) - n) // 2
    chosen = {"best": ids[:n], "median": ids[middle : middle + n], "worst": ids[len(ids) - n :]}
    return {name: part for name, part in chosen.items() if part}


def table_of_pictures(rows: pd.DataFrame, lesions: int = 5, normals: int = 2) -> list[str]:
    """The ids for the seed's table of pictures: lesions at even steps of Dice, best to worst, and normals.

    The normals are those at even steps of predicted area, the largest false alarm among them.
    """
    known = rows[rows["kind"] == "lesion"].sort_values(["dice", "id"], ascending=[False, True])
    other = rows[rows["kind"] == "normal"].sort_values(
        ["predicted_area_share", "id"], ascending=[False, True]
    )
    return [*_steps(known["id"].tolist(), lesions), *_steps(other["id"].tolist(), normals)]


def gather(
    predictor: PredictsMany, prepared: PreparedSet, ids: Iterable[str], rows: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Predict a few images again and keep their arrays, as the figures of cases want them, by id.

    Only these few are held in memory, however many the study measured.
    """
    names = list(dict.fromkeys(ids))
    known = rows.set_index("id").loc[names]
    found = predictor.predict_many(prepared.frame(name) for name in names)
    cases: dict[str, dict[str, Any]] = {}
    for name, segmentation in zip(names, found, strict=True):
        cases[name] = {
            "name": name,
            "pixels": segmentation.frame.pixels,
            "true": prepared.mask(name),
            "predicted": segmentation.raw_mask,
            "probability": segmentation.probability,
            "processed": segmentation.mask,
            "dice": float(known["dice"].loc[name]),
            "note": str(known["label"].loc[name]),
        }
    return cases


def _ranked(rows: pd.DataFrame, kind: str, by: str) -> list[str]:
    known = rows[rows["kind"] == kind].sort_values([by, "id"], ascending=[False, True])
    return [str(name) for name in known["id"]]


def _steps(ids: list[str], n: int) -> list[str]:
    places = np.linspace(0, len(ids) - 1, min(n, len(ids))).round().astype(int)
    return [ids[place] for place in places]
