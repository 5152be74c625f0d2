"""Segmentations read back from what was written, so that a clip's need no memory until they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import InputError
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import ImageEntry, RunInfo


class KeptFindings(Sequence[Findings]):
    """The findings of these names, each read when it is asked for. get: gives a name's entry."""

    def __init__(self, get: Callable[[str], ImageEntry], names: Sequence[str]) -> None:
        self._get, self._names = get, names

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> Findings: ...
    @overload
    def __getitem__(self, place: slice) -> KeptFindings: ...
    def __getitem__(self, place: int | slice) -> Findings | KeptFindings:
        if isinstance(place, slice):
            return KeptFindings(self._get, self._names[place])
        return self._get(self._names[place]).findings


class KeptSegmentations(Sequence[Segmentation]):
    """The segmentations of these names, each read from the mask that was written.

    Their pixels are black, and their probabilities 0 unless they were written too: for writers that need the
    mask, or the probability in steps of 1/65535, and no more. folder: of the results.
    Raises InputError, when one is asked for, where its mask cannot be read.
    """

    def __init__(
        self, get: Callable[[str], ImageEntry], names: Sequence[str], folder: Path, about: RunInfo
    ) -> None:
        self._get, self._names, self._folder, self._about = get, names, folder, about

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> Segmentation: ...
    @overload
    def __getitem__(self, place: slice) -> KeptSegmentations: ...
    def __getitem__(self, place: int | slice) -> Segmentation | KeptSegmentations:
        if isinstance(place, slice):
            return KeptSegmentations(self._get, self._names[place], self._folder, self._about)
        entry, about = self._get(self._names[place]), self._about
        mask = _read(self._folder / entry.files["mask"].path) > 0
        probability = np.broadcast_to(np.float32(0), mask.shape)
        if "probability" in entry.files:
            steps = _read(self._folder / entry.files["probability"].path)
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
        )


def _read(path: Path) -> NDArray[np.integer[Any]]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image)
    except OSError as error:
        raise InputError(
            "a mask that was written cannot be read back", where=path, remedy="Begin anew with --overwrite"
        ) from error
