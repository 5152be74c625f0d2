"""A Segmentation: the result for one Frame, on the Frame's own grid."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.image.frame import Frame
from sonoseg.image.overlay import overlay
from sonoseg.inference.uncertainty import HIGH, LOW, image_uncertainty, uncertainty_band


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The lesions of one Frame.

    frame: the segmented frame.
    probability: float32 (H, W), of lesion, 0..1.
    raw_mask: bool (H, W), probability >= threshold.
    mask: bool (H, W), the raw mask after post-processing, from which all results are made.
    threshold: the probability threshold.
    attention: each gate's coefficients, float32 (H, W) in 0..1, where "attention_1" is the gate nearest the
        bottleneck; None unless requested.
    model: the model's name and hash. runtime: the engine with its version, device and precision.
    settings_hash: of all settings that can change it (see `settings_hash`); "" for a mask of another origin.
    training_distance: the image's distance from the training images, as a multiple of the limit
        (`model.training_distance`); None where the model does not measure it.
    largest_training_lesion: the area of the largest lesion in training, as a share of its image, 0..1; None
        where unknown.
    """

    frame: Frame
    probability: NDArray[np.float32]
    raw_mask: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    threshold: float
    attention: dict[str, NDArray[np.float32]] | None
    model: str
    runtime: str
    settings_hash: str = ""
    training_distance: float | None = None
    largest_training_lesion: float | None = None

    @property
    def unlike_training(self) -> bool:
        """Whether the image is unlike the images that the model was trained on: no result is reliable."""
        return self.training_distance is not None and self.training_distance > 1

    @cached_property
    def uncertainty(self) -> float:
        """Uncertainty of the result, 0 certain to 1 uncertain. See `image_uncertainty`."""
        return image_uncertainty(self.probability, self.mask, self.threshold)

    def uncertainty_band(
        self, *, low: float = LOW, high: float = HIGH
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return two masks (inner, outer), bool (H, W), around the contours. See `uncertainty_band`."""
        return uncertainty_band(self.probability, self.mask, self.threshold, low=low, high=high)

    def overlay(self) -> NDArray[np.uint8]:
        """Return the image with the mask overlaid, uint8 (H, W, 3)."""
        return overlay(self.frame.pixels, self.mask)

    def _repr_png_(self) -> bytes:
        """Return the overlay as PNG, for notebooks."""
        buffer = io.BytesIO()
        Image.fromarray(self.overlay()).save(buffer, format="PNG")
        return buffer.getvalue()
