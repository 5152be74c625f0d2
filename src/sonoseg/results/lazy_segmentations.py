"""Segmentations that are read or decoded on access, so that those of a long clip need little memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import InputError
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.entries import ImageEntry, RunInfo
from sonoseg.results.png import mask_png

Key = TypeVar("Key")
Item = TypeVar("Item")


class LazySequence(Sequence[Item], Generic[Key, Item]):
    """A sequence whose items are made from keys on access. make: gives the item of a key."""

    def __init__(self, make: Callable[[Key], Item], keys: Sequence[Key]) -> None:
        self._make, self._keys = make, keys

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> LazySequence[Key, Item]: ...
    def __getitem__(self, index: int | slice) -> Item | LazySequence[Key, Item]:
        if isinstance(index, slice):
            return LazySequence(self._make, self._keys[index])
        return self._make(self._keys[index])


def read_segmentation(entry: ImageEntry, folder: Path, about: RunInfo) -> Segmentation:
    """Read a DICOM frame's segmentation back from its output files.

    The pixels are black, and the probability is 0 unless it was written, too: for writers that need only the
    mask, or the probability in steps of 1/65535. folder: of the results. about: the run.
    Raises InputError where a file cannot be read.
    """
    mask = _read(folder / entry.files["mask"].path) > 0
    probability = np.broadcast_to(np.float32(0), mask.shape)
    if "probability" in entry.files:
        steps = _read(folder / entry.files["probability"].path)
        probability = np.asarray(steps / np.float32(65535), dtype=np.float32)
    black = np.broadcast_to(np.uint8(0), mask.shape)
    return Segmentation(
        frame=Frame(black, source=Path(entry.file), name=entry.name, index=entry.frame, kind="dicom"),
        probability=probability,
        raw_mask=mask,
        mask=mask,
        threshold=about.threshold,
        attention=None,
        model=f"{about.model} ({about.model_hash})",
        runtime=about.runtime,
        settings_hash=about.settings_hash,
    )


def _read(path: Path) -> NDArray[np.integer[Any]]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image)
    except OSError as error:
        raise InputError(
            "this output file of the run cannot be read back", where=path, remedy="Repeat with --overwrite"
        ) from error


@dataclass(frozen=True, eq=False)
class PackedSegmentation:
    """A segmentation in little memory. light: without its arrays. mask: as PNG."""

    light: Segmentation
    mask: bytes

    @classmethod
    def of(cls, segmentation: Segmentation) -> PackedSegmentation:
        """Pack the mask; drop pixels, probabilities and attention maps."""
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

    def unpack(self) -> Segmentation:
        """Return it with black pixels, and probabilities of 0 or 1: for writers that need only the mask."""
        with Image.open(io.BytesIO(self.mask), formats=("PNG",)) as image:
            mask = np.asarray(image) > 0
        return replace(self.light, mask=mask, raw_mask=mask, probability=mask.astype(np.float32))


def unpacked(packed: Sequence[PackedSegmentation]) -> Sequence[Segmentation]:
    """Present packed segmentations as the sequence that writers take; each is unpacked on access."""
    return LazySequence(PackedSegmentation.unpack, packed)
