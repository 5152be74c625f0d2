"""The images that a page shows, chosen by rule from the rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sonoseg.evaluation.threshold_sweep import BATCH

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.inference.predictor import Predictor


def best_median_worst(rows: pd.DataFrame, n: int = 4) -> dict[str, list[str]]:
    """The ids of the n best, n median and n worst lesion images by Dice, none twice.

    One image per group (a patient, duplicates of an image). Equal scores are ordered by id, so the choice is
    the same on every machine.
    """
    ids = _ranked(rows, "lesion", "dice")
    n = min(n, len(ids) // 3)
    from_middle = sorted(range(len(ids)), key=lambda rank: abs(rank - (len(ids) - 1) / 2))
    orders = {
        "best": range(len(ids)),
        "worst": range(len(ids) - 1, -1, -1),
        "median": from_middle,
    }
    group_of, taken = dict(zip(rows["id"], rows["group"], strict=True)), set()
    chosen: dict[str, list[str]] = {}
    for name, order in orders.items():
        ranks: list[int] = []
        for rank in order:
            group = group_of[ids[rank]]
            if len(ranks) < n and group not in taken:
                ranks.append(rank)
                taken.add(group)
        chosen[name] = [ids[rank] for rank in sorted(ranks)]
    return {name: chosen[name] for name in ("best", "median", "worst") if chosen[name]}


def table_of_images(rows: pd.DataFrame, lesions: int = 5, normals: int = 2) -> list[str]:
    """The ids for the table of images: lesions at even steps of Dice from best to worst, then normals.

    The normals are at even steps of predicted area, the largest false positive first.
    """
    return [
        *_steps(_ranked(rows, "lesion", "dice"), lesions),
        *_steps(_ranked(rows, "normal", "predicted_area_share"), normals),
    ]


def gather(
    predictor: Predictor, prepared: PreparedSet, ids: Iterable[str], rows: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """Predict a few images again and return their arrays by id, as `plots.cases` draws them."""
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
    ranks = np.linspace(0, len(ids) - 1, min(n, len(ids))).round().astype(int)
    return [ids[rank] for rank in ranks]
