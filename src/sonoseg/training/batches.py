"""Batches: rows of the prepared arrays, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.errors import DatasetError, TrainingError
from sonoseg.training.recipe import DataOptions, Recipe

Change = Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]


def seed_for(*numbers: int) -> int:
    """Derive a 63-bit seed from several numbers (run, epoch, step, ...), so that no state needs saving."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


@dataclass(frozen=True)
class TrainingImages:
    """Images of a prepared set on the network's grid.

    ids: their names. rows: their rows in the arrays. pixels, masks: uint8 (N, S, S), memory-mapped.
    """

    ids: list[str]
    rows: NDArray[np.intp]
    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    @classmethod
    def of(cls, prepared: PreparedSet, ids: list[str], options: DataOptions, part: str) -> TrainingImages:
        """Select the images `ids` of a prepared set; in the part "train" repeated as the options say.

        Raises DatasetError for an unknown set in `options.times`, or without an image with a lesion.
        """
        pixels, masks = prepared.arrays(options.size, options.fit)
        rows = prepared.rows(ids)
        lesions = np.array([bool(masks[row].any()) for row in rows])
        if part == "train":
            times = np.where(lesions, 1, options.normals)
            unknown = set(options.times) - set(prepared.table["set"])
            if unknown:
                raise DatasetError(
                    f"data.times names the unknown set '{min(unknown)}'",
                    where=prepared.folder,
                    remedy=f"Choose from: {', '.join(sorted(set(prepared.table['set'])))}",
                )
            times = times * [options.times.get(name, 1) for name in prepared.table.loc[ids, "set"]]
            shown = np.repeat(np.arange(len(ids)), times)
            ids, rows, lesions = [ids[k] for k in shown], rows[shown], lesions[shown]
        if not lesions.any():
            raise DatasetError(
                f"the {part} part of the split has {len(ids)} images and no lesion",
                where=prepared.folder,
                remedy="Make a split with more images per fold",
            )
        return cls(ids, rows, pixels, masks)

    def __len__(self) -> int:
        return len(self.ids)

    def order(self, seed: int, epoch: int) -> NDArray[np.intp]:
        """Return the order of the images in an epoch, drawn from the seed and the epoch alone."""
        return np.random.default_rng([seed, epoch]).permutation(len(self)).astype(np.intp)

    def any(self, random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw one image from `random`: its pixels and its mask, uint8 (S, S) each."""
        row = self.rows[random.integers(len(self))]
        return np.asarray(self.pixels[row]), np.asarray(self.masks[row])

    def take(self, which: NDArray[np.intp], change: Change | None = None) -> Tensor:
        """Return pairs, float32 (n, 2, S, S): pixels in 0..1, and the mask of 0 or 1.

        change: augments pixels and masks, uint8 (n, S, S), in place before. Raises TrainingError.
        """
        rows = self.rows[which]
        try:
            pixels, masks = np.array(self.pixels[rows]), np.array(self.masks[rows])
        except (OSError, IndexError, ValueError) as error:
            raise TrainingError(
                f"the pixels of this batch cannot be read ({error})",
                where=", ".join(self.ids[i] for i in which[:4]),
                remedy="Run sonoseg data prepare --overwrite, then continue with --resume",
            ) from error
        if change is not None:
            change(pixels, masks)
        pairs = torch.empty(len(rows), 2, *pixels.shape[1:])
        pairs[:, 0].copy_(torch.from_numpy(pixels)).div_(255)
        pairs[:, 1].copy_(torch.from_numpy(masks))
        return pairs


def network_input(pairs: Tensor, recipe: Recipe) -> Tensor:
    """Return the images of pairs (N, 2, S, S) as network input (N, C, S, S), normalised by the recipe."""
    scaled = (pairs[:, :1] - recipe.data.mean) / recipe.data.std
    return scaled.expand(-1, recipe.network.channels, -1, -1)
