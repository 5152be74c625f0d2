"""What the values of a mask mean: which pixels are lesion, the lesions' numbers, what is uncertain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import Spacing
from sonoseg.image.components import boxes, label

LARGEST_CLASS = 15
"""A mask of whole numbers up to this holds class numbers, not grey levels."""

MAX_LABELS = 64
"""Most distinct values of a mask of labels; more are grey levels."""

MIN_INTERIOR = 0.2
"""The share of a label's pixels whose eight neighbours have its value too, at least. The pixels between
background and lesion of a smoothed mask have hardly any, nor have the specks of compression noise."""

MAX_BORDER = 0.5
"""The share of the image's border above which a mask may be inverted. No mask of BUSI, BUS-BRA and BrEaST
reaches it (tests/data/test_folder_check.py)."""

CLEAR = 0.75
"""The share of the largest value from which compression noise does not reach half of it."""

BLOCK = 8
"""Side of the blocks of a JPEG in pixels: far from the edges of a mask each has one value throughout."""


class MaskIssue(NamedTuple):
    """Something uncertain about a mask. kind: its category. text: what it is, and what to do."""

    kind: str
    text: str


UNUSED, NOISE, FAINT, INVERTED, TOUCHING, MERGED = (
    "mask with unused grey levels",
    "class numbers after compression with loss",
    "faint regions after compression with loss",
    "inverted mask",
    "touching labels",
    "touching labels with smoothed edges",
)


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask as its file holds it.

    values: (H, W) of any real type, 0 or more; of colours the brightest channel, 0 where transparent.
    codes: a number for each colour, of the shape of `values`; equal to them by default.
    noise: how much the values of one region differ after compression with loss; None without it.
    orientation: in EXIF, 1 to 8; 1 is upright. The values are upright already.
    spacing: the file's own, None for formats without any.
    labelled: whether each value but 0 is a label by the file's format.
    mode: Pillow's mode of a raster file, "" for others.
    """

    values: NDArray[Any]
    codes: NDArray[Any] | None = None
    noise: int | None = None
    orientation: int = 1
    spacing: Spacing | None = None
    labelled: bool = False
    mode: str = ""

    @cached_property
    def largest(self) -> float:
        """The largest value."""
        return float(self.values.max(initial=0))

    @property
    def _bright(self) -> float:
        """The value of the brightest region: compression with loss makes single pixels brighter."""
        return self.levels[-1] if self.levels else self.largest

    @cached_property
    def is_classes(self) -> bool:
        """Whether the values are class numbers, not grey levels."""
        if self.labelled:
            return True
        whole = self.values.dtype.kind != "f" or bool((self.values == np.rint(self.values)).all())
        return self.largest <= LARGEST_CLASS and whole

    @cached_property
    def lesion(self) -> NDArray[np.bool_]:
        """The lesions, bool (H, W); see `read_mask`."""
        return self._raw & ~self._specks

    @cached_property
    def _raw(self) -> NDArray[np.bool_]:
        """The lesions with specks of compression noise, bool (H, W)."""
        if self.is_classes and self.noise is None:
            return np.asarray(self.values > 0)
        bright = np.asarray((self.values >= self._bright / 2) & (self.values > 0))
        return bright | self.is_label

    @cached_property
    def _specks(self) -> NDArray[np.bool_]:
        """Compression noise, bool (H, W): components with hardly any interior, of class numbers in a JPEG.

        The noise of grey levels is far below half of the largest.
        """
        specks = np.zeros(self.values.shape, dtype=np.bool_)
        if self.noise is not None and self.is_classes:
            for place, component in _components(self._raw):
                if share_inside(component) < MIN_INTERIOR:
                    specks[place] |= component
        return specks

    @cached_property
    def _labels(self) -> list[float]:
        """The codes of labels: few values, each in regions of its own. [] after compression with loss."""
        if self.noise is not None:
            return []
        codes = self.values if self.codes is None else self.codes
        found = np.unique(codes[self.values > 0])
        if self.labelled:
            return [float(code) for code in found]
        if found.size > MAX_LABELS:
            return []
        return [float(code) for code in found if share_inside(codes == code) >= MIN_INTERIOR]

    @cached_property
    def levels(self) -> list[float]:
        """The values of regions after compression with loss, ascending, without the background.

        Looked for in blocks of a JPEG with one value throughout: at the edges of a region there are none.
        """
        if self.noise is None:
            return []
        height, width = (side // BLOCK * BLOCK for side in self.values.shape)
        blocks = self.values[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
        low = blocks.min(axis=(1, 3))
        found = np.unique(low[low == blocks.max(axis=(1, 3))]).astype(np.float64)
        levels = [float(level) for level in found[np.diff(found, prepend=-np.inf) > self.noise]]
        return levels[1:] if levels and levels[0] <= max(1, self.noise) else levels

    @property
    def lossy_labels(self) -> list[float]:
        """Values of regions, after compression with loss, that half of the largest does not separate."""
        least = 0 if self.is_classes else LARGEST_CLASS
        return [level for level in self.levels if least < level < CLEAR * self._bright]

    @cached_property
    def is_label(self) -> NDArray[np.bool_]:
        """Where the value is a label, bool (H, W)."""
        codes = self.values if self.codes is None else self.codes
        return np.isin(codes, self._labels) & (self.values > 0)

    @cached_property
    def is_grey(self) -> bool:
        """Whether there are more than two values, and they are not class numbers."""
        return bool(not self.is_classes and ((self.values > 0) & (self.values < self.largest)).any())

    @cached_property
    def dropped(self) -> int:
        """Pixels inside of regions whose value is neither background nor taken for lesion."""
        # Below that, what is left after compression with loss is noise, or `levels` has it.
        least = 0 if self.noise is None else LARGEST_CLASS
        return int(_interior((self.values > least) & ~self._raw).sum())

    @cached_property
    def _split(self) -> tuple[NDArray[np.int32], int, int]:
        """The lesions by number, int32 (H, W), and how many components have labels kept apart, and joined."""
        parts, count = label(self.lesion)
        if len(self._labels) < 2:
            return parts, 0, 0
        codes = self.values if self.codes is None else self.codes
        apart = joined = 0
        for number, place in enumerate(boxes(parts, count), start=1):
            component = parts[place] == number
            found = np.unique(codes[place][component])
            labels = found[np.isin(found, self._labels)].tolist()
            if len(labels) < 2:
                continue
            if len(labels) < found.size:
                joined += 1
                continue
            apart += 1
            for code in labels[1:]:
                more, several = label(component & (codes[place] == code))
                parts[place][more > 0] = more[more > 0] + count
                count += several
            # What is left is the first label, perhaps in several pieces.
            more, several = label(component & (codes[place] == labels[0]))
            parts[place][more > 1] = more[more > 1] + (count - 1)
            count += several - 1
        return parts, apart, joined

    @property
    def instances(self) -> NDArray[np.int32]:
        """The lesions by number, int32 (H, W): 0 outside, 1, 2 ... each connected region of one label.

        In a mask that is not of labels a lesion is a connected region.
        """
        return self._split[0]

    @cached_property
    def issues(self) -> tuple[MaskIssue, ...]:
        """What is uncertain about the mask."""
        return tuple(self._issues())

    def _issues(self) -> Iterator[MaskIssue]:
        if self.dropped:
            yield MaskIssue(
                UNUSED,
                f"{self.dropped:,} pixels of grey levels below half of the largest ({self.largest:g}) are "
                "not lesion. Save 0 for background and 255 for lesion",
            )
        if self.noise is not None and self.is_classes and self._raw.any():
            count = int(self._specks.sum())
            left_out = f"; specks of {count:,} px in all are taken for noise" if count else ""
            yield MaskIssue(
                NOISE,
                f"after compression with loss, the border of a lesion of the value {self._bright:g} is "
                f"uncertain by some pixels{left_out}. Save masks as PNG",
            )
        faint = [f"{level:g}" for level in self.levels if level <= LARGEST_CLASS < self.largest]
        if faint:
            yield MaskIssue(
                FAINT,
                f"after compression with loss, regions of the value {', '.join(faint)} are taken for noise "
                f"beside {self.largest:g}. Save masks of labels as PNG",
            )
        border = border_share(self.lesion)
        if border > MAX_BORDER:
            yield MaskIssue(
                INVERTED,
                f"{border:.0%} of the image's border is lesion: the mask may be inverted. "
                "Save 0 for background and 255 for lesion",
            )
        _, apart, joined = self._split
        if apart:
            yield MaskIssue(
                TOUCHING,
                "labels touch: each region of one label is measured as a lesion of its own; the mask of a "
                "prepared set joins them",
            )
        if joined:
            yield MaskIssue(
                MERGED,
                "labels touch, and pixels between them have other values: they are counted as one lesion. "
                "Save the labels without smoothing",
            )


def border_share(mask: NDArray[np.bool_]) -> float:
    """The share of the image's outermost pixels that are lesion, 0..1. mask: bool (H, W)."""
    return float(np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]]).mean())


def share_inside(mask: NDArray[np.bool_]) -> float:
    """The share of a mask's pixels whose eight neighbours are of it too, 0..1; 0 for an empty mask."""
    return float(_interior(mask).sum() / max(1, mask.sum()))


def _interior(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inside = np.zeros_like(mask)
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    inside[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inside


def _components(mask: NDArray[np.bool_]) -> Iterator[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    parts, count = label(mask)
    for number, place in enumerate(boxes(parts, count), start=1):
        yield place, parts[place] == number
