"""The measures of one image: its row in images.csv, and its part of the pooled figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import DatasetError
from sonoseg.evaluation.policy import Policy
from sonoseg.metrics.boundary import SurfaceDistances, surface_distances
from sonoseg.metrics.lesion_detection import (
    Candidates,
    area_share,
    candidates,
    is_false_positive,
    match_lesions,
)
from sonoseg.metrics.overlap import confusion
from sonoseg.metrics.probability_calibration import (
    ReliabilityBins,
    boundary_band,
    foreground,
    reliability_bins,
)

if TYPE_CHECKING:
    from sonoseg.inference.segmentation import Segmentation

REGIONS = ("whole", "foreground", "band", "normals")
"""Where calibration is measured: three regions of the lesion images, and whole normal images."""


@dataclass(frozen=True, eq=False)
class ImageMeasures:
    """The measures of one image.

    values: the columns of its row that depend on the prediction.
    bins: by region of REGIONS, the pixels' reliability bins. candidates: for the FROC.
    """

    values: dict[str, Any]
    bins: dict[str, ReliabilityBins]
    candidates: Candidates


def kind_of(label: str, true: NDArray[np.bool_]) -> str:
    """The kind of an image: "lesion", "normal" or "unannotated", by its label and its mask (H, W).

    An image labelled benign or malignant whose mask is empty is unannotated, and counts in no figure.
    """
    if true.any():
        return "lesion"
    return "normal" if label in ("normal", "unknown", "") else "unannotated"


def measure(true: NDArray[np.bool_], label: str, found: Segmentation, policy: Policy) -> ImageMeasures:
    """Measure one image.

    true: bool (H, W), on the image's own grid. label: its class.
    Scores of a lesion are NaN on an image without one; false_positive is NaN on one with a lesion.
    Raises DatasetError where the masks differ in size.
    """
    if true.shape != found.mask.shape:
        raise DatasetError(
            f"the true mask has the shape {true.shape} and the prediction {found.mask.shape} (H, W)",
            where=found.frame.name,
            remedy="Prepare the set again with sonoseg data prepare --overwrite",
        )
    kind = kind_of(label, true)
    counts, raw = confusion(true, found.mask), confusion(true, found.raw_mask)
    match = match_lesions(true, found.mask, minimum=policy.hit_dice, min_share=policy.speck_share)
    is_lesion, is_normal = kind == "lesion", kind == "normal"
    share = area_share(found.mask)
    values: dict[str, Any] = {
        "kind": kind,
        "dice": counts.dice,
        "iou": counts.iou,
        "precision": counts.precision,
        "recall": counts.recall,
        "pixel_accuracy": counts.pixel_accuracy,
        **_distances(true, found, policy),
        "n_lesions": match.n_lesions,
        "n_found": match.n_found,
        "n_predicted": match.hit.size,
        "n_false_positives": match.n_false_positives,
        "missed": float(counts.dice < policy.missed_dice) if is_lesion else math.nan,
        "false_positive": float(is_false_positive(found.mask, policy.false_positive_share))
        if is_normal
        else math.nan,
        "predicted_area_share": share,
        "raw_dice": raw.dice,
        "raw_iou": raw.iou,
        "raw_false_positive": (
            float(is_false_positive(found.raw_mask, policy.false_positive_share)) if is_normal else math.nan
        ),
        "max_probability": float(found.probability.max()),
        "uncertainty": found.uncertainty,
        "tp": counts.tp,
        "fp": counts.fp,
        "fn": counts.fn,
        "tn": counts.tn,
    }
    scored = candidates(
        true,
        found.probability,
        threshold=policy.candidate_threshold,
        min_area=policy.candidate_share * true.size,
        minimum=policy.hit_dice,
        min_share=policy.speck_share,
    )
    return ImageMeasures(values, _bins(true, found, kind, policy), scored)


def _distances(true: NDArray[np.bool_], found: Segmentation, policy: Policy) -> dict[str, float]:
    """HD95, NSD and average distance in pixels, percent of the diagonal and, with a pixel spacing, mm."""
    px = surface_distances(true, found.mask)
    mm = _in_mm(px, true, found)
    return {
        "hd95_px": px.hausdorff(95),
        "hd95_mm": mm.hausdorff(95) if mm else math.nan,
        "hd95_percent_diagonal": 100 * px.hausdorff(95) / px.diagonal,
        "nsd": px.nsd(policy.nsd_percent / 100 * px.diagonal),
        "nsd_px": px.nsd(policy.nsd_px),
        "nsd_mm": mm.nsd(policy.nsd_mm) if mm else math.nan,
        "asd_px": px.average,
        "asd_mm": mm.average if mm else math.nan,
    }


def _in_mm(px: SurfaceDistances, true: NDArray[np.bool_], found: Segmentation) -> SurfaceDistances | None:
    spacing = found.frame.spacing
    if spacing is None:
        return None
    if math.isclose(spacing.row, spacing.column, rel_tol=1e-9):
        return px.scaled(spacing.row)
    return surface_distances(true, found.mask, (spacing.row, spacing.column))


def _bins(
    true: NDArray[np.bool_], found: Segmentation, kind: str, policy: Policy
) -> dict[str, ReliabilityBins]:
    if kind == "unannotated":
        return {}
    whole = reliability_bins(true, found.probability, n_bins=policy.bins)
    if kind == "normal":
        return {"normals": whole}
    percent = math.hypot(*true.shape) / 100
    regions = {
        "foreground": foreground(true, policy.foreground_percent * percent, policy.speck_share),
        "band": boundary_band(true, policy.band_percent * percent),
    }
    return {"whole": whole} | {
        name: reliability_bins(true, found.probability, where, policy.bins) for name, where in regions.items()
    }
