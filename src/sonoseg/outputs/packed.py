"""Segmentations without their pixels, each mask packed, so that those of a long clip fit into memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
from PIL import Image

from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.png import mask_png


@dataclass(frozen=True)
class PackedSegmentations(Sequence[Segmentation]):
    """For writers that need the masks and nothing else: pixels are black, probabilities 0 or 1."""

    _light: list[Segmentation] = field(default_factory=list)
    _masks: list[bytes] = field(default_factory=list)

    def append(self, segmentation: Segmentation) -> None:
        """Keep one, without its pixels and probabilities."""
        none = np.zeros((1, 1), dtype=bool)
        frame = replace(segmentation.frame, pixels=np.broadcast_to(np.uint8(0), segmentation.frame.shape))
        self._light.append(
            replace(
                segmentation,
                frame=frame,
                probability=none.astype(np.float32),
                raw_mask=none,
                mask=none,
                attention=None,
            )
        )
        self._masks.append(mask_png(segmentation.mask))

    def __len__(self) -> int:
        return len(self._light)

    @overload
    def __getitem__(self, place: int) -> Segmentation: ...
    @overload
    def __getitem__(self, place: slice) -> PackedSegmentations: ...
    def __getitem__(self, place: int | slice) -> Segmentation | PackedSegmentations:
        if isinstance(place, slice):
            return PackedSegmentations(self._light[place], self._masks[place])
        with Image.open(io.BytesIO(self._masks[place]), formats=("PNG",)) as picture:
            mask = np.asarray(picture) > 0
        return replace(self._light[place], mask=mask, raw_mask=mask, probability=mask.astype(np.float32))
