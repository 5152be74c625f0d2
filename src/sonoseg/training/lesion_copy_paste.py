"""Grafts: a lesion covered by healthy tissue of its own depth, or a lesion of another image set in.

Sets hold few normals, each from one place, so a network may learn which frames hold a lesion rather than
what a lesion is. Here the same frame is shown with its lesion and without, and normals with one. A seam
means nothing: healthy tissue is grafted over healthy tissue as often as over a lesion.

Nearest published: lesions copied between images (Ghiasi et al. 2021, arXiv 2012.07177; for lesions Zhang et
al. 2021, CarveMix, arXiv 2108.06883); healthy tissue over a lesion at its own depth is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pixels and mask of an image, uint8 (S, S) each, the mask 0 or 1."""

Another = Callable[[np.random.Generator], Pair]
"""Draws an image of the training part."""

RIM = (0.01, 0.04)
"""How much of a lesion's surroundings comes along, or is covered with it, as a share of the side."""

FEATHER = 0.03
"""Width of the seam, as a share of the side."""

DEPTH = 0.06
"""How far tissue may move up or down, as a share of the side: layers and grain belong to their depth."""

TRIES = 16
"""Places that are drawn before none is found."""

LARGEST = 0.4
"""A piece of more than this share of the image is left alone: nothing would remain around it."""

TISSUE = 0.98
"""Least share of a place that is not black: beside the scan there is nothing to graft."""

GAIN = 1.5
"""How much brighter or darker tissue may be made to meet what is around it."""

SMALLEST = 0.4
"""How far a lesion that is set in may be made smaller."""


@dataclass(frozen=True)
class Piece:
    """A blob to graft: how much of the new tissue shows, float32 (h, w) in 0..1, and where its corner is."""

    share: NDArray[np.float32]
    top: int
    left: int

    def at(self, top: int, left: int) -> tuple[slice, slice]:
        """Its rows and columns, were its corner there."""
        height, width = self.share.shape
        return slice(top, top + height), slice(left, left + width)


def remove_lesions(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], another: Another, random: np.random.Generator
) -> None:
    """Cover all lesions with healthy tissue, or as often healthy tissue elsewhere, in place.

    pixels, mask: uint8 (S, S). An image without lesions gets a graft of another's lesion's shape. An image
    stays as it is where there is no healthy tissue of the shape at about the depth.
    """
    decoy = bool(random.random() < 0.5) or not mask.any()
    piece = _piece(mask if mask.any() else another(random)[1], random)
    if piece is None:
        return
    if decoy:
        place = _healthy(piece, pixels, mask, random, reach=1.0)
        if place is None:
            return
        piece = Piece(piece.share, *place)
    place = _healthy(piece, pixels, mask, random)
    if place is None:
        return
    tissue = pixels[piece.at(*place)].copy()
    _blend(pixels[piece.at(piece.top, piece.left)], tissue[:, :: random.choice([-1, 1])], piece.share)
    if not decoy:
        mask[:] = 0


def insert_lesions(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], another: Another, random: np.random.Generator
) -> None:
    """Set the lesions of another image into one without any, smaller by a drawn factor, in place.

    pixels, mask: uint8 (S, S). An image with lesions stays as it is: more beside them would teach that
    lesions come in pairs. So does any where the drawn image has no lesion, or no place is free.
    """
    if mask.any():
        return
    source, lesions = another(random)
    factor = SMALLEST ** random.random()
    side = max(16, round(factor * len(source)))
    if side < len(source):
        size = (side, side)
        source = np.asarray(Image.fromarray(source).resize(size, Image.Resampling.BILINEAR))
        lesions = (
            np.asarray(Image.fromarray(lesions * 255).resize(size, Image.Resampling.BILINEAR)) > 127
        ).astype(np.uint8)
    piece = _piece(lesions, random)
    if piece is None:
        return
    # Its depth, as a share of the image's, in the image that takes it.
    wanted = Piece(piece.share, round(piece.top / factor), round(piece.left / factor))
    place = _healthy(wanted, pixels, mask, random, reach=3 * DEPTH)
    if place is None:
        return
    own, target = piece.at(piece.top, piece.left), piece.at(*place)
    flip = random.choice([-1, 1])
    _blend(pixels[target], source[own][:, ::flip], piece.share[:, ::flip])
    mask[target] |= lesions[own][:, ::flip]


def _piece(mask: NDArray[np.uint8], random: np.random.Generator) -> Piece | None:
    """The lesions with some surroundings, fading out; None where there is none, or too large a one."""
    side = len(mask)
    rim, feather = (RIM[0] + (RIM[1] - RIM[0]) * random.random()) * side, FEATHER * side
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    reach = int(np.ceil(rim + feather))
    top, left = max(0, rows[0] - reach), max(0, columns[0] - reach)
    box = mask[top : rows[-1] + reach + 1, left : columns[-1] + reach + 1]
    if box.size > LARGEST * mask.size:
        return None
    away = distance_transform_edt(box == 0)
    return Piece(np.clip((rim + feather - away) / feather, 0, 1).astype(np.float32), int(top), int(left))


def _healthy(
    piece: Piece,
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    random: np.random.Generator,
    reach: float = DEPTH,
) -> tuple[int, int] | None:
    """The corner of a place for the piece that shows tissue and no lesion, at about the piece's depth."""
    room = np.array(mask.shape) - piece.share.shape
    if (room < 0).any():
        return None
    seen = piece.share > 0
    for down, across in random.random((TRIES, 2)):
        top = int(np.clip(piece.top + round((2 * down - 1) * reach * len(mask)), 0, room[0]))
        left = int(across * (room[1] + 1))
        place = piece.at(top, left)
        if not mask[place][seen].any() and (pixels[place][seen] > 0).mean() >= TISSUE:
            return top, left
    return None


def _blend(old: NDArray[np.uint8], new: NDArray[np.uint8], share: NDArray[np.float32]) -> None:
    """Lay new tissue over the old, in place, as bright as the old is along the seam."""
    seam = (share > 0) & (share < 1)
    factor = 1.0
    if seam.any():
        factor = float(np.clip((old[seam].mean() + 1) / (new[seam].mean() + 1), 1 / GAIN, GAIN))
    mixed = old + share * (new * np.float32(factor) - old)
    old[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
