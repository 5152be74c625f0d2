"""Our figures against MONAI's and surface-distance's, wherever the policies agree; and where they do not.

Where they do not, and why:
- An empty prediction on a lesion: MONAI's HD95 and average distance are inf or NaN (and its reductions drop
  NaN), surface-distance's inf; ours is the image's diagonal. Their Dice and NSD are 0, as ours.
- An empty truth: MONAI's Dice is NaN (1 where both are empty) and its NSD 0 or NaN; ours is NaN in all cases.
- surface-distance puts the boundary on the pixels' corners and weights it with the contour's length; MONAI
  takes pixel centres. Ours do either: boundary="contour" and boundary="pixels".
- surface-distance reports the average distance once a direction; MONAI and ours pool both.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sonoseg.metrics.boundary import average_surface_distance, hd95, nsd, surface_distances
from sonoseg.metrics.overlap import dice, iou

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch = pytest.importorskip("torch")
    monai_metrics = pytest.importorskip("monai.metrics")
    peer = pytest.importorskip("surface_distance")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # MONAI's own calls, 1.5 to 1.7

SPACINGS = [(1.0, 1.0), (0.25, 0.25), (0.07, 0.3), (2.0, 0.5)]


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two rough, overlapping masks, each of one or several parts, some at the image's edge."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(30, 90)), int(rng.integers(30, 90)))
    base = gaussian_filter(rng.standard_normal(shape), rng.uniform(2, 6))
    other = base + rng.uniform(0.1, 0.8) * base.std() * gaussian_filter(rng.standard_normal(shape), 2) / 0.14
    return base > np.quantile(base, rng.uniform(0.6, 0.95)), other > np.quantile(
        other, rng.uniform(0.6, 0.95)
    )


PAIRS = [blobs(seed) for seed in range(12)]


def one(mask: np.ndarray) -> torch.Tensor:
    """bool (H, W) as MONAI's one-hot batch: float (1, 2, H, W), background first."""
    return torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32))


@pytest.mark.parametrize("pair", PAIRS)
def test_dice_and_iou_are_monais(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = pair
    theirs = monai_metrics.DiceMetric(include_background=False, reduction="none")(one(predicted), one(true))
    assert dice(true, predicted) == pytest.approx(float(theirs), abs=1e-6)
    theirs = monai_metrics.compute_iou(one(predicted), one(true), include_background=False)
    assert iou(true, predicted) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_hd95_and_average_are_monais(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    true, predicted = pair
    theirs = monai_metrics.compute_hausdorff_distance(
        one(predicted), one(true), percentile=95, spacing=list(spacing)
    )
    assert hd95(true, predicted, spacing) == pytest.approx(float(theirs), rel=1e-5)
    theirs = monai_metrics.compute_average_surface_distance(
        one(predicted), one(true), symmetric=True, spacing=list(spacing)
    )
    assert average_surface_distance(true, predicted, spacing) == pytest.approx(float(theirs), rel=1e-5)


@pytest.mark.parametrize("kind", ["pixels", "contour"])
@pytest.mark.parametrize("tolerance", [0.0, 1.1, 2.3])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_nsd_is_monais(kind: str, tolerance: float, spacing: tuple[float, float]) -> None:
    # Tolerances between two reachable distances: exact ties are rounded, by them in float32.
    tolerance = tolerance * math.sqrt(spacing[0] * spacing[1])
    for true, predicted in PAIRS[:5]:
        theirs = monai_metrics.compute_surface_dice(
            one(predicted), one(true), [tolerance], spacing=list(spacing), use_subvoxels=kind == "contour"
        )
        assert nsd(true, predicted, tolerance, spacing, kind) == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("pair", PAIRS)
def test_contours_are_surface_distances(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    true, predicted = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls scipy by names of old
        theirs = peer.compute_surface_distances(true, predicted, spacing)
    ours = surface_distances(true, predicted, spacing, boundary="contour")
    assert ours.from_true is not None
    assert ours.from_predicted is not None
    assert ours.hausdorff(95) == pytest.approx(peer.compute_robust_hausdorff(theirs, 95))
    assert ours.hausdorff(100) == pytest.approx(peer.compute_robust_hausdorff(theirs, 100))
    for tolerance in (0.3 * spacing[0], 1.3 * spacing[0], 4.7 * spacing[1]):
        assert ours.nsd(tolerance) == pytest.approx(peer.compute_surface_dice_at_tolerance(theirs, tolerance))
    there, back = peer.compute_average_surface_distance(theirs)
    for directed, expected in ((ours.from_true, there), (ours.from_predicted, back)):
        assert np.average(directed.distances, weights=directed.weights) == pytest.approx(expected)


@pytest.mark.parametrize("pair", PAIRS)
def test_pixels_and_contours_differ_by_about_a_pixel(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert abs(hd95(*pair) - hd95(*pair, boundary="contour")) < 1.5


def test_where_the_policies_part() -> None:
    true, empty = PAIRS[0][0], np.zeros_like(PAIRS[0][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        missed = monai_metrics.compute_hausdorff_distance(one(empty), one(true), percentile=95)
    assert not torch.isfinite(missed).any()
    assert hd95(true, empty) == pytest.approx(math.hypot(*true.shape))

    both_empty = monai_metrics.DiceMetric(include_background=False, reduction="none", ignore_empty=False)
    assert float(both_empty(one(empty), one(empty))) == 1.0
    assert math.isnan(dice(empty, empty))
