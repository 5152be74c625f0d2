"""Which images a page shows: chosen by rule from the rows, never by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sonoseg.evaluation.threshold_sweep import BATCH

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.evaluation.evaluation import PredictsMany


def best_median_worst(rows: pd.DataFrame, n: int = 4) -> dict[str, list[str]]:
    """The ids of the n best, n around the median, and n worst images by Dice; lesions only, none twice.

    One image a group (a patient, copies of a scan), so that four copies do not fill a row. Of equal scores
    the first id in the alphabet stands first, so the choice is the same on every machine.
    """
    ids = _ranked(rows, "lesion", "dice")
    n = min(n, len(ids) // 3)
    from_middle = sorted(range(len(ids)), key=lambda place: abs(place - (len(ids) - 1) / 2))
    walks = {
        "best": range(len(ids)),
        "worst": range(len(ids) - 1, -1, -1),
        "median": from_middle,
    }
    group_of, taken = dict(zip(rows["id"], rows["group"], strict=True)), set()
    chosen: dict[str, list[str]] = {}
    for name, walk in walks.items():
        places: list[int] = []
        for place in walk:
            group = group_of[ids[place]]
            if len(places) < n and group not in taken:
                places.append(place)
                taken.add(group)
        chosen[name] = [ids[place] for place in sorted(places)]
    return {name: chosen[name] for name in ("best", "median", "worst") if chosen[name]}


def table_of_images(rows: pd.DataFrame, lesions: int = 5, normals: int = 2) -> list[str]:
    """The ids for the seed's table of images: lesions at even steps of Dice, best to worst, and normals.

    The normals are those at even steps of predicted area, the largest false alarm among them.
    """
    return [
        *_steps(_ranked(rows, "lesion", "dice"), lesions),
        *_steps(_ranked(rows, "normal", "predicted_area_share"), normals),
    ]


def gather(
    predictor: PredictsMany, prepared: PreparedSet, ids: Iterable[str], rows: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Predict a few images again and keep their arrays, as the figures of cases want them, by id.

    Only these few are held in memory, however many the study measured.
    """
    names = list(dict.fromkeys(ids))
    known = rows.set_index("id").loc[names]
    found = predictor.predict_many((prepared.frame(name) for name in names), batch=BATCH)
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
