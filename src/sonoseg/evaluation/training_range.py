"""Fits what the training images of a model are like, so that other images are marked as unlike them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import sha256_file
from sonoseg.errors import DatasetError
from sonoseg.evaluation.provenance import command_given
from sonoseg.model.card import TrainingRange
from sonoseg.model.model import CARD, INT8, Model
from sonoseg.model.training_distance import TRAINING_DISTANCE, TrainingDistance

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet

SHARE = 0.99
"""The fraction of the training images that must lie within the limit."""

FOLDS = 5
MIN_IMAGES = 100
"""Fewest training images of which a covariance is estimated."""

Track = Callable[[Iterable[str], str, int | None], Iterator[str]]


def training_features(
    model: Model, prepared: PreparedSet, ids: Sequence[str], track: Track
) -> NDArray[np.float32]:
    """Return the network's features of prepared images, float32 (P N, C): all in fp32, then all in int8.

    The rounding of int8 counts into the distribution, or it would enlarge the distances (P is 1 for a model
    without an int8 network). The runtime is that of the core install, so that the fit does not depend on
    installed extras.
    """
    from sonoseg.inference.predictor import Predictor

    pixels, _ = prepared.arrays(model.card.preprocessing.size, model.card.preprocessing.fit)
    rows = prepared.rows(list(ids))
    found = list[NDArray[np.float32]]()
    for precision in ("fp32", "int8") if (model.folder / INT8).is_file() else ("fp32",):
        predictor = Predictor(model, runtime="onnx", precision=precision)
        for row, _ in zip(rows, track(ids, f"training images, {precision}", len(ids)), strict=True):
            found.append(predictor.features_grid(np.asarray(pixels[row : row + 1])))
    return np.concatenate(found)


def fit_training_distance(features: NDArray[np.float32], groups: Sequence[str]) -> TrainingDistance:
    """Fit mean and covariance, and take the limit from images left out of the fit.

    The covariance is that of Ledoit and Wolf (A well-conditioned estimator for large-dimensional covariance
    matrices, J. Multivariate Analysis 88, 2004). The limit is the SHARE quantile of the distances of images
    whose group was left out, in FOLDS folds: images of the fit itself lie nearer.

    features: float32 (N, C). groups: the patient or duplicate group of each row.
    Raises DatasetError for too few images or groups.
    """
    from sklearn.model_selection import GroupKFold

    if len(features) < MIN_IMAGES or len(set(groups)) < FOLDS:
        raise DatasetError(
            f"{len(groups)} training images in {len(set(groups))} groups are too few: at least "
            f"{MIN_IMAGES} in {FOLDS} are needed",
            remedy="Give the prepared set and split that the model was trained on",
        )
    distances = np.empty(len(features))
    for fitted, left_out in GroupKFold(FOLDS).split(features, groups=groups):
        distances[left_out] = _fit(features[fitted], 1.0).relative(features[left_out])
    return _fit(features, float(np.quantile(distances, SHARE)))


def _fit(features: NDArray[np.float32], limit: float) -> TrainingDistance:
    from sklearn.covariance import LedoitWolf

    estimate = LedoitWolf().fit(features.astype(np.float64))
    values, vectors = np.linalg.eigh(estimate.precision_)
    whitening = vectors * np.sqrt(np.maximum(values, 0))
    return TrainingDistance(
        estimate.location_.astype(np.float32), np.ascontiguousarray(whitening, dtype=np.float32), limit
    )


def largest_lesion(prepared: PreparedSet, ids: Sequence[str]) -> float:
    """Return the area of the largest lesion of some images, as a share of its image. Raises DatasetError."""
    largest = float(prepared.table["lesion_share"].reindex(list(ids)).max())
    if not largest > 0:
        raise DatasetError("no training image has a lesion", where=prepared.folder)
    return largest


def write_training_range(
    model: Model, distance: TrainingDistance, images: int, largest: float, to: Path, *, overwrite: bool
) -> Model:
    """Copy a model with its training distance and range. Raises OutputError."""
    found = TrainingRange(images=images, share=SHARE, largest_lesion=largest, command=command_given())
    copied = model.copy(to, model.card, overwrite=overwrite)
    distance.write(copied.folder / TRAINING_DISTANCE)
    hashes = model.card.sha256 | {TRAINING_DISTANCE: sha256_file(copied.folder / TRAINING_DISTANCE)}
    card = model.card.model_copy(update={"training_range": found, "sha256": hashes})
    card.write(copied.folder / CARD)
    return Model.load(copied.folder)
