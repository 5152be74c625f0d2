"""Copy-paste augmentation: lesions replaced by healthy tissue of their depth, or inserted from another image.

Data sets hold few images without a lesion, each from one centre, so a network may learn which frames hold a
lesion rather than what a lesion is. Here the same frame is shown with and without its lesion. Healthy tissue
is replaced as often as lesions are, so that a seam carries no information.

Copying between images: Ghiasi et al. 2021 (arXiv 2012.07177), for lesions CarveMix (Zhang et al. 2021, arXiv
2108.06883). Replacing lesions by healthy tissue of the same depth is ours.
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
"""Range of the margin copied around a lesion, as a fraction of the side."""

FEATHER = 0.03
"""Width of the blended seam, as a fraction of the side."""

DEPTH = 0.06
"""Largest vertical displacement, as a fraction of the side: layers and speckle depend on depth."""

TRIES = 16
"""Positions drawn before giving up."""

LARGEST = 0.4
"""Largest patch, as a fraction of the image: a larger one would leave no surroundings."""

TISSUE = 0.98
"""Smallest fraction of pixels of a position that are not black."""

GAIN = 1.5
"""Largest factor by which brightness is matched along the seam."""

SMALLEST = 0.4
"""Smallest factor by which an inserted lesion is scaled."""


@dataclass(frozen=True)
class TissuePatch:
    """A patch to copy: the weight of the new tissue, float32 (h, w) in 0..1, and its upper left corner."""

    share: NDArray[np.float32]
    top: int
    left: int

    def at(self, top: int, left: int) -> tuple[slice, slice]:
        """Return its rows and columns for another corner."""
        height, width = self.share.shape
        return slice(top, top + height), slice(left, left + width)


def remove_lesions(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], another: Another, random: np.random.Generator
) -> None:
    """Replace all lesions by healthy tissue, or as often healthy tissue elsewhere, in place.

    pixels, mask: uint8 (S, S). An image without lesions gets a patch of the shape of another image's. Without
    healthy tissue of that shape at about the same depth the image is left unchanged.
    """
    decoy = bool(random.random() < 0.5) or not mask.any()
    patch = _lesion_patch(mask if mask.any() else another(random)[1], random)
    if patch is None:
        return
    if decoy:
        corner = _healthy_corner(patch, pixels, mask, random, reach=1.0)
        if corner is None:
            return
        patch = TissuePatch(patch.share, *corner)
    corner = _healthy_corner(patch, pixels, mask, random)
    if corner is None:
        return
    tissue = pixels[patch.at(*corner)].copy()
    _blend(pixels[patch.at(patch.top, patch.left)], tissue[:, :: random.choice([-1, 1])], patch.share)
    if not decoy:
        mask[:] = 0


def insert_lesions(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], another: Another, random: np.random.Generator
) -> None:
    """Insert the lesions of another image, scaled down by a random factor, in place.

    pixels, mask: uint8 (S, S). An image with lesions is left unchanged, so that lesions do not appear in
    pairs; so is one where the drawn image has no lesion, or no position is free.
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
    patch = _lesion_patch(lesions, random)
    if patch is None:
        return
    # At the same relative depth.
    wanted = TissuePatch(patch.share, round(patch.top / factor), round(patch.left / factor))
    corner = _healthy_corner(wanted, pixels, mask, random, reach=3 * DEPTH)
    if corner is None:
        return
    own, target = patch.at(patch.top, patch.left), patch.at(*corner)
    flip = random.choice([-1, 1])
    _blend(pixels[target], source[own][:, ::flip], patch.share[:, ::flip])
    mask[target] |= lesions[own][:, ::flip]


def _lesion_patch(mask: NDArray[np.uint8], random: np.random.Generator) -> TissuePatch | None:
    """Return the lesions with a margin that fades out; None without lesions or for too large a patch."""
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
    return TissuePatch(
        np.clip((rim + feather - away) / feather, 0, 1).astype(np.float32), int(top), int(left)
    )


def _healthy_corner(
    patch: TissuePatch,
    pixels: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    random: np.random.Generator,
    reach: float = DEPTH,
) -> tuple[int, int] | None:
    """Find a corner for the patch on tissue without lesions, at about its depth; None where none is found."""
    room = np.array(mask.shape) - patch.share.shape
    if (room < 0).any():
        return None
    seen = patch.share > 0
    for down, across in random.random((TRIES, 2)):
        top = int(np.clip(patch.top + round((2 * down - 1) * reach * len(mask)), 0, room[0]))
        left = int(across * (room[1] + 1))
        area = patch.at(top, left)
        if not mask[area][seen].any() and (pixels[area][seen] > 0).mean() >= TISSUE:
            return top, left
    return None


def _blend(old: NDArray[np.uint8], new: NDArray[np.uint8], share: NDArray[np.float32]) -> None:
    """Blend new tissue over the old, in place, matching brightness along the seam."""
    seam = (share > 0) & (share < 1)
    factor = 1.0
    if seam.any():
        factor = float(np.clip((old[seam].mean() + 1) / (new[seam].mean() + 1), 1 / GAIN, GAIN))
    mixed = old + share * (new * np.float32(factor) - old)
    old[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
