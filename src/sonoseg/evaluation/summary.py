"""The summary of an evaluation: means with intervals, pooled figures, detection, calibration and strata."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoseg.evaluation.bootstrap import (
    Interval,
    at_the_ends,
    bootstrap,
    bootstrap_means,
    bootstrap_ratio,
    finite,
    not_measured,
)
from sonoseg.evaluation.image_detection import summarise_detection
from sonoseg.evaluation.image_measures import REGIONS, ImageMeasures
from sonoseg.evaluation.policy import Policy
from sonoseg.evaluation.strata import STRATA, levels_of
from sonoseg.metrics.lesion_detection import Candidates, Froc, froc
from sonoseg.metrics.probability_calibration import ReliabilityBins

PER_IMAGE = (
    *("dice", "iou", "precision", "recall", "pixel_accuracy"),
    *("hd95_px", "hd95_percent_diagonal", "hd95_mm", "nsd", "nsd_px", "nsd_mm", "asd_px", "asd_mm"),
    *("missed", "raw_dice", "raw_iou"),
)
"""Columns averaged over the lesion images."""

OF_NORMALS = ("false_positive", "raw_false_positive", "predicted_area_share", "pixel_accuracy")
OF_STRATA = ("dice", "iou", "precision", "recall", "hd95_percent_diagonal", "nsd", "missed")

SHARES = ("missed", "false_positive", "raw_false_positive")
"""Columns of 0 and 1, whose mean is a share of images."""

Json = dict[str, Any]


def summarise(
    rows: pd.DataFrame, measured: Sequence[ImageMeasures], curve: pd.DataFrame, policy: Policy
) -> Json:
    """Compute every figure of an evaluation. rows, measured: one entry per image, in the same order.

    Lesion images, normals and unannotated images are kept apart.
    """
    lesion = (rows["kind"] == "lesion").to_numpy()
    normal = (rows["kind"] == "normal").to_numpy()
    return {
        "counts": {
            "images": len(rows),
            "groups": int(rows["group"].nunique()),
            "with_lesion": int(lesion.sum()),
            "normal": int(normal.sum()),
            "unannotated": int((rows["kind"] == "unannotated").sum()),
            "lesions": int(rows["n_lesions"].sum()),
            "with_spacing": int(rows["spacing_row"].notna().sum()),
        },
        "per_image": means_of(rows[lesion], PER_IMAGE, policy),
        "per_image_median": {
            name: finite(rows.loc[lesion, name].median()) for name in ("dice", "iou", "hd95_px", "nsd")
        },
        "pooled": _pooled(rows[lesion], policy),
        "lesions": _lesions(rows, measured, curve, policy),
        "normals": means_of(rows[normal], OF_NORMALS, policy),
        "detection": summarise_detection(rows, policy),
        "calibration": _calibration(rows, measured, policy),
        "strata": _strata(rows[lesion], policy),
    }


def froc_table(found: Sequence[Candidates]) -> pd.DataFrame:
    """The FROC of all images, normals included; at most 1000 points, ends kept."""
    if not found:
        return pd.DataFrame({"threshold": [], "sensitivity": [], "fp_per_image": []}, dtype=np.float64)
    curve = froc(*_joined(found), n_images=len(found))
    keep = np.unique(np.linspace(0, curve.threshold.size - 1, 1000).round().astype(int))
    return pd.DataFrame(
        {
            "threshold": curve.threshold[keep],
            "sensitivity": curve.sensitivity[keep],
            "fp_per_image": curve.fp_per_image[keep],
        }
    )


def reliability_table(bins: Sequence[dict[str, ReliabilityBins]], n_bins: int) -> pd.DataFrame:
    """The reliability diagram's bins of all images, one row per region and bin."""
    parts = []
    for region in REGIONS:
        own = [one[region] for one in bins if region in one]
        if own:
            total = sum(own, start=ReliabilityBins.empty(n_bins))
            parts.append(pd.DataFrame({"region": region, **total.table()}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _joined(found: Sequence[Candidates]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    none = np.zeros(0)
    return (
        np.concatenate([none, *(one.lesions for one in found)]),
        np.concatenate([none, *(one.false for one in found)]),
    )


def means_of(rows: pd.DataFrame, columns: Sequence[str], policy: Policy) -> Json:
    """Mean and interval of each column, {column: {"mean", "low", "high", "n", "groups"}}."""
    if rows.empty:
        return {name: not_measured() for name in columns}
    intervals = bootstrap_means(
        rows[list(columns)].to_numpy(np.float64), rows["group"].to_numpy(), **policy.bootstrap
    )
    return {
        name: (at_the_ends(one, policy.level) if name in SHARES else one).as_dict()
        for name, one in zip(columns, intervals, strict=True)
    }


def _pooled(rows: pd.DataFrame, policy: Policy) -> Json:
    """Scores of the pixels of all lesion images pooled, which large lesions dominate."""
    tp, fp, fn, tn = (rows[name].to_numpy(np.float64) for name in ("tp", "fp", "fn", "tn"))
    ratios = {
        "dice": (2 * tp, 2 * tp + fp + fn),
        "iou": (tp, tp + fp + fn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "pixel_accuracy": (tp + tn, tp + fp + fn + tn),
    }
    groups = rows["group"].to_numpy()
    return {
        name: bootstrap_ratio(*pair, groups, **policy.bootstrap).as_dict() if len(rows) else not_measured()
        for name, pair in ratios.items()
    }


def _lesions(
    rows: pd.DataFrame, measured: Sequence[ImageMeasures], curve: pd.DataFrame, policy: Policy
) -> Json:
    """Sensitivity per lesion, false positives per image, and the FROC at fixed rates."""
    known = (rows["kind"] != "unannotated").to_numpy()
    lesion, normal = (rows["kind"] == "lesion").to_numpy(), (rows["kind"] == "normal").to_numpy()
    groups = rows["group"].to_numpy()
    n = int(rows["n_lesions"].sum())

    total = rows["n_lesions"].to_numpy(np.float64)

    def sensitivity(found: NDArray[Any]) -> Json:
        if not n:
            return not_measured()
        pair = found[lesion], total[lesion]
        share = bootstrap_ratio(*pair, groups[lesion], n=n, **policy.bootstrap)
        return at_the_ends(share, policy.level).as_dict()

    def rate(where: NDArray[np.bool_]) -> Any:
        return means_of(rows[where], ["n_false_positives"], policy)["n_false_positives"]

    at: Json = {}
    points = Froc(*(curve[name].to_numpy() for name in ("threshold", "sensitivity", "fp_per_image")))
    for allowed in policy.fp_rates:
        reached = points.threshold[points.fp_per_image <= allowed]
        threshold = float(reached[-1]) if reached.size else math.inf
        found = np.array([float((one.candidates.lesions >= threshold).sum()) for one in measured])
        at[f"{allowed:g}"] = {**sensitivity(found), "threshold": finite(threshold)}
        if not (points.fp_per_image > allowed).any():
            break  # the curve ends here
    return {
        "sensitivity": sensitivity(rows["n_found"].to_numpy(np.float64)),
        "false_positives_per_image": rate(known),
        "false_positives_per_lesion_image": rate(lesion),
        "false_positives_per_normal": rate(normal),
        "sensitivity_at_fp_per_image": at,
    }


def _calibration(rows: pd.DataFrame, measured: Sequence[ImageMeasures], policy: Policy) -> Json:
    """ECE and Brier score of each region, pixels pooled, with intervals over groups."""
    result: Json = {}
    groups = rows["group"].to_numpy()
    for region in REGIONS:
        where = [index for index, one in enumerate(measured) if region in one.bins]
        own = [measured[index].bins[region] for index in where]
        pixels = sum(bins.n_pixels for bins in own)
        if not pixels:
            result[region] = {"ece": not_measured(), "brier": not_measured(), "pixels": 0}
            continue
        # A bin's gap is a sum over pixels, so it adds up over images and can be resampled with them.
        parts = np.array([[*(b.probability - b.lesion), b.squared, b.n_pixels] for b in own])
        figures, low, high = bootstrap(parts, groups[where], _ece_and_brier, **policy.bootstrap)
        result[region] = {
            name: Interval(
                float(figures[m]), float(low[m]), float(high[m]), len(own), int(np.unique(groups[where]).size)
            ).as_dict()
            for m, name in enumerate(("ece", "brier"))
        } | {"pixels": pixels}
    return result


def _ece_and_brier(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, B + 2) of gaps a bin, squared errors and pixels -> (R, 2)."""
    gaps, squared, pixels = sums[:, :-2], sums[:, -2], sums[:, -1]
    return np.column_stack([np.abs(gaps).sum(axis=1) / pixels, squared / pixels])


def _strata(rows: pd.DataFrame, policy: Policy) -> Json:
    result: Json = {}
    for name, column in STRATA.items():
        result[name] = {
            level: means_of(rows[rows[column] == level], OF_STRATA, policy) for level in levels_of(rows, name)
        }
    return result
