"""The network's grid: an image goes there, a probability comes back, the geometry is kept.

Preparing a set, training and predicting all resize through this one file, so a network meets at work
exactly what it met in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Fit = Literal["stretch", "letterbox"]


@dataclass(frozen=True)
class Grid:
    """The map between an image of `shape` and a square network input of `size`.

    shape: (H, W) of the image, pixels.
    size: side of the network's square input, pixels.
    fit: "stretch" fills the square whatever the aspect (the seed's way);
        "letterbox" keeps the aspect, centred, with black around it.
    """

    shape: tuple[int, int]
    size: int
    fit: Fit = "stretch"

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Where the image lies in the square: top, left, height, width, in network pixels."""
        if self.fit == "stretch":
            return 0, 0, self.size, self.size
        scale = self.size / max(self.shape)
        height, width = (max(1, round(side * scale)) for side in self.shape)
        return (self.size - height) // 2, (self.size - width) // 2, height, width

    def to_network(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize uint8 (H, W) to uint8 (size, size), antialiased bilinear."""
        return self._place(Image.fromarray(pixels))

    def mask_to_network(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Resize bool (H, W) to bool (size, size): a cell is lesion where half of it or more is."""
        return self._place(Image.fromarray(mask.astype(np.uint8) * 255)) >= 128

    def from_network(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resize float32 (size, size) back to float32 (H, W), bilinear; black borders are cut away."""
        top, left, height, width = self.box
        inside = np.ascontiguousarray(probability[top : top + height, left : left + width], dtype=np.float32)
        rows, columns = self.shape
        back = Image.fromarray(inside).resize((columns, rows), Image.Resampling.BILINEAR)
        return np.asarray(back, dtype=np.float32)

    def _place(self, image: Image.Image) -> NDArray[np.uint8]:
        top, left, height, width = self.box
        small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)
        if (height, width) == (self.size, self.size):
            return small
        square = np.zeros((self.size, self.size), dtype=np.uint8)
        square[top : top + height, left : left + width] = small
        return square
