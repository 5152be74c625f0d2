"""How far an image is from the images that a model was trained on."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path
from sonoseg.errors import ModelError

TRAINING_DISTANCE = "training-distance.npz"


@dataclass(frozen=True, eq=False)
class TrainingDistance:
    """The distribution of the training images' features, and the distance at which it ends.

    The distance is that of Mahalanobis from the mean of all training images (Lee et al., A simple unified
    framework for detecting out-of-distribution samples, NeurIPS 2018, with one class).

    mean: float32 (C,), of the network's output "features". whitening: float32 (C, C), a square root of the
    inverse covariance: distance = |(features - mean) whitening|. limit: the distance that a stated fraction
    of training images stays below when they are left out of the fit.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    limit: float

    def relative(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return distances as multiples of the limit: above 1 an image is unlike the training data.

        features: float32 (N, C). Returns float64 (N,).
        """
        whitened = (features.astype(np.float64) - self.mean) @ self.whitening.astype(np.float64)
        return np.asarray(np.sqrt((whitened**2).sum(axis=1)) / self.limit)

    @classmethod
    def load(cls, path: Path) -> TrainingDistance:
        """Read the file of a model folder. Raises ModelError where it is damaged."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                mean = arrays["mean"].astype(np.float32)
                whitening = arrays["whitening"].astype(np.float32)
                limit = float(arrays["limit"])
            if not (np.isfinite(mean).all() and np.isfinite(whitening).all()):
                raise ValueError("a value is not finite")
            if mean.ndim != 1 or whitening.shape != (mean.size, mean.size) or not limit > 0:
                raise ValueError(f"mean {mean.shape}, whitening {whitening.shape}, limit {limit}")
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"the training distance cannot be read ({error})",
                where=path,
                remedy="Copy the model folder again, or fit it again with sonoseg model training-distance",
            ) from error
        return cls(mean, whitening, limit)

    def write(self, path: Path) -> None:
        """Write the file, atomically."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, mean=self.mean, whitening=self.whitening, limit=np.float64(self.limit))
