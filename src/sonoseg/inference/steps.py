"""The steps before and after the network, without it: for processes that work beside another's network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.image.frame import Frame
from sonoseg.image.network_grid import Grid
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.test_time_augmentation import show, views_of
from sonoseg.model.card import Postprocessing, Preprocessing


@dataclass(frozen=True)
class NetworkInput:
    """A frame with its place on the network's grid and its pixels there, uint8 (V, S, S), one a view."""

    frame: Frame
    grid: Grid
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class NetworkOutput:
    """What the network gave for one frame, on its own grid: probability (S, S), attention (h, w) a gate."""

    ready: NetworkInput
    probability: NDArray[np.float32]
    attention: dict[str, NDArray[np.float32]] | None


@dataclass(frozen=True)
class PredictionSteps:
    """What a Predictor does before and after its network. Pickles.

    preprocessing, postprocessing, threshold, tta: as the Predictor has them. model: its name and hash.
    runtime: its engine, in words.
    """

    preprocessing: Preprocessing
    postprocessing: Postprocessing
    threshold: float
    tta: str
    model: str
    runtime: str

    def grid(self, shape: tuple[int, int]) -> Grid:
        """The place of an image of (H, W) pixels on the network's grid."""
        return Grid(shape, self.preprocessing.size, self.preprocessing.fit)

    def ready(self, frame: Frame) -> NetworkInput:
        """The first step: a frame resized for the network, once a view."""
        grid = self.grid(frame.shape)
        return NetworkInput(
            frame, grid, np.stack([show(frame.pixels, grid, view) for view in views_of(self.tta)])
        )

    def finish(self, found: NetworkOutput) -> Segmentation:
        """The third step: back to the image's grid, threshold, post-processing."""
        grid = found.ready.grid
        probability = grid.from_network(found.probability)
        raw = probability >= self.threshold
        attention = None
        if found.attention is not None:
            attention = {name: _to_frame(grid, values) for name, values in found.attention.items()}
        return Segmentation(
            frame=found.ready.frame,
            probability=probability,
            raw_mask=raw,
            mask=postprocess(raw, probability, self.postprocessing),
            threshold=self.threshold,
            attention=attention,
            model=self.model,
            runtime=self.runtime,
        )


def _to_frame(grid: Grid, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring a gate's coefficients (h, w) to the frame's grid, by way of the network's."""
    whole = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    square = whole.resize((grid.size, grid.size), Image.Resampling.BILINEAR)
    return grid.from_network(np.asarray(square, dtype=np.float32))
