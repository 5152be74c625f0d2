"""The steps before and after the network, without the network: what worker processes and Ray tasks run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.image.frame import Frame
from sonoseg.image.network_grid import Grid
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.test_time_augmentation import apply_view, views_of
from sonoseg.model.card import Postprocessing, Preprocessing


@dataclass(frozen=True)
class NetworkInput:
    """A frame, its placement on the network's grid, and its pixels there, uint8 (V, S, S) for V views."""

    frame: Frame
    grid: Grid
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class NetworkOutput:
    """What the network computed for one frame, on the network's grid.

    probability: float32 (S, S). attention: each gate's coefficients, float32 (h, w), or None.
    training_distance: as in Segmentation.
    """

    frame: Frame
    grid: Grid
    probability: NDArray[np.float32]
    attention: dict[str, NDArray[np.float32]] | None = None
    training_distance: float | None = None


@dataclass(frozen=True)
class PredictionSteps:
    """What a Predictor does before and after its network. Can be pickled.

    preprocessing, postprocessing, threshold, tta: as in Predictor.
    model: the model's name and hash. runtime: the engine's full name. settings_hash: see `settings_hash`.
    largest_training_lesion: as in Segmentation.
    """

    preprocessing: Preprocessing
    postprocessing: Postprocessing
    threshold: float
    tta: str
    model: str
    runtime: str
    settings_hash: str
    largest_training_lesion: float | None = None

    def grid(self, shape: tuple[int, int]) -> Grid:
        """Return the placement of an image of (H, W) pixels on the network's grid."""
        return Grid(shape, self.preprocessing.size, self.preprocessing.fit)

    def prepare(self, frame: Frame) -> NetworkInput:
        """Resize a frame for the network, once for each view of the test-time augmentation."""
        grid = self.grid(frame.shape)
        views = [apply_view(frame.pixels, grid, view) for view in views_of(self.tta)]
        return NetworkInput(frame, grid, np.stack(views))

    def finish(self, output: NetworkOutput) -> Segmentation:
        """Resample the probabilities to the frame's grid, threshold and post-process them."""
        grid = output.grid
        probability = grid.from_network(output.probability)
        raw = probability >= self.threshold
        attention = None
        if output.attention is not None:
            attention = {name: _to_frame(grid, values) for name, values in output.attention.items()}
        return Segmentation(
            frame=output.frame,
            probability=probability,
            raw_mask=raw,
            mask=postprocess(raw, probability, self.postprocessing),
            threshold=self.threshold,
            attention=attention,
            model=self.model,
            runtime=self.runtime,
            settings_hash=self.settings_hash,
            training_distance=output.training_distance,
            largest_training_lesion=self.largest_training_lesion,
        )


def _to_frame(grid: Grid, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resample a gate's coefficients (h, w) to the frame's grid (H, W), by way of the network's grid."""
    whole = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    square = whole.resize((grid.size, grid.size), Image.Resampling.BILINEAR)
    return grid.from_network(np.asarray(square, dtype=np.float32))
