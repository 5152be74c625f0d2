"""Segmentations without their pixels, each mask packed, so that those of a long clip fit into memory."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from PIL import Image

from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.png import mask_png


@dataclass(frozen=True, eq=False)
class PackedSegmentation:
    """One segmentation, packed. light: without its arrays. mask: as PNG."""

    light: Segmentation
    mask: bytes

    @classmethod
    def of(cls, segmentation: Segmentation) -> PackedSegmentation:
        """Keep its mask; let go of its pixels, probabilities and attention maps."""
        frame, none = segmentation.frame, np.zeros((1, 1), dtype=bool)
        light = replace(
            segmentation,
            frame=replace(frame, pixels=np.broadcast_to(np.uint8(0), frame.shape)),
            probability=none.astype(np.float32),
            raw_mask=none,
            mask=none,
            attention=None,
        )
        return cls(light, mask_png(segmentation.mask))

    def unpacked(self) -> Segmentation:
        """With black pixels, and probabilities of 0 or 1: for writers that need the mask and no more."""
        with Image.open(io.BytesIO(self.mask), formats=("PNG",)) as image:
            mask = np.asarray(image) > 0
        return replace(self.light, mask=mask, raw_mask=mask, probability=mask.astype(np.float32))


class PackedSegmentations(Sequence[Segmentation]):
    """Packed ones as the sequence that writers take, each unpacked when it is asked for."""

    def __init__(self, packed: Sequence[PackedSegmentation]) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, place: int) -> Segmentation: ...
    @overload
    def __getitem__(self, place: slice) -> PackedSegmentations: ...
    def __getitem__(self, place: int | slice) -> Segmentation | PackedSegmentations:
        if isinstance(place, slice):
            return PackedSegmentations(self._packed[place])
        return self._packed[place].unpacked()
